"""A simulated radio node over ZEP (UDP), written from how RIOT's native nodes speak it: MAC with acknowledgments and
retries, uncompressed and IPHC 6LoWPAN, one UDP port, CoAP by aiocoap's message codec.

    zepnode.py HOST:PORT EUI64 GATEWAY-EUI64 PAN CHANNEL COMMAND...
        post TEXT        POST /e with text/plain, waits for the answer
        get              GET /e, prints code and payload length
        rs               router solicitation, prints what the advertisement offers
        bench COUNT      COUNT posts of 20 bytes one after another, prints microseconds of each, a line

Independent of Pangate: it shares no code with it."""

import ipaddress
import secrets
import select
import socket
import struct
import sys
import time

import aiocoap
from aiocoap.numbers.contentformat import ContentFormat

ACK_WAIT, RETRIES = 0.1, 5


def crc(data):
    """CRC-16/KERMIT."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
    return value


def checksum(source, destination, protocol, data):
    pseudo = source.packed + destination.packed + struct.pack("!I3xB", len(data), protocol) + data
    pseudo += b"\0" * (len(pseudo) % 2)
    total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


def link_local(eui64):
    iid = bytearray(eui64)
    iid[0] ^= 2
    return ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + bytes(iid))


class Node:
    def __init__(self, server, eui64, gateway, pan, channel):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # Like a node, it hears that address and port only.
        self.socket.connect(server)
        self.eui64, self.gateway = eui64, gateway
        self.pan, self.channel = pan, channel
        self.sequence = secrets.randbelow(256)
        self.message_id = secrets.randbelow(65536)
        self.tag = secrets.randbelow(65536)
        self.zep_sequence = 0
        self.packets = []
        self.fragments = {}
        self.seen = None
        self.acknowledgments = self.retries = 0
        hello = b"EX\x02\xff" + bytes(17) + b"HELLO" + bytes(5) + bytes([len(eui64)]) + eui64
        self.socket.send(hello)

    # Radio

    def put(self, frame):
        self.zep_sequence += 1
        frame += struct.pack("<H", crc(frame))
        now = time.time() + 2208988800
        header = struct.pack(
            "!2sBBBHBBIII10xB", b"EX", 2, 1, self.channel, 1, 1, 255, int(now), int(now % 1 * 2**32),
            self.zep_sequence, len(frame),
        )
        self.socket.send(header + frame)

    def get(self, deadline):
        """The next frame for this node that is not an acknowledgment; acknowledges it. None at the deadline."""
        while True:
            frame = self.raw(deadline)
            if frame is None:
                return None
            control = int.from_bytes(frame[:2], "little")
            if control & 7 != 1:
                continue
            destination_mode, source_mode = control >> 10 & 3, control >> 14 & 3
            position = 3
            pan = int.from_bytes(frame[position : position + 2], "little")
            length = {2: 2, 3: 8}[destination_mode]
            destination = frame[position + 2 : position + 2 + length][::-1]
            position += 2 + length
            if not control & 0x40:
                position += 2
            source = frame[position : position + {2: 2, 3: 8}[source_mode]][::-1]
            position += len(source)
            if pan not in (self.pan, 0xFFFF) or destination not in (self.eui64, b"\xff\xff"):
                continue
            if control & 0x20 and destination == self.eui64:
                self.put(bytes([2, 0, frame[2]]))
            if (source, frame[2]) == self.seen:
                continue
            self.seen = (source, frame[2])
            return source, destination, frame[position:]

    def raw(self, deadline):
        while (wait := deadline - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], wait)[0]:
                return None
            data = self.socket.recv(256)
            if data[:4] != b"EX\x02\x01" or data[4] != self.channel or len(data) != 32 + data[31]:
                continue
            frame = data[32:]
            if crc(frame[:-2]) == int.from_bytes(frame[-2:], "little"):
                return frame[:-2]
        return None

    def send(self, payload, destination):
        """Sends one frame; with an acknowledgment unless it is for all."""
        self.sequence = (self.sequence + 1) % 256
        unicast = destination == self.gateway
        control = 0x0041 | 3 << 14 | (3 if unicast else 2) << 10 | (0x20 if unicast else 0)
        frame = struct.pack("<HBH", control, self.sequence, self.pan) + destination[::-1] + self.eui64[::-1] + payload
        if not unicast:
            return self.put(frame)
        for attempt in range(RETRIES + 1):
            self.retries += attempt > 0
            self.put(frame)
            deadline = time.monotonic() + ACK_WAIT
            while (answer := self.raw(deadline)) is not None:
                if answer[:1] == b"\x02" and len(answer) == 3 and answer[2] == self.sequence:
                    self.acknowledgments += 1
                    return
                self.packets.append(answer)
        raise SystemExit("the gateway does not acknowledge")

    # 6LoWPAN

    def send_packet(self, packet, destination):
        room = 127 - 2 - 5 - len(destination) - 8
        if len(packet) + 1 <= room:
            return self.send(b"\x41" + packet, destination)
        self.tag = (self.tag + 1) % 65536
        first = (room - 5) // 8 * 8
        head = struct.pack("!HH", 0xC000 | len(packet), self.tag)
        # An uncompressed dispatch takes the place of one octet more, not of the packet.
        self.send(head + b"\x41" + packet[:first], destination)
        position = first
        while position < len(packet):
            part = packet[position : position + (room - 5) // 8 * 8]
            self.send(struct.pack("!HHB", 0xE000 | len(packet), self.tag, position // 8) + part, destination)
            position += len(part)

    def receive_packet(self, deadline):
        while True:
            if self.packets:
                frame = self.packets.pop(0)
                got = self.parse(frame)
            else:
                got = self.get(deadline)
                if got is None:
                    return None
            if got is None:
                continue
            source, destination, payload = got
            packet = self.reassemble(source, destination, payload)
            if packet is not None:
                return packet

    def parse(self, frame):
        control = int.from_bytes(frame[:2], "little")
        if control & 7 != 1:
            return None
        # Put back what was read while an acknowledgment was awaited: acknowledge it now.
        length = {2: 2, 3: 8}[control >> 10 & 3]
        destination = frame[5 : 5 + length][::-1]
        position = 5 + length
        source = frame[position : position + 8][::-1]
        if control & 0x20 and destination == self.eui64:
            self.put(bytes([2, 0, frame[2]]))
        return source, destination, frame[position + 8 :]

    def reassemble(self, source, destination, payload):
        dispatch = payload[0]
        if dispatch >> 3 == 0b11000:
            size, tag = struct.unpack("!HH", payload[:4])
            self.fragments[tag] = [size & 0x7FF, self.decompress(source, destination, payload[4:], size & 0x7FF)]
        elif dispatch >> 3 == 0b11100:
            size, tag, offset = struct.unpack("!HHB", payload[:5])
            if tag in self.fragments and len(self.fragments[tag][1]) == offset * 8:
                self.fragments[tag][1] += payload[5:]
        else:
            return self.decompress(source, destination, payload, None)
        tag = struct.unpack("!H", payload[2:4])[0]
        if tag in self.fragments and len(self.fragments[tag][1]) >= self.fragments[tag][0]:
            return self.fragments.pop(tag)[1]
        return None

    def decompress(self, source, destination, payload, size):
        if payload[0] == 0x41:
            return payload[1:]
        assert payload[0] >> 5 == 3, f"dispatch {payload[0]:#x}"
        first, second, position = payload[0], payload[1], 2
        if second & 0x80:
            position += 1
        if first >> 3 & 3 != 3:
            position += {0: 4, 1: 3, 2: 1}[first >> 3 & 3]
        following = None
        if not first & 4:
            following, position = payload[position], position + 1
        hops = {1: 1, 2: 64, 3: 255}.get(first & 3)
        if hops is None:
            hops, position = payload[position], position + 1

        def address(mode, mac):
            nonlocal position
            length = {0: 16, 1: 8, 2: 2, 3: 0}[mode]
            part = payload[position : position + length]
            position += length
            if mode == 0:
                return part
            prefix = b"\xfe\x80" + bytes(6)
            if mode == 1:
                return prefix + part
            if mode == 2:
                return prefix + b"\0\0\0\xff\xfe\0" + part
            return link_local(mac).packed if len(mac) == 8 else prefix + b"\0\0\0\xff\xfe\0" + mac

        assert not second & 0x44, "a context, though this node has none"
        sender = address(second >> 4 & 3, source)
        if second & 8:
            length = {0: 16, 1: 6, 2: 4, 3: 1}[second & 3]
            part = payload[position : position + length]
            position += length
            receiver = part if length == 16 else (
                b"\xff\x02" + bytes(13) + part if length == 1 else b"\xff" + part[:1] + bytes(16 - 1 - length) + part[1:]
            )
        else:
            receiver = address(second & 3, destination)
        rest = payload[position:]
        if first & 4:
            assert rest[0] >> 3 == 0b11110, f"NHC {rest[0]:#x}"
            kind, rest = rest[0], rest[1:]
            form = kind & 3
            if form == 0:
                ports, rest = rest[:4], rest[4:]
            elif form == 1:
                ports, rest = rest[:2] + b"\xf0" + rest[2:3], rest[3:]
            elif form == 2:
                ports, rest = b"\xf0" + rest[:3], rest[3:]
            else:
                ports, rest = struct.pack("!HH", 0xF0B0 | rest[0] >> 4, 0xF0B0 | rest[0] & 15), rest[1:]
            assert not kind & 4, "elided checksum"
            udp_length = (size - 40) if size else len(rest) - 2 + 8
            rest = ports + struct.pack("!H", udp_length) + rest
            following = 17
        length = (size - 40) if size else len(rest)
        return struct.pack("!IHBB", 0x60000000, length, following, hops) + sender + receiver + rest

    # IPv6

    def packet(self, protocol, hops, destination, data):
        source = link_local(self.eui64)
        head = struct.pack("!IHBB", 0x60000000, len(data), protocol, hops)
        return head + source.packed + destination.packed + data

    def solicit(self):
        """A router solicitation to all routers; returns the options of the advertisement, type to data."""
        all_routers = ipaddress.IPv6Address("ff02::2")
        body = struct.pack("!BBHI", 133, 0, 0, 0) + b"\x01\x02" + self.eui64 + bytes(6)
        value = checksum(link_local(self.eui64), all_routers, 58, body)
        body = body[:2] + struct.pack("!H", value) + body[4:]
        self.send_packet(self.packet(58, 255, all_routers, body), b"\xff\xff")
        deadline = time.monotonic() + 30
        while (packet := self.receive_packet(deadline)) is not None:
            if packet[6] == 58 and packet[40] == 134:
                options, rest = {}, packet[56:]
                while rest:
                    options.setdefault(rest[0], rest[2 : rest[1] * 8])
                    rest = rest[rest[1] * 8 :]
                return options
        raise SystemExit("no router advertisement")

    # CoAP

    def request(self, code, path, payload=b"", content_format=None):
        message = aiocoap.Message(code=code, payload=payload, uri_path=path)
        if content_format is not None:
            message.opt.content_format = ContentFormat(content_format)
        message.mtype = aiocoap.CON
        self.message_id = (self.message_id + 1) % 65536
        message.mid = self.message_id
        message.token = secrets.token_bytes(2)
        gateway = link_local(self.gateway)
        data = message.encode()
        datagram = struct.pack("!HHHH", 40000, 5683, len(data) + 8, 0) + data
        value = checksum(link_local(self.eui64), gateway, 17, datagram)
        datagram = datagram[:6] + struct.pack("!H", value) + datagram[8:]
        packet = self.packet(17, 64, gateway, datagram)
        for attempt in range(5):
            self.send_packet(packet, self.gateway)
            deadline = time.monotonic() + 2 * 2**attempt
            while (answer := self.receive_packet(deadline)) is not None:
                if answer[6] != 17 or answer[40:44] != struct.pack("!HH", 5683, 40000):
                    continue
                source = ipaddress.IPv6Address(answer[8:24])
                udp = answer[40:]
                sent = struct.unpack("!H", udp[6:8])[0]
                own = ipaddress.IPv6Address(answer[24:40])
                assert checksum(source, own, 17, udp[:6] + b"\0\0" + udp[8:]) == sent, "checksum"
                response = aiocoap.Message.decode(udp[8:])
                if response.token == message.token:
                    return response
        raise SystemExit("no answer")


def main(server, eui64, gateway, pan, channel, command, *arguments):
    host, port = server.rsplit(":", 1)
    node = Node((host, int(port)), bytes.fromhex(eui64), bytes.fromhex(gateway), int(pan, 0), int(channel))
    if command == "rs":
        options = node.solicit()
        prefix = options[3]
        print(f"prefix {ipaddress.IPv6Address(prefix[14:30])}/{prefix[0]} flags {prefix[1]:#04x} options {sorted(options)}")
    elif command == "post":
        response = node.request(aiocoap.POST, ["e"], arguments[0].encode(), 0)
        print(f"{response.code} acknowledged {node.acknowledgments} retries {node.retries}")
    elif command == "get":
        response = node.request(aiocoap.GET, ["e"])
        print(f"{response.code} {len(response.payload)}")
    elif command == "bench":
        for number in range(int(arguments[0])):
            start = time.perf_counter()
            response = node.request(aiocoap.POST, ["e"], f"{number:020d}".encode(), 0)
            assert response.code.is_successful(), response.code
            print(round((time.perf_counter() - start) * 1e6))


if __name__ == "__main__":
    main(*sys.argv[1:])
