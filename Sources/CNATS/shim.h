#include <stdlib.h>
#include <string.h>
#include <nats/nats.h>
