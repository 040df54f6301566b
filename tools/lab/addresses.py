"""IPv6 addresses on the PAN of the demo home (RFC 4944, 6; RFC 4291, appendix A)."""

import ipaddress

import home

_NETWORK = ipaddress.IPv6Network(home.PREFIX)

# Before a short address: RFC 6282 has zeros, Linux the PAN id with its universal/local bit cleared (RFC 4944, 6).
_BEFORE_SHORT = [
    bytes.fromhex("000000fffe00"),
    (home.PAN_ID & ~0x0200).to_bytes(2, "big") + bytes.fromhex("00fffe00"),
]


def iid_of(eui64):
    raw = bytearray.fromhex(eui64)
    raw[0] ^= 2
    return bytes(raw)


def link_local(eui64):
    return str(ipaddress.IPv6Address(bytes.fromhex("fe80000000000000") + iid_of(eui64)))


def global_address(eui64):
    return str(ipaddress.IPv6Address(_NETWORK.network_address.packed[:8] + iid_of(eui64)))


def node_of(address):
    """The name of the member whose interface identifier (from its EUI-64 or short address) the address holds."""
    tail = ipaddress.IPv6Address(address.split("%")[0]).packed[8:]
    for member in home.MEMBERS:
        if member.eui64 and tail == iid_of(member.eui64):
            return member.name
        if member.short != 0xFFFF and tail in [
            iid + member.short.to_bytes(2, "big") for iid in _BEFORE_SHORT
        ]:
            return member.name
    return None
