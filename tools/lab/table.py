"""The home's radios, for init.sh: `number name eui64 short pan` a line, or one value by name."""

import sys

import addresses
import home


def main(what=None):
    if what == "prefix":
        print(home.PREFIX)
    elif what == "gateway-address":
        print(addresses.global_address(home.GATEWAY_EUI64) + "/128")
    else:
        radios = [
            (name, home.BY_NAME[name].eui64, home.BY_NAME[name].short) for name in ["gateway", *home.NODES]
        ]
        radios.append(("intruder", home.INTRUDER_EUI64, 0xFFFF))
        for number, (name, eui64, short) in enumerate(radios):
            spelled = ":".join(eui64[i : i + 2] for i in range(0, 16, 2))
            print(number, name, spelled, f"{short:#06x}", f"{home.PAN_ID:#06x}")


if __name__ == "__main__":
    main(*sys.argv[1:])
