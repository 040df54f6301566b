#include <errno.h>
#include <stdio.h>
#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>
#include <grp.h>
#include <pwd.h>
#include <arpa/inet.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/errno.h>
#include <netlink/genl/genl.h>
#include <netlink/genl/ctrl.h>

/* The kernel's nl802154 interface, whose header no package installs: what is used of it. Values are the kernel's ABI. */
enum pangate_nl802154_command {
  PANGATE_NL802154_SET_CHANNEL = 9,
  PANGATE_NL802154_SET_PAN_ID = 10,
  PANGATE_NL802154_SET_SHORT_ADDR = 11,
  PANGATE_NL802154_SET_TX_POWER = 12,
  PANGATE_NL802154_SET_ACKREQ_DEFAULT = 19,
};
enum pangate_nl802154_attribute {
  PANGATE_NL802154_ATTR_IFINDEX = 3,
  PANGATE_NL802154_ATTR_PAGE = 7,
  PANGATE_NL802154_ATTR_CHANNEL = 8,
  PANGATE_NL802154_ATTR_PAN_ID = 9,
  PANGATE_NL802154_ATTR_SHORT_ADDR = 10,
  PANGATE_NL802154_ATTR_TX_POWER = 11,
  PANGATE_NL802154_ATTR_ACKREQ_DEFAULT = 26,
};

/* Hardware types of interfaces (ARPHRD_IEEE802154, ARPHRD_IEEE802154_MONITOR). */
#define PANGATE_ARPHRD_IEEE802154 804
#define PANGATE_ARPHRD_IEEE802154_MONITOR 805
#define PANGATE_ETH_P_IEEE802154 0x00f6

/* Index, hardware type, address in the order of the air reversed (most significant octet first) and whether it is up.
   Returns 0 or an errno. */
static inline int pangate_interface(const char *name, int *index, int *type, unsigned char address[8], int *up) {
  struct ifreq request;
  int result = 0;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(fd, SIOCGIFINDEX, &request) < 0) result = errno;
  else {
    *index = request.ifr_ifindex;
    if (ioctl(fd, SIOCGIFHWADDR, &request) < 0) result = errno;
    else {
      *type = request.ifr_hwaddr.sa_family;
      memcpy(address, request.ifr_hwaddr.sa_data, 8);
      if (ioctl(fd, SIOCGIFFLAGS, &request) < 0) result = errno;
      else *up = (request.ifr_flags & IFF_UP) != 0;
    }
  }
  close(fd);
  return result;
}

/* A socket for the frames of one interface; negative: minus an errno. */
static inline int pangate_packet_socket(int index) {
  struct sockaddr_ll address;
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(PANGATE_ETH_P_IEEE802154));
  if (fd < 0) return -errno;
  memset(&address, 0, sizeof address);
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(PANGATE_ETH_P_IEEE802154);
  address.sll_ifindex = index;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

/* A copy of a descriptor; negative: minus an errno. */
static inline int pangate_duplicate(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy < 0 ? -errno : copy;
}

/* Receive also what is for others. Returns 0 or an errno. */
static inline int pangate_packet_promiscuous(int fd, int index) {
  struct packet_mreq request;
  memset(&request, 0, sizeof request);
  request.mr_ifindex = index;
  request.mr_type = PACKET_MR_PROMISC;
  return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) < 0 ? errno : 0;
}

/* Sends one frame; returns 0 or an errno. */
static inline int pangate_packet_send(int fd, const void *bytes, size_t count) {
  ssize_t sent;
  do sent = send(fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : 0;
}

/* Sends a netlink message, which is freed, and waits for its acknowledgment. Returns 0 or minus a libnl error. */
static inline int pangate_netlink_run(struct nl_sock *socket, struct nl_msg *message) {
  return nl_send_sync(socket, message);
}

/* Sets an interface up or down, and its address if that is not null (8 octets, most significant first). */
static inline int pangate_link_set(struct nl_sock *socket, int index, int up, const unsigned char *address) {
  struct ifinfomsg info;
  struct nl_msg *message = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK);
  if (!message) return -NLE_NOMEM;
  memset(&info, 0, sizeof info);
  info.ifi_family = AF_UNSPEC;
  info.ifi_index = index;
  info.ifi_change = IFF_UP;
  info.ifi_flags = up ? IFF_UP : 0;
  if (nlmsg_append(message, &info, sizeof info, NLMSG_ALIGNTO) < 0
      || (address && nla_put(message, IFLA_ADDRESS, 8, address) < 0)) {
    nlmsg_free(message);
    return -NLE_NOMEM;
  }
  return pangate_netlink_run(socket, message);
}

/* Leaves the calling thread CAP_NET_RAW and CAP_NET_ADMIN, as far as it has them, or nothing. Returns 0 or an errno. */
static inline int pangate_limit_capabilities(int keep_network) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  unsigned kept;
  if (syscall(SYS_capget, &header, data) < 0) return errno;
  kept = keep_network ? data[0].permitted & (1u << CAP_NET_RAW | 1u << CAP_NET_ADMIN) : 0;
  memset(data, 0, sizeof data);
  data[0].permitted = data[0].effective = kept;
  /* Nothing that is run from here gets any. */
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  return syscall(SYS_capset, &header, data) < 0 ? errno : 0;
}

/* The calling thread keeps its permitted capabilities when the user changes. */
static inline int pangate_keep_capabilities(void) { return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ? errno : 0; }

/* Makes the process one of another user, with that user's groups. Returns 0 or an errno; ENOENT for an unknown user. */
static inline int pangate_become(const char *name) {
  struct passwd *user;
  errno = 0;
  user = getpwnam(name);
  if (!user) return errno ? errno : ENOENT;
  if (initgroups(name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0) return errno;
  return 0;
}

/* One arena for all threads, and the top of the heap given back from 128 KiB on: for a process that holds little. */
static inline void pangate_limit_arenas(int arenas) {
  mallopt(M_ARENA_MAX, arenas);
  mallopt(M_TRIM_THRESHOLD, 128 * 1024);
}

/* Gives memory that was freed back to the system if it is more than so many bytes. */
static inline void pangate_trim_memory(size_t threshold) {
  struct mallinfo2 info = mallinfo2();
  if (info.fordblks > threshold) malloc_trim(0);
}

/* Lets go of the pages of code that were needed once, at the start: those in use come back from the page cache. Only of
   mappings that are read and executed, and never written. */
static inline void pangate_forget_code(void) {
  char line[512];
  FILE *maps = fopen("/proc/self/maps", "re");
  if (!maps) return;
  while (fgets(line, sizeof line, maps)) {
    unsigned long start, end;
    char mode[5];
    if (sscanf(line, "%lx-%lx %4s", &start, &end, mode) == 3 && strcmp(mode, "r-xp") == 0 && strchr(line, '/'))
      madvise((void *)start, end - start, MADV_DONTNEED);
  }
  fclose(maps);
}
