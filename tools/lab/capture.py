"""A recording as tshark sees it: its frames, and the CoAP messages with the frame that completed each."""

import struct
import subprocess
from pathlib import Path

import aiocoap

LINK_TYPES = {1: "Ethernet (ZEP)", 195: "802.15.4 with FCS", 230: "802.15.4 without FCS", 283: "802.15.4 TAP"}


def frames(path):
    """The link type and [(microseconds since 1970, bytes)] of a pcap file."""
    data = Path(path).read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    scale = 1000 if data[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1
    link_type = struct.unpack(order + "I", data[20:24])[0] & 0xFFFF
    found, offset = [], 24
    while offset < len(data):
        seconds, fraction, held, _ = struct.unpack(order + "IIII", data[offset : offset + 16])
        found.append((seconds * 1_000_000 + fraction // scale, data[offset + 16 : offset + 16 + held]))
        offset += 16 + held
    return link_type, found


FIELDS = [
    "frame.number",
    "ipv6.src",
    "ipv6.dst",
    "udp.srcport",
    "udp.dstport",
    "udp.payload",
    "6lowpan.frag.tag",
    "6lowpan.reassembled.in",
    "wpan.src16",
    "wpan.src64",
]


def rows(path):
    """One dict a frame, by the names of FIELDS; empty text where a frame has no such field."""
    command = ["tshark", "-2", "-r", str(path), "-T", "fields", "-E", "occurrence=l"]
    for field in FIELDS:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"tshark cannot read {path}: {done.stderr.strip()}")
    return [dict(zip(FIELDS, line.split("\t"))) for line in done.stdout.splitlines()]


def coap(row):
    """The CoAP message that this frame carries or completes, or None."""
    if "5683" not in (row["udp.srcport"], row["udp.dstport"]) or not row["udp.payload"]:
        return None
    try:
        return aiocoap.Message.decode(bytes.fromhex(row["udp.payload"]))
    except Exception:  # the broken ones are in the recording on purpose
        return None
