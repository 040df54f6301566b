"""The demo home: who is in it, what each may do, and its radio addresses. Everything else is derived from this."""

import os
from dataclasses import dataclass, field

PAN_ID = 0xABCD
CHANNEL = 15
PREFIX = "fd50:616e:6761:1::/64"
GATEWAY_EUI64 = "0270616e67000001"
GATEWAY_SHORT = 0x0001
GROUP_ID = b"pangate-demohome"
EPOCH = 1
ISSUED = 1767225600  # 2026-01-01T00:00:00Z
LIFETIME = 3153600000  # a hundred years, in seconds
RELAY_URL = "coap+tcp://[::1]:5683"

NODE, GATEWAY, ENDPOINT, RELAY, ORACLE = 1, 2, 4, 8, 16
SLEEPS, CLOCKLESS, COAP_SERVER, VOUCHED = 1, 2, 4, 8


@dataclass
class Member:
    name: str
    roles: int
    cls: int
    eui64: str = ""
    short: int = 0xFFFF  # none: the node uses its extended address only
    readers: list = field(default_factory=list)
    commanders: list = field(default_factory=list)
    traits: int = 0
    sends_to: list = field(default_factory=list)


HOUSEHOLD = ["owner", "phone2"]
NODES = ["lock", "thermostat", "occupancy", "rain", "temperature"]
MEMBERS = [
    Member("oracle", ORACLE, 1, sends_to=["gateway", "relay", "owner", "phone2"]),
    Member("gateway", GATEWAY, 0, eui64=GATEWAY_EUI64, short=GATEWAY_SHORT, sends_to=HOUSEHOLD + ["oracle"]),
    Member("relay", RELAY, 1, sends_to=["oracle"]),
    Member("owner", ENDPOINT, 0, sends_to=["gateway", "lock", "thermostat"]),
    Member("phone2", ENDPOINT, 0, sends_to=["gateway", "thermostat"]),
    Member("lock", NODE, 1, "0270616e67000b01", 0x0B01, HOUSEHOLD, ["owner"], SLEEPS, HOUSEHOLD),
    Member("thermostat", NODE, 1, "0270616e67000b02", 0xFFFF, HOUSEHOLD, HOUSEHOLD, SLEEPS, HOUSEHOLD),
    Member("occupancy", NODE, 2, "0270616e67000b03", 0x0B03, HOUSEHOLD, [], 0, HOUSEHOLD),
    Member("rain", NODE, 0, "0270616e67000b04", 0xFFFF, HOUSEHOLD, [], VOUCHED, HOUSEHOLD),
    Member("temperature", NODE, 0, "0270616e67000b05", 0x0B05, HOUSEHOLD, [], VOUCHED, HOUSEHOLD),
]

if "LAB_LIVE_NODES" in os.environ:
    # The home of the live scenarios: a lock that signs, a lamp that is a plain CoAP server, and sensors, as many as asked
    # for, that are commanded too and ask for what is held.
    SENSORS = [f"sensor{number}" for number in range(1, int(os.environ["LAB_LIVE_NODES"]) + 1)]
    NODES = ["lock", "lamp", *SENSORS]
    LIVE = ["owner", "phone2"]
    MEMBERS = [member for member in MEMBERS if not member.roles & (NODE | ENDPOINT)] + [
        Member("owner", ENDPOINT, 0, sends_to=["gateway", *NODES]),
        Member("phone2", ENDPOINT, 0, sends_to=["gateway"]),
        Member("lock", NODE, 1, "0270616e67000b01", 0x0B01, LIVE, ["owner"], SLEEPS, LIVE),
        Member("lamp", NODE, 0, "0270616e67000b02", 0x0B02, LIVE, ["owner"], COAP_SERVER | VOUCHED, LIVE),
        *(
            Member(name, NODE, 0, f"0270616e6710{index:04x}", 0xFFFF, LIVE, ["owner"], SLEEPS | VOUCHED, LIVE)
            for index, name in enumerate(SENSORS, start=1)
        ),
    ]
BY_NAME = {member.name: member for member in MEMBERS}
INTRUDER_EUI64 = "0270616e67000bad"
