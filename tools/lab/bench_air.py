"""Frames and bytes on the air, and processor time at the gateway: bench_air.py PANGATE [--quick] [air | processor]."""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "peers")]

import air_capture  # noqa: E402
import air_home  # noqa: E402
import air_peers  # noqa: E402
import zepnode  # noqa: E402

QUICK = "--quick" in sys.argv
CROWD, SECONDS = (5, 8) if QUICK else (20, 20)
READINGS = 4
# What stands for 40 bytes of IPv6 and 8 of UDP between link-local neighbours, and for IPv6 alone before TCP, which RFC 6282
# cannot compress. The first is checked against every frame that is heard, the second against fragments of an echo.
UDP, IPV6 = 9, 3


def cost(sizes):
    """(frames, bytes) sent and received, of (device sends it, sizes of its frames)."""
    parts = []
    for way in (True, False):
        frames = [size for out, packet in sizes if out == way for size in packet]
        parts += [len(frames), sum(frames)]
    return tuple(parts)


class Table:
    def __init__(self, title):
        print(f"\n{title}\n\n| path | frames out | bytes out | frames in | bytes in | frames | bytes |")
        print("|---|---|---|---|---|---|---|")
        self.first = None

    def row(self, name, sizes):
        sent, sent_bytes, received, received_bytes = cost(sizes)
        self.first = self.first or sent_bytes + received_bytes
        ratio = (sent_bytes + received_bytes) / self.first
        print(f"| {name} | {sent} | {sent_bytes} | {received} | {received_bytes} | {sent + received} | "
              f"{sent_bytes + received_bytes} ({ratio:.1f}) |", flush=True)


def udp_packets(frames):
    """Those of an exchange: neighbour discovery is not part of it."""
    found = [packet for packet in air_capture.packets(frames) if packet.protocol == 17]
    assert all(packet.headers == UDP for packet in found), found
    return found


def sizes(packets):
    return [(packet.out, packet.sizes) for packet in packets]


def readings(home, member):
    """The sizes of the first exchange and of a later one."""
    tap = air_capture.Tap(home.zep_port)
    node = air_home.Node(home, member, tap.port, "--every", "2", "--poll", "600")
    node.wait("reported", READINGS)
    cuts = node.cuts("reported")
    node.end()
    home.check()
    assert not node.count("lost"), node.lines
    # Of a machine that is busy: an acknowledgment came too late. Counted once.
    if tap.retries:
        print(f"({member}: {tap.retries} retries left out)", file=sys.stderr)
    # The node's own counters say the same as what was overheard.
    for sent, sent_bytes, received, received_bytes in cuts:
        heard = tap.between((0, 0), (sent, received))
        assert cost([(out, [len(frame)]) for _, out, frame, _ in heard]) == (sent, sent_bytes, received, received_bytes)
    found, since = [], (0, 0)
    for sent, _, received, _ in cuts:
        found.append(sizes(udp_packets(tap.between(since, (sent, received)))))
        since = (sent, received)
    tap.close()
    # Behind the first comes the question for commands; the last ones are alike but for an ECDSA signature's place.
    assert cost(found[-1]) == cost(found[-2]), f"{member}: {found}"
    return found[0], found[-1]


def without(packets, empty):
    """Leaves out questions that found nothing: pairs of the sizes `empty`."""
    kept = []
    for packet in packets:
        if kept and empty and (kept[-1].out, kept[-1].whole, packet.out, packet.whole) == (True, empty[0], False, empty[1]):
            kept.pop()
        else:
            kept.append(packet)
    return kept


