"""Plain CoAP, CoAP over DTLS and MQTT over TLS: air_peers.py measure, as root of a network name space of its own.

Prints JSON: for each exchange its datagrams or segments, as captured on loopback: [device sends it, bytes of IP payload].
"""

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

READING, KEY = b"0123456789", "0123456789abcdef"
IPV6_HEADER, ETHERNET = 40, 14
QUIET = 0.7


class Capture(threading.Thread):
    """Everything that loopback carries over IPv6; a socket of one protocol sees what arrives, so each packet once."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86DD))
        self.socket.bind(("lo", 0))
        self.seen = []
        self.start()

    def run(self):
        while True:
            data = self.socket.recv(65536)
            if data[ETHERNET + 6] in (6, 17):
                self.seen.append((data[ETHERNET + 6], data[ETHERNET + IPV6_HEADER :]))

    def take(self, server_port, device_is_client=True, port=None):
        """What came since the last call and has one end at `server_port` (and the other at `port`), when all is quiet."""
        count = -1
        while count != len(self.seen):
            count = len(self.seen)
            time.sleep(QUIET)
        taken, self.seen = self.seen, []
        found = []
        for _, payload in taken:
            source, destination = int.from_bytes(payload[:2], "big"), int.from_bytes(payload[2:4], "big")
            if server_port in (source, destination) and port in (None, source, destination):
                found.append(((destination == server_port) == device_is_client, payload))
        return found


def run(*words, **more):
    return subprocess.run(words, check=True, capture_output=True, **more).stdout


def plain(packets):
    return [[out, len(payload)] for out, payload in packets]


def until_listening(port, kind):
    """Until something listens; nothing is sent for it."""
    for _ in range(200):
        table = Path(f"/proc/net/{kind}6").read_text().splitlines()[1:]
        if any(line.split()[1].endswith(f":{port:04X}") for line in table):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def split(packets):
    """A DTLS 1.2 session: its handshake, its data, its end, by the type of the first record (RFC 6347, 4.1)."""
    parts = {"handshake": [], "data": [], "end": []}
    for out, payload in packets:
        kind = {20: "handshake", 22: "handshake", 23: "data", 21: "end"}[payload[8]]
        parts[kind].append([out, len(payload)])
    return parts


def coap(capture):
    """libcoap, plain and over DTLS with its own choice of suite."""
    server = subprocess.Popen(["coap-server-openssl", "-A", "::1", "-k", KEY, "-h", "hint", "-d", "10"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until_listening(5683, "udp")
    result, bytes_of = {}, {}
    post, put = ["-m", "post", "-t", "112", "-e", READING.decode()], ["-m", "put", "-e", "open"]
    requests = [("reading", "e", post), ("command", "lock", put)]
    for name, path, words in requests:
        # Once before, so that the resource is there.
        run("coap-client-openssl", "-m", "put", "-e", "x", f"coap://[::1]/{path}")
        capture.take(5683)
        run("coap-client-openssl", *words, f"coap://[::1]/{path}")
        packets = capture.take(5683, device_is_client=name == "reading")
        assert len(packets) == 2 and all(payload[9] >> 5 in (0, 2) for _, payload in packets), packets
        bytes_of[name] = [payload[8:] for _, payload in packets]
        result[f"plain {name}"] = plain(packets)
        run("coap-client-openssl", *words, "-u", "node", "-k", KEY, f"coaps://[::1]/{path}")
        parts = split(capture.take(5684, device_is_client=name == "reading"))
        result |= {f"dtls {name} {part}": packets for part, packets in parts.items()}
    server.terminate()
    server.wait()
    return result, bytes_of


def dtls_small(capture, bytes_of):
    """The same CoAP messages over the suite that RFC 7252, 9.1.3.1 makes mandatory: TLS_PSK_WITH_AES_128_CCM_8."""
    result = {}
    common = ["-dtls1_2", "-psk", KEY.encode().hex(), "-cipher", "PSK-AES128-CCM8:@SECLEVEL=0", "-quiet"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "bufsize": 0}
    for name, (request, response) in bytes_of.items():
        # With the cookie exchange that a server on an open network needs, and without tickets.
        server = subprocess.Popen(["openssl", "s_server", *common, "-nocert", "-accept", "[::1]:5690", "-listen", "-no_ticket"],
                                  **pipes)
        until_listening(5690, "udp")
        client = subprocess.Popen(["openssl", "s_client", *common, "-psk_identity", "node", "-no_ticket", "-connect",
                                   "[::1]:5690"], **pipes)
        packets = capture.take(5690, name == "reading")
        client.stdin.write(request)
        assert wait_read(server.stdout) == request
        server.stdin.write(response)
        assert wait_read(client.stdout) == response
        packets += capture.take(5690, name == "reading")
        client.terminate()
        server.terminate()
        client.wait()
        server.wait()
        capture.take(5690)
        result |= {f"dtls-ccm8 {name} {part}": found for part, found in split(packets).items()}
    return result


def wait_read(pipe):
    assert select.select([pipe], [], [], 10)[0], "nothing came"
    return os.read(pipe.fileno(), 65536)


def mqtt(capture, work):
    """mosquitto over TLS with a certificate of P-256: connection, a PUBLISH with QoS 1 each way, TCP's part too."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", f"{work}/key.pem", "-out",
        f"{work}/cert.pem")
    (work / "conf").write_text(
        f"user root\nlistener 8883 ::1\nallow_anonymous true\ncertfile {work}/cert.pem\nkeyfile {work}/key.pem\n"
    )
    broker = subprocess.Popen(["mosquitto", "-c", str(work / "conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until_listening(8883, "tcp")
    common = ["-h", "::1", "-p", "8883", "--cafile", f"{work}/cert.pem", "--insecure", "-q", "1"]
    device = subprocess.Popen(["mosquitto_pub", *common, "-i", "node", "-t", "e", "-l"], stdin=subprocess.PIPE, bufsize=0)
    result = {"mqtt reading connection": plain(capture.take(8883))}
    for _ in range(2):  # The second is what every later one is.
        device.stdin.write(READING + b"\n")
        result["mqtt reading"] = plain(capture.take(8883))
    device.stdin.close()
    device.wait()
    capture.take(8883)
    listener = subprocess.Popen(["mosquitto_sub", *common, "-i", "lock", "-t", "lock"], stdout=subprocess.DEVNULL)
    packets = capture.take(8883)
    result["mqtt command connection"] = plain(packets)
    port = next(int.from_bytes(payload[:2], "big") for out, payload in packets if out)
    for _ in range(2):
        run("mosquitto_pub", *common, "-i", "phone", "-t", "lock", "-m", "open")
        result["mqtt command"] = plain(capture.take(8883, port=port))
    for process in (listener, broker):
        process.terminate()
        process.wait()
    return result


def main():
    run("ip", "link", "set", "lo", "mtu", "1280", "up")
    capture = Capture()
    result, bytes_of = coap(capture)
    result |= dtls_small(capture, bytes_of)
    with tempfile.TemporaryDirectory() as work:
        result |= mqtt(capture, Path(work))
    print(json.dumps(result))


def measure():
    """Runs this file in a network name space of its own; its figures."""
    flags = ["-n"] if os.geteuid() == 0 else ["-rn"]
    return json.loads(run("unshare", *flags, sys.executable, __file__, "measure"))


if __name__ == "__main__":
    main()
