"""Router advertisements of the demo home: advertise.py INTERFACE. At start, and in answer to each solicitation.

PIO with A=1 and L=0 (RFC 6775, 5.4), and the source's link-layer address in both of its forms (RFC 4944, 8).
"""

import ipaddress
import socket
import struct
import sys
import time

import home

RA, RS = 134, 133


def advertisement():
    network = ipaddress.IPv6Network(home.PREFIX)
    header = struct.pack("!BBHBBHII", RA, 0, 0, 64, 0, 1800, 0, 0)
    prefix = (
        struct.pack("!BBBBIII", 3, 4, network.prefixlen, 0x40, 86400, 14400, 0)
        + network.network_address.packed
    )
    extended = b"\x01\x02" + bytes.fromhex(home.GATEWAY_EUI64) + bytes(6)
    short = b"\x01\x01" + home.GATEWAY_SHORT.to_bytes(2, "big") + bytes(4)
    return header + prefix + extended + short


def main(interface):
    index = socket.if_nametoindex(interface)
    icmp = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    icmp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    icmp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    all_routers = socket.inet_pton(socket.AF_INET6, "ff02::2") + struct.pack("@I", index)
    icmp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, all_routers)
    while True:
        icmp.sendto(advertisement(), ("ff02::1", 0, 0, index))
        last = time.monotonic()
        while icmp.recvfrom(1280)[0][0] != RS or time.monotonic() - last < 1:
            pass


if __name__ == "__main__":
    main(sys.argv[1])
