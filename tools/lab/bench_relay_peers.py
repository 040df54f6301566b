"""The same load on mosquitto (QoS 1) and nats-server (JetStream): bench_relay_peers.py mosquitto|nats ENVELOPES SENDERS SIZE.

Raw sockets and packets made beforehand, so that this program is not what is measured. Neither peer verifies a signature;
neither syncs the disk before it acknowledges.
"""

import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import relay_lab as lab

WINDOW = 64


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(port):
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def variable(length):
    out = bytearray()
    while True:
        byte, length = length % 128, length // 128
        out.append(byte | (0x80 if length else 0))
        if not length:
            return bytes(out)


def mosquitto(work, port):
    config = work / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {work}/\n"
        "max_queued_messages 0\nmax_inflight_messages 0\n"
    )
    return subprocess.Popen(["mosquitto", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def mqtt_connect(connection, name):
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(name).to_bytes(2, "big") + name
    connection.sendall(b"\x10" + variable(len(body)) + body)
    assert connection.recv(4)[0] == 0x20


def mqtt_packets(index, count, payload):
    topic = b"held/%d" % index
    for number in range(count):
        body = len(topic).to_bytes(2, "big") + topic + (number % 65535 + 1).to_bytes(2, "big") + payload
        yield b"\x32" + variable(len(body)) + body


def mqtt_hold(port, senders):
    """A subscriber for each topic that has gone away: mosquitto holds for it, as a relay does."""
    for index in range(senders):
        connection = connect(port)
        name = b"holder%d" % index
        body = b"\x00\x04MQTT\x04\x00\x00\x3c" + len(name).to_bytes(2, "big") + name
        connection.sendall(b"\x10" + variable(len(body)) + body)
        connection.recv(4)
        topic = b"held/%d" % index
        body = b"\x00\x01" + len(topic).to_bytes(2, "big") + topic + b"\x01"
        connection.sendall(b"\x82" + variable(len(body)) + body)
        connection.recv(5)
        connection.close()


def nats(work, port):
    return subprocess.Popen(
        [lab.nats_server(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(work / "js")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )


def nats_connect(connection, name):
    connection.recv(4096)
    connection.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB _INBOX.%s.> 1\r\nPING\r\n' % name)
    data = b""
    while b"PONG" not in data:
        data += connection.recv(4096)


def nats_stream(port):
    connection = connect(port)
    nats_connect(connection, b"setup")
    body = b'{"name":"HELD","subjects":["held.*"],"retention":"workqueue","storage":"file","max_msgs":-1,"max_bytes":-1}'
    connection.sendall(b"PUB $JS.API.STREAM.CREATE.HELD _INBOX.setup.1 %d\r\n%s\r\n" % (len(body), body))
    data = b""
    while b'"config"' not in data:
        data += connection.recv(4096)
        assert b'"error"' not in data, data
    connection.close()


def nats_packets(index, count, payload):
    for number in range(count):
        yield b"PUB held.%d _INBOX.s%d.%d %d\r\n%s\r\n" % (index, index, number, len(payload), payload)


def run(connections, packets, acknowledged):
    """Keeps WINDOW packets of each connection on their way; returns when all are acknowledged."""
    selector = selectors.DefaultSelector()
    todo = []
    for connection, queue in zip(connections, packets):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        state = {"queue": queue, "next": 0, "acks": 0, "rest": b""}
        selector.register(connection, selectors.EVENT_READ, state)
        todo.append(state)
    begun = time.perf_counter()

    def fill(connection, state):
        upto = min(len(state["queue"]), state["acks"] + WINDOW)
        if upto > state["next"]:
            connection.sendall(b"".join(state["queue"][state["next"] : upto]))
            state["next"] = upto

    for key in list(selector.get_map().values()):
        fill(key.fileobj, key.data)
    open_ones = len(todo)
    while open_ones:
        for key, _ in selector.select():
            data = key.data["rest"] + key.fileobj.recv(65536)
            count, key.data["rest"] = acknowledged(data)
            key.data["acks"] += count
            if key.data["acks"] >= len(key.data["queue"]):
                selector.unregister(key.fileobj)
                open_ones -= 1
            else:
                fill(key.fileobj, key.data)
    return time.perf_counter() - begun


def pubacks(data):
    whole = len(data) // 4
    return whole, data[whole * 4 :]


def js_acks(data):
    end = data.rfind(b"\r\n") + 2
    if end < 2:
        return 0, data
    part = data[:end]
    assert b'"error"' not in part, part
    return part.count(b'"seq":'), data[end:]


def main():
    peer, envelopes, senders, size = sys.argv[1], *map(int, sys.argv[2:5])
    if not (shutil.which("mosquitto") if peer == "mosquitto" else lab.nats_server()):
        print(f"{peer}: not installed", file=sys.stderr)
        raise SystemExit(3)
    work = Path(tempfile.mkdtemp(prefix="pangate-peer-", dir=os.environ.get("BENCH_DIR")))
    work.chmod(0o777)
    port = free_port()
    payload = b"U" * size
    each = envelopes // senders
    process = mosquitto(work, port) if peer == "mosquitto" else nats(work, port)
    try:
        connections = []
        if peer == "mosquitto":
            connect(port).close()
            mqtt_hold(port, senders)
            packets = [list(mqtt_packets(index, each, payload)) for index in range(senders)]
        else:
            nats_stream(port)
            packets = [list(nats_packets(index, each, payload)) for index in range(senders)]
        for index in range(senders):
            connection = connect(port)
            (mqtt_connect if peer == "mosquitto" else nats_connect)(connection, b"s%d" % index)
            connections.append(connection)
        seconds = run(connections, packets, pubacks if peer == "mosquitto" else js_acks)
        print(f"{peer}: {each * senders} messages of {size} bytes in {seconds:.2f} s, {each * senders / seconds:.0f} a second")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        shutil.rmtree(work, ignore_errors=True)


main()
