"""Somebody in the street with a radio: intruder.py LOWPAN-INTERFACE WPAN-INTERFACE. Belongs to no group."""

import asyncio
import json
import socket
import sys
import time

from cryptography.hazmat.primitives.asymmetric import ec

import addresses
import control
import envelope
import home
from coapnode import CoapNode
from device import CLASSES
from identity import Identity

ETH_P_IEEE802154 = 0x00F6


def mac_header(destination, source, sequence):
    """A data frame (2003), both addresses extended, PAN id compressed."""
    return (
        b"\x41\xcc"
        + bytes([sequence])
        + home.PAN_ID.to_bytes(2, "little")
        + bytes.fromhex(destination)[::-1]
        + bytes.fromhex(source)[::-1]
    )


def checksum(source, destination, next_header, body):
    data = source + destination + len(body).to_bytes(4, "big") + bytes([0, 0, 0, next_header]) + body
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


def uncompressed_udp(body, wrong_checksum):
    """Uncompressed IPv6 (dispatch 0x41) with UDP to the gateway's CoAP port."""
    source = bytes.fromhex("fe80000000000000") + addresses.iid_of(home.INTRUDER_EUI64)
    destination = bytes.fromhex("fe80000000000000") + addresses.iid_of(home.GATEWAY_EUI64)
    length = 8 + len(body)
    ports = (49152).to_bytes(2, "big") + (5683).to_bytes(2, "big") + length.to_bytes(2, "big")
    value = checksum(source, destination, 17, ports + b"\0\0" + body)
    if wrong_checksum:
        value ^= 0x5555
    ip = bytes.fromhex("60000000") + length.to_bytes(2, "big") + b"\x11\x40" + source + destination
    return b"\x41" + ip + ports + value.to_bytes(2, "big") + body


def fragment(dispatch, size, tag, rest):
    return (dispatch << 8 | size).to_bytes(2, "big") + tag.to_bytes(2, "big") + rest


def bad_frames():
    """(what follows the MAC header, the reason to refuse it or None, label)."""
    get_e = b"\x40\x01\x12\x34\xb1e"
    datagram = uncompressed_udp(get_e + bytes(146), False)
    return [
        (bytes.fromhex("7a"), "truncated", "a 6LoWPAN header that ends after its first byte"),
        (bytes.fromhex("7a0011fe80"), "truncated", "IPHC that promises 32 bytes of addresses and has 2"),
        (bytes.fromhex("00010203"), "lowpanNotALowpanFrame", "dispatch 00: not 6LoWPAN"),
        (
            bytes.fromhex("7e3d02"),
            "lowpanReservedMode",
            "IPHC with a reserved multicast mode (M=1, DAC=1, DAM=01)",
        ),
        (
            bytes.fromhex("7ef755f3010000") + b"hello",
            "lowpanContextUnknown",
            "IPHC with context 5, which nobody announced",
        ),
        (fragment(0xC0, 200, 0x7777, datagram[:49]), None, "the first 48 bytes of a datagram of 200"),
        (
            fragment(0xE0, 200, 0x7777, b"\x05" + bytes(40)),
            "fragmentOverlap",
            "a fragment that overlaps the one before",
        ),
        (uncompressed_udp(get_e, True), "udpChecksumMismatch", "UDP with a wrong checksum"),
        (
            uncompressed_udp(b"\x49\x01\x12\x35" + bytes(9), False),
            "coapTokenLengthReserved",
            "CoAP with a token length of 9",
        ),
        (
            uncompressed_udp(b"\x40\x01\x12\x36\xff", False),
            "coapPayloadMarkerWithoutPayload",
            "CoAP with a payload marker and no payload",
        ),
    ]


class Intruder:
    def __init__(self, lowpan, wpan):
        self.coap = CoapNode("intruder", lowpan)
        self.wpan = wpan
        self.sequence = 0x40

    def note(self, label, expect, kind="envelope", cls=1, **more):
        return {"label": label, "expect": expect, "kind": kind, "class": CLASSES[cls]} | more

    async def handle(self, command):
        how = command["op"]
        owner = Identity.load("owner")
        reading = b"\x81\xa2\x00dbolt\x03donly"
        if how == "forge":
            # A seq far ahead: whoever trusts it before checking the signature refuses the true lock from then on.
            message = envelope.make(
                Identity.load("lock"),
                1,
                [owner],
                1000,
                envelope.SENML_CBOR,
                reading,
                signing_key=ec.generate_private_key(ec.SECP256R1()),
            )
            note = self.note(
                "said to be from the lock, signed with another key",
                "coseSignatureInvalid",
                seq=1000,
                **{"from": "lock"},
            )
        elif how == "stranger":
            message = envelope.make(Identity.create("stranger"), 1, [owner], 1, envelope.SENML_CBOR, reading)
            note = self.note(
                "well signed, by somebody the group does not know", "envelopeSenderUnknown", seq=1
            )
        elif how == "replay":
            message = bytes.fromhex(command["payload"])
            note = self.note(
                "an envelope of the lock, heard before, sent again",
                "envelopeReplay",
                seq=command["seq"],
                **{"from": "lock"},
            )
        elif how == "plain":
            body = json.dumps([{"n": "rain", "u": "mm", "v": 99}], separators=(",", ":")).encode()
            note = self.note("a plain reading from a radio that nobody knows", "nodeUnknown", "plain", 0)
            response = await self.coap.post(body, envelope.SENML_JSON, note)
            return {"code": response.code.dotted}
        elif how == "bad_frames":
            return self.send_bad_frames()
        else:
            raise ValueError(how)
        response = await self.coap.post(message, envelope.COSE_SIGN1, note)
        return {"code": response.code.dotted}

    def send_bad_frames(self):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IEEE802154)) as radio:
            radio.bind((self.wpan, 0))
            for payload, reason, label in bad_frames():
                frame = mac_header(home.GATEWAY_EUI64, home.INTRUDER_EUI64, self.sequence) + payload
                self.sequence += 1
                radio.send(frame)
                control.tell(
                    {"frame": {"time": time.time(), "bytes": frame.hex(), "expect": reason, "label": label}}
                )
        return {}


async def main(lowpan, wpan):
    intruder = Intruder(lowpan, wpan)
    await intruder.coap.start()
    await control.serve(intruder.handle)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
