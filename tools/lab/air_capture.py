"""What is on the air, counted from outside: a ZEP link that is watched, and what 6LoWPAN makes of datagrams and segments.

Frames are counted with their FCS (IEEE 802.15.4), acknowledgments apart. Nothing of Pangate's code is used.
"""

import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

MTU, FCS = 127, 2


@dataclass
class Packet:
    """An IPv6 packet on the air: its frames and their bytes."""

    time: float
    out: bool  # the node sends it
    protocol: int  # 17 UDP, 58 ICMPv6
    sizes: list = field(default_factory=list)
    head: bytes = b""  # what was in the first frame behind the compressed headers
    whole: int = 0  # bytes of the UDP payload
    headers: int = 0  # bytes of IPHC and NHC

    @property
    def is_coap(self):
        return self.protocol == 17


def mac(frame):
    """(header length, destination, source) of a data frame with PAN compression (IEEE 802.15.4-2020, 7.2)."""
    control = int.from_bytes(frame[:2], "little")
    lengths = {0: 0, 2: 2, 3: 8}
    to, sender = lengths[control >> 10 & 3], lengths[control >> 14 & 3]
    assert control & 0x40, "two PANs"
    assert not control & 8, "secured"
    return 5 + to + sender, frame[5 : 5 + to][::-1], frame[5 + to : 5 + to + sender][::-1]


def uncompress(data):
    """(protocol, bytes of IPHC and NHC, what follows) of a compressed packet (RFC 6282)."""
    assert data[0] >> 5 == 3, f"dispatch {data[0]:#x}"
    first, second, at = data[0], data[1], 2
    at += second >> 7
    at += {0: 4, 1: 3, 2: 1, 3: 0}[first >> 3 & 3]
    protocol = None
    if not first & 4:
        protocol, at = data[at], at + 1
    at += first & 3 == 0
    at += (0 if second & 0x40 and not second >> 4 & 3 else {0: 16, 1: 8, 2: 2, 3: 0}[second >> 4 & 3])
    if second & 8:
        at += {0: 16, 1: 6, 2: 4, 3: 1}[second & 3]
    else:
        at += {0: 16, 1: 8, 2: 2, 3: 0}[second & 3]
    if protocol is not None:
        return protocol, at, data[at:]
    assert data[at] >> 3 == 0b11110, f"NHC {data[at]:#x}"
    kind = data[at]
    at += 1 + {0: 4, 1: 3, 2: 3, 3: 1}[kind & 3] + (0 if kind & 4 else 2)
    return 17, at, data[at:]


class Tap(threading.Thread):
    """Stands between nodes and the gateway's ZEP port, one peer to the gateway, and keeps every frame from or for them.

    A frame that is the same as the last of its direction is a retry of the MAC, and no part of a packet."""

    def __init__(self, gateway_port):
        super().__init__(daemon=True)
        self.inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.inside.bind(("127.0.0.1", 0))
        self.port = self.inside.getsockname()[1]
        self.outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.outside.connect(("127.0.0.1", gateway_port))
        self.frames, self.acknowledgments, self.retries = [], 0, 0
        self.lock = threading.Lock()
        self.wake = socket.socketpair()
        self.start()

    def run(self):
        nodes = set()
        while True:
            ready = select.select([self.inside, self.outside, self.wake[0]], [], [])[0]
            if self.wake[0] in ready:
                return
            if self.inside in ready:
                data, node = self.inside.recvfrom(512)
                nodes.add(node)
                self.keep(True, data)
                self.outside.send(data)
            if self.outside in ready:
                data = self.outside.recv(512)
                self.keep(False, data)
                for node in nodes:
                    self.inside.sendto(data, node)

    def keep(self, out, data):
        if data[:4] != b"EX\x02\x01":
            return
        frame = data[32:]
        assert len(frame) == data[31] <= MTU
        with self.lock:
            if frame[0] & 7 == 2:
                self.acknowledgments += 1
                return
            last = next((kept for kept in reversed(self.frames) if kept[1] == out), None)
            again = last is not None and last[2] == frame
            self.retries += again
            # A node counts what it sends once, and what it hears as often as it hears it.
            if not (again and out):
                self.frames.append((time.monotonic(), out, frame, again))

    def close(self):
        self.wake[1].send(b"x")
        self.join()
        for part in (self.inside, self.outside, *self.wake):
            part.close()

    def quiet(self, seconds):
        """Waits until nothing was heard for so long; how many frames there are."""
        begun = time.monotonic()
        while True:
            with self.lock:
                last, count = max(begun, self.frames[-1][0] if self.frames else 0), len(self.frames)
            wait = last + seconds - time.monotonic()
            if wait <= 0:
                return count
            time.sleep(wait)

    def between(self, since, until):
        """The frames behind (sent, received) `since` of them, to `until`: as a node's own counters tell."""
        with self.lock:
            counts, chosen = [0, 0], []
            for frame in self.frames:
                way = 0 if frame[1] else 1
                counts[way] += 1
                if since[way] < counts[way] <= until[way]:
                    chosen.append(frame)
        return chosen


def packets(frames):
    """The packets that the frames carry, each where its first frame is."""
    found, parts = [], {}
    for when, out, frame, again in frames:
        if again:
            continue
        data = frame[mac(frame)[0] : -FCS]
        size = tag = None
        if data[0] >> 3 in (0b11000, 0b11100):
            size, tag = struct.unpack("!HH", data[:4])
            size &= 0x7FF
            if data[0] >> 3 == 0b11100:
                parts[out, tag].sizes.append(len(frame))
                continue
            data = data[4:]
        protocol, headers, rest = uncompress(data)
        packet = Packet(when, out, protocol, [len(frame)], rest, size - 48 if size else len(rest), headers)
        if tag is not None:
            parts[out, tag] = packet
        found.append(packet)
    return found


def on_air(compressed, original, payload, header=21):
    """Sizes of the frames, FCS and all, of a packet: `compressed` bytes stand for `original` ones of headers, `payload`
    follows (RFC 4944, 5.3: offsets count the uncompressed packet in units of 8). `header`: of the MAC."""
    room = MTU - header - FCS
    if compressed + payload <= room:
        return [header + compressed + payload + FCS]
    part = (room - 4 - compressed + original) // 8 * 8 - original
    sizes, left = [header + 4 + compressed + part + FCS], payload - part
    while left > 0:
        part = min(left, (room - 5) // 8 * 8)
        sizes.append(header + 5 + part + FCS)
        left -= part
    return sizes