def commands(home, member, count=2, end_to_end=False):
    """The sizes of the first command, and of a later one."""
    tap = air_capture.Tap(home.zep_port)
    node = air_home.Node(home, member, tap.port, "--every", "3600", "--poll", "2")
    node.wait("reported")
    empty, signs = None, not member.endswith("-server")
    if signs:
        sent, _, received, _ = node.cuts("reported")[0]
        tap.quiet(0.5)
        question, answer = udp_packets(tap.between((sent, received), (10**6, 10**6)))[:2]
        empty = (question.whole, answer.whole)
    found = []
    for number in range(1, count + 1):
        since = tap.quiet(0.5)
        more = ["--end-to-end"] if end_to_end else []
        done = home.call("send", "--config", "phone.yaml", "--to", member, "--coap", "PUT /lock open", "--wait", "--timeout",
                         "40", *more, check=False)
        home.check()
        if done.returncode:
            print(f"({member}: not delivered: {done.stdout.strip()} {done.stderr.strip()})", file=sys.stderr)
            break
        node.wait("receipt" if signs else "served", number)
        until = tap.quiet(0.5)
        found.append(sizes(without(udp_packets(tap.frames[since:until]), empty)))
    node.end()
    tap.close()
    return found


def check_model(home):
    """An echo that the gateway sends in fragments, beside what `on_air` says of it; the sizes."""
    tap = air_capture.Tap(home.zep_port)
    gateway = bytes.fromhex(air_home.GATEWAY)
    server, eui64 = ("127.0.0.1", tap.port), bytes.fromhex("0270616e67000cff")
    node = zepnode.Node(server, eui64, gateway, int(air_home.PAN, 0), int(air_home.CHANNEL))
    there = zepnode.link_local(gateway)
    body = b"\x80\0\0\0" + b"\0\1\0\1" + bytes(500)
    value = zepnode.checksum(zepnode.link_local(node.eui64), there, 58, body)
    node.send_packet(node.packet(58, 64, there, body[:2] + value.to_bytes(2, "big") + body[4:]), gateway)
    assert node.receive_packet(time.monotonic() + 10)[40] == 129
    heard = [len(frame) for _, out, frame, _ in tap.frames if not out and frame[0] & 7 == 1]
    node.socket.close()
    tap.close()
    computed = air_capture.on_air(IPV6, 40, len(body))
    return heard, computed


def computed(packets, tcp=False):
    """The frames that captured datagrams or segments would take."""
    found = []
    for out, length in packets:
        if tcp:
            # Segments of loopback are within its MTU of 1280, as on 6LoWPAN.
            assert length <= 1240
            found.append((out, air_capture.on_air(IPV6, 40, length)))
        else:
            found.append((out, air_capture.on_air(UDP, 48, length - 8)))
    return found


def peers(table, measured, what):
    table.row(f"plain CoAP, libcoap, {'POST' if what == 'reading' else 'PUT'} (computed)", computed(measured[f"plain {what}"]))
    for name, key in [("DTLS 1.2 PSK, AES-128-CCM-8, openssl", "dtls-ccm8"), ("DTLS 1.2 PSK, libcoap's choice", "dtls")]:
        handshake, data = (computed(measured[f"{key} {what} {part}"]) for part in ("handshake", "data"))
        table.row(f"{name}: handshake and the first (computed)", handshake + data)
        table.row(f"{name}: later (computed)", data)
    connection, data = (computed(measured[key], tcp=True) for key in (f"mqtt {what} connection", f"mqtt {what}"))
    table.row("MQTT over TLS 1.3, mosquitto, QoS 1: connection and the first (computed)", connection + data)
    table.row("the same: later (computed)", data)


