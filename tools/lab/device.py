"""One device of the demo home: device.py NAME INTERFACE. Runs in its own network name space.

Its identity, class and readers come from the home's table and Config/demo; what it does next, from the scenario.
"""

import asyncio
import json
import socket
import sys
import time

import cbor2

import control
import detcbor
import envelope
import home
from coapnode import CoapNode
from identity import Identity

CLASSES = ["no-consequence", "auth-only", "confidential"]


def senml(member, records, as_json):
    """A SenML pack (RFC 8428) with the device's EUI-64 as base name; CBOR labels from its table 4."""
    base = f"urn:dev:mac:{member.eui64}:"
    pack = [
        {"n": name, "u": unit, "v": value} if unit else {"n": name, "vs": value}
        for name, unit, value in records
    ]
    pack[0] = {"bn": base} | pack[0]
    if as_json:
        return json.dumps(pack, separators=(",", ":")).encode()
    labels = {"bn": -2, "n": 0, "u": 1, "v": 2, "vs": 3}
    return detcbor.dumps([{labels[key]: value for key, value in record.items()} for record in pack])


class Device:
    def __init__(self, name, interface):
        self.member = home.BY_NAME[name]
        self.identity = Identity.load(name)
        self.readers = [Identity.load(reader) for reader in self.member.readers]
        self.commanders = {peer.fp8: peer for peer in map(Identity.load, self.member.commanders)}
        self.coap = CoapNode(name, interface)
        self.interface = interface
        self.seq = 0
        self.commanded = {}  # highest seq obeyed, by sender

    def next_seq(self):
        self.seq += 1
        return self.seq

    def note(self, label, expect="accepted", cls=None, kind="envelope", **more):
        cls = self.member.cls if cls is None else cls
        return {
            "from": self.member.name,
            "label": label,
            "kind": kind,
            "class": CLASSES[cls],
            "expect": expect,
        } | more

    async def send(self, payload, content_format, note, command):
        response = await self.coap.post(
            payload, content_format, note, command.get("via", "link-local"), command.get("block")
        )
        return {"code": response.code.dotted}

    async def report(self, command):
        """A reading, protected as the device's class demands."""
        plain = senml(self.member, command["records"], as_json=command.get("json", False))
        content_format = envelope.SENML_JSON if command.get("json") else envelope.SENML_CBOR
        if self.member.cls == envelope.NO_CONSEQUENCE:
            return await self.send(plain, content_format, self.note(command["label"], kind="plain"), command)
        seq = self.next_seq()
        to = self.readers[: command.get("readers", 1)]
        message = envelope.make(self.identity, self.member.cls, to, seq, content_format, plain)
        note = self.note(command["label"], seq=seq, to=[peer.name for peer in to])
        return await self.send(message, envelope.COSE_SIGN1, note, command)

    async def poll(self, command):
        """Wakes up and asks for held messages; obeys, confirms and answers each."""
        obeyed = []
        via = command.get("via", "link-local")
        response = await self.coap.get("/e", via, command.get("block"))
        while response.payload:
            number = int.from_bytes(response.opt.etag, "big")
            obeyed.append(self.obey(response.payload))
            if command["confirm"] == "delete":
                await self.coap.delete(f"/e/{number}", via)
                following = None
            else:
                following = await self.coap.get(f"/e?done={number}", via)
            await self.answer(obeyed[-1], command)
            if following is None:
                break
            response = following
        return {"obeyed": [f"{entry['method']} /{entry['path']} {entry['payload']}" for entry in obeyed]}

    def obey(self, data):
        message = envelope.Envelope(data)
        sender = self.commanders.get(message.sender)
        if sender is None:
            raise envelope.Rejected("envelopeNotAllowed")
        message.verify(sender.verifying)
        if self.identity.fp8 not in message.to:
            raise envelope.Rejected("envelopeNotForUs")
        if message.seq <= self.commanded.get(message.sender, 0):
            raise envelope.Rejected("envelopeReplay")
        if time.time() > message.iat + message.ttl:
            raise envelope.Rejected("envelopeExpired")
        self.commanded[message.sender] = message.seq
        content_format, payload = message.open(self.identity)
        assert content_format == envelope.COAP_MESSAGE
        code, options, body = cbor2.loads(payload)
        path = b"/".join(value for number, value in zip(options[::2], options[1::2]) if number == 11)
        entry = {"method": {3: "PUT"}[code], "path": path.decode(), "payload": body.decode()}
        control.tell({"acted": entry, "by": sender.name, "seq": message.seq})
        return entry | {"sender": sender, "seq": message.seq}

    async def answer(self, entry, command):
        seq = self.next_seq()
        receipt = envelope.make(
            self.identity,
            self.member.cls,
            [entry["sender"]],
            seq,
            envelope.RECEIPT,
            detcbor.dumps({1: 0}),
            ext={1: entry["seq"]},
        )
        note = self.note(
            f"receipt for {entry['method']} /{entry['path']}",
            kind="receipt",
            seq=seq,
            to=[entry["sender"].name],
            inReplyTo=entry["seq"],
        )
        await self.send(receipt, envelope.COSE_SIGN1, note, command)

    async def misbehave(self, command):
        """What a broken, rebooted or taken-over device might send."""
        how = command["how"]
        to = self.readers[:1]
        plain = senml(self.member, command["records"], as_json=False)
        common = {"content_format": envelope.SENML_CBOR, "payload": plain}
        own = self.member.cls
        if how == "plain":
            note = self.note(
                "a plain reading from a device that must sign", "envelopePlainRefused", 0, "plain"
            )
            return await self.send(plain, envelope.SENML_CBOR, note, command)
        if how == "same-seq":
            seq = self.seq
            message = envelope.make(self.identity, own, to, seq, **common)
            note = self.note("the last seq again, with other content", "envelopeReplayOtherBytes", seq=seq)
        elif how == "truncated":
            seq = self.next_seq()
            message = envelope.make(self.identity, own, to, seq, **common)
            message = message[: len(message) // 2]
            note = self.note("the first half of an envelope", "truncated")
        elif how == "expired":
            seq = self.next_seq()
            message = envelope.make(
                self.identity, own, to, seq, iat=int(time.time()) - 3600, ttl=60, **common
            )
            note = self.note(
                "an envelope of an hour ago that was good for a minute", "envelopeExpired", seq=seq
            )
        elif how == "weak":
            seq = self.next_seq()
            message = envelope.make(self.identity, envelope.AUTH_ONLY, to, seq, **common)
            note = self.note(
                "signed only, from a device that must encrypt", "envelopeClassTooWeak", 1, seq=seq
            )
        elif how == "not-confidential":
            seq = self.next_seq()
            message = envelope.make(self.identity, own, to, seq, plain_inside=True, **common)
            note = self.note("said to be confidential, and readable", "envelopeNotConfidential", seq=seq)
        elif how == "not-allowed":
            seq = self.next_seq()
            order = detcbor.dumps([3, [11, b"lock"], b"open"])
            message = envelope.make(
                self.identity, own, [Identity.load("lock")], seq, envelope.COAP_MESSAGE, order
            )
            note = self.note("a command to the lock, from one who may not", "envelopeNotAllowed", seq=seq)
        else:
            raise ValueError(how)
        return await self.send(message, envelope.COSE_SIGN1, note, command)

    async def ping(self, command):
        """One ICMPv6 echo; the kernel fills in the checksum."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as icmp:
            icmp.setblocking(False)
            scope = socket.if_nametoindex(self.interface) if command["to"].startswith("fe80") else 0
            ident = self.seq.to_bytes(2, "big") + b"\x00\x01"
            await loop.sock_sendto(
                icmp, b"\x80\0\0\0" + ident + b"pangate ping", (command["to"], 0, 0, scope)
            )
            async with asyncio.timeout(30):
                while (await loop.sock_recv(icmp, 256))[0] != 129:
                    pass
        return {}

    async def handle(self, command):
        return await getattr(self, command["op"])(command)


async def main(name, interface):
    device = Device(name, interface)
    await device.coap.start()
    await control.serve(device.handle)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