def air(home):
    heard, modelled = check_model(home)
    assert heard == modelled, f"the model is wrong: {heard} on the air, {modelled} computed"
    print(f"model checked: an echo of 508 bytes in fragments of {heard} bytes, heard and computed")
    measured = air_peers.measure()
    plain = readings(home, "plain")[1]
    table = Table("A 10-byte reading, confirmed; FCS counted, acknowledgments of frames not:")
    table.row("no-consequence: plain CoAP", plain)
    first, later = readings(home, "vouched")
    table.row("auth-only, vouched for, OSCORE: first, with EDHOC", first)
    table.row("auth-only, vouched for, OSCORE: later", later)
    table.row("auth-only, signed, plain hop", readings(home, "signed-plain-hop")[1])
    first, later = readings(home, "signed")
    table.row("auth-only, signed, OSCORE to the gateway: first, with EDHOC", first)
    table.row("auth-only, signed, OSCORE to the gateway: later", later)
    for member, text in [("sealed", "one reader"), ("sealed2", "two readers")]:
        table.row(f"confidential, sealed to {text}, plain hop", readings(home, f"{member}-plain-hop")[1])
        table.row(f"confidential, sealed to {text}, OSCORE to the gateway", readings(home, member)[1])
    peers(table, measured, "reading")

    table = Table("A command, `PUT /lock open`, with its receipt:")
    rows = [
        ("no-consequence: a plain CoAP server", "plain-server", False),
        ("auth-only, vouched for: a CoAP server under OSCORE", "vouched-server", False),
        ("auth-only, to a node that signs, plain hop", "signed-plain-hop", False),
        ("auth-only, to a node that signs, with a clock", "signed", False),
        ("auth-only, to a clockless node that signs: challenge, echo", "clockless", False),
        ("confidential, sealed to the node", "sealed", False),
        ("confidential, end to end", "sealed2", True),
    ]
    for text, member, end_to_end in rows:
        found = commands(home, member, end_to_end=end_to_end)
        if end_to_end and len(found) == 2:
            table.row(f"{text}: first, with EDHOC", found[0])
            table.row(f"{text}: later", found[1])
        elif found:
            table.row(text, found[-1])
    peers(table, measured, "command")


def openssl():
    """Seconds of a signature and of a verification."""
    text = subprocess.run(["openssl", "speed", "-seconds", "2", "ecdsap256"], check=True, capture_output=True, text=True).stdout
    signs, verifications = re.search(r"ecdsa.*?([\d.]+)\s+([\d.]+)\s*$", text).groups()
    return 1 / float(signs), 1 / float(verifications)


def processor(home):
    before = openssl()
    begun = home.processor_seconds()
    time.sleep(SECONDS / 2)
    idle = (home.processor_seconds() - begun) / (SECONDS / 2)
    found = {}
    for kind, names in home.crowds.items():
        tap = air_capture.Tap(home.zep_port)
        nodes = [air_home.Node(home, name, tap.port, "--every", "1", "--poll", "600") for name in names]
        for node in nodes:
            node.wait("reported", 2)
        counts, begun, clock = [node.count("reported") for node in nodes], home.processor_seconds(), time.monotonic()
        time.sleep(SECONDS)
        taken = sum(node.count("reported") for node in nodes) - sum(counts)
        spent = home.processor_seconds() - begun - idle * (time.monotonic() - clock)
        for node in nodes:
            node.end()
        tap.close()
        found[kind] = (taken, spent / taken)
    home.check()
    after = openssl()
    sign, verify = ((one + two) / 2 for one, two in zip(before, after))
    print(f"\nopenssl speed ecdsap256, before and after: {1 / sign:.0f} signatures and {1 / verify:.0f} verifications a second")
    print(f"gateway without traffic: {idle * 100:.1f} % of a core, subtracted\n")
    print("| envelope | of them | us of processor | beside openssl's verification | beside its signature |\n|---|---|---|---|---|")
    for kind, text in [("plain", "made of a plain reading: one signature"),
                       ("vouched", "made of a reading under OSCORE: one signature"),
                       ("signed", "signed by the node, OSCORE, three blocks: one verification")]:
        taken, seconds = found[kind]
        print(f"| {text} | {taken} | {seconds * 1e6:.0f} | {seconds / verify:.1f} | {seconds / sign:.1f} |")


def main(pangate):
    memory = Path("/dev/shm")
    directory = Path(tempfile.mkdtemp(prefix="pangate-air-", dir=memory if memory.is_dir() else None))
    home = air_home.Home(pangate, directory, CROWD)
    try:
        home.make()
        home.start()
        if "processor" not in sys.argv:
            air(home)
        if "air" not in sys.argv:
            processor(home)
    finally:
        home.stop()
    shutil.rmtree(directory)


if __name__ == "__main__":
    main(sys.argv[1])
