"""Says wrong things to a relay, over plain sockets, and watches that each is answered or cut off in time, and that a
good client is served all the while and afterwards.

    relay_bad_input.py [--ca FILE] [--pid PID] [--only WORD] URL...

The relay's configuration must have these limits: handshake-seconds 4; message-seconds, silent-seconds and ping-seconds
2; connections-per-address 64, envelopes-per-second 10, envelopes-in-burst 200. The URLs are one for each scheme.
Prints one JSON object a line. Exits with 1 if the relay did not behave. It shares no code with Pangate."""

import argparse
import asyncio
import base64
import hashlib
import json
import logging
import os
import pathlib
import random
import re
import socket
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import aiocoap
import cbor2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import relay_endpoint as endpoint  # noqa: E402

# Seconds: what the relay is configured to, and what a busy machine may take besides. Over TLS the relay waits five more
# for the other end to close.
HANDSHAKE, LIMIT, SLACK = 4, 2, 12
# For what keeps the relay busy itself.
FLOOD_SLACK = 60
CONNECTIONS, BURST = 64, 200
# Bytes that the relay may take for all of this.
MEMORY = 256 << 20

GET, POST = 0x01, 0x02
CSM, PING, PONG, RELEASE, ABORT = 0xE1, 0xE2, 0xE3, 0xE4, 0xE5
URI_PATH, CONTENT_FORMAT = 11, 12
CREATED, CHANGED, CONTENT, CONTINUE = 0x41, 0x44, 0x45, 0x5F
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, TOO_MANY = 0x80, 0x81, 0x83, 0x9D


def dotted(code):
    return None if code is None else f"{code >> 5}.{code & 31:02}"


class Closed(Exception):
    """The relay has closed the connection."""


class Late(Exception):
    """Nothing came in time."""


# Messages (RFC 8323, 3.2 and 4.2)


def extended(value, short, long):
    """A number in the style of CoAP: a nibble, and what follows it."""
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes([value - 13])
    if value < long:
        return 14, (value - 269).to_bytes(2, "big")
    return 15, (value - long).to_bytes(4, "big")


def content(options=(), payload=b""):
    data, last = b"", 0
    for number, value in sorted(options, key=lambda option: option[0]):
        delta, more_delta = extended(number - last, 13, 65_805)
        length, more_length = extended(len(value), 13, 65_805)
        data += bytes([delta << 4 | length]) + more_delta + more_length + value
        last = number
    return data + (b"\xff" + payload if payload else b"")


def message(code, token=b"", options=(), payload=b"", stream=True):
    body = content(options, payload)
    length, more = extended(len(body), 13, 65_805) if stream else (0, b"")
    return bytes([length << 4 | len(token)]) + more + bytes([code]) + token + body


class Message:
    def __init__(self, code, token, rest):
        self.code, self.token, self.options = code, token, []
        number = position = 0

        def take(nibble):
            nonlocal position
            size, offset = {13: (1, 13), 14: (2, 269)}.get(nibble, (0, nibble))
            value = int.from_bytes(rest[position : position + size], "big")
            position += size
            return value + offset if size else offset

        while position < len(rest) and rest[position] != 0xFF:
            lead = rest[position]
            position += 1
            number += take(lead >> 4)
            length = take(lead & 15)
            self.options.append((number, rest[position : position + length]))
            position += length
        self.payload = rest[position + 1 :]

    def __repr__(self):
        return f"{dotted(self.code)} {self.payload[:40]}"

    @property
    def reason(self):
        try:
            return cbor2.loads(self.payload).get(-1)
        except Exception:
            return None


class Connection:
    """A socket to the relay, for bytes, TLS, and WebSocket frames."""

    def __init__(self, url, ca=None, secure=True, upgrade=True, buffer=None):
        parts = urlsplit(url)
        self.url, self.host, self.port = url, parts.hostname, parts.port
        self.is_web = parts.scheme.endswith("ws")
        self.is_secure = parts.scheme.startswith("coaps") and secure
        self.data = b""
        self.frames = b""
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(LIMIT + SLACK)
        self.socket.connect((self.host, self.port))
        if self.is_secure:
            context = ssl.create_default_context(cafile=ca)
            context.set_alpn_protocols(["http/1.1" if self.is_web else "coap"])
            self.socket = context.wrap_socket(self.socket, server_hostname=self.host)
        if self.is_web and upgrade:
            status, _ = self.request(self.upgrade())
            if status != 101:
                raise RuntimeError(f"no WebSocket: {status}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        # Aborts, whatever has not been sent or read.
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        except OSError:
            pass
        self.socket.close()

    # Bytes

    def send(self, data):
        try:
            self.socket.sendall(data)
        except TimeoutError as error:
            raise Late from error
        except OSError as error:
            raise Closed from error

    def receive(self, deadline):
        wait = deadline - time.monotonic()
        if wait <= 0:
            raise Late
        self.socket.settimeout(wait)
        try:
            data = self.socket.recv(65_536)
        except TimeoutError as error:
            raise Late from error
        except OSError as error:
            raise Closed from error
        finally:
            self.socket.settimeout(LIMIT + SLACK)
        if not data:
            raise Closed
        return data

    # HTTP (RFC 6455, 4.1)

    def upgrade(self, path="/.well-known/coap", protocol="coap", version=13, more=""):
        self.key = base64.b64encode(os.urandom(16)).decode()
        offered = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
        return (
            f"GET {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {self.key}\r\nSec-WebSocket-Version: {version}\r\n{offered}{more}\r\n"
        ).encode()

    def request(self, data, deadline=None):
        """The status and the head of the answer to an HTTP request."""
        deadline = deadline or time.monotonic() + LIMIT + SLACK
        self.send(data)
        while b"\r\n\r\n" not in self.data:
            self.data += self.receive(deadline)
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        status = int(head.split()[1])
        if status == 101:
            digest = hashlib.sha1((self.key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            text = head.decode().lower()
            if base64.b64encode(digest).decode() not in head.decode() or "sec-websocket-protocol: coap" not in text:
                raise RuntimeError("wrong answer to the upgrade")
        return status, head

    # WebSocket frames (RFC 6455, 5.2)

    @staticmethod
    def frame(data, opcode=2, final=True, masked=True):
        size = len(data)
        lead = size if size < 126 else 126 if size < 65_536 else 127
        more = b"" if lead < 126 else size.to_bytes(2 if lead == 126 else 8, "big")
        head = bytes([final << 7 | opcode, masked << 7 | lead]) + more
        if not masked:
            return head + data
        key = os.urandom(4)
        pad = (key * (size // 4 + 1))[:size]
        return head + key + (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")

    def next_frame(self, deadline):
        """Opcode and data of the next frame; the relay does not fragment."""
        while True:
            data = self.data
            if len(data) >= 2:
                size, start = data[1] & 127, 2
                if size >= 126:
                    start = 4 if size == 126 else 10
                    size = int.from_bytes(data[2:start], "big")
                if len(data) >= start and len(data) >= start + size:
                    if data[1] & 128 or not data[0] & 128:
                        raise RuntimeError("a masked or unfinished frame of a server")
                    self.data = data[start + size :]
                    return data[0] & 15, data[start : start + size]
            self.data += self.receive(deadline)

    # Messages

    def put(self, code, token=b"", options=(), payload=b""):
        data = message(code, token, options, payload, not self.is_web)
        self.send(self.frame(data) if self.is_web else data)

    def ask(self, code, path, payload=b"", token=b"\x01", content_format=18):
        options = [(URI_PATH, part.encode()) for part in path.split("/")]
        if payload:
            options.append((CONTENT_FORMAT, bytes([content_format])))
        self.put(code, token, options, payload)

    def next(self, deadline=None):
        """The next message. Raises Closed or Late."""
        deadline = deadline or time.monotonic() + LIMIT + SLACK
        if self.is_web:
            while True:
                opcode, data = self.next_frame(deadline)
                if opcode == 8:
                    raise Closed
                if opcode == 2:
                    if data[0] >> 4:
                        raise RuntimeError("Len is not 0 in a WebSocket message")
                    return Message(data[1], data[2 : 2 + (data[0] & 15)], data[2 + (data[0] & 15) :])
        while True:
            data = self.data
            if data:
                nibble, token = data[0] >> 4, data[0] & 15
                more, offset = {13: (1, 13), 14: (2, 269), 15: (4, 65_805)}.get(nibble, (0, nibble))
                start = 2 + more
                if len(data) >= start:
                    size = int.from_bytes(data[1 : 1 + more], "big") + offset if more else offset
                    end = start + token + size
                    if len(data) >= end:
                        self.data = data[end:]
                        return Message(data[start - 1], data[start : start + token], data[start + token : end])
            self.data += self.receive(deadline)

    def answer(self, token=b"\x01"):
        """The answer to a request, or to any; pings and deliveries are answered, other messages skipped."""
        deadline = time.monotonic() + LIMIT + SLACK
        while True:
            got = self.next(deadline)
            if got.code == ABORT:
                raise Closed
            if got.code == PING:
                self.put(PONG, got.token)
            elif got.code == POST:
                self.put(CHANGED, got.token)
            elif token in (got.token, None) and got.code >> 5 in (2, 4, 5):
                return got

    def capabilities(self, *options):
        """Both CSMs. Without options, it takes messages of 1 MiB."""
        self.put(CSM, b"", options or [(2, b"\x10\0\0")])
        got = self.next()
        if got.code != CSM:
            raise RuntimeError(f"{got} instead of a CSM")
        return self

    def hello(self, relay):
        self.ask(GET, "hello", token=b"\x68")
        return endpoint.open_hello(self.answer(b"\x68").payload, relay)["nonce"]

    def session(self, identity, relay, nonce=None, serving=(), **forgery):
        nonce = self.hello(relay) if nonce is None else nonce
        body = endpoint.session_message(identity, relay, nonce, serving, **forgery)
        self.ask(POST, "session", body, b"\x73")
        return self.answer(b"\x73")

    def opened(self, identity, relay, *options):
        got = self.capabilities(*options).session(identity, relay)
        if got.code != CREATED:
            raise RuntimeError(f"no session: {got}")
        return self

    def end(self, limit=HANDSHAKE):
        """What comes until the relay closes the connection, and after how long. Raises Late if it does not within
        `limit` and some slack."""
        begun, got = time.monotonic(), []
        try:
            while True:
                got.append(self.next(begun + limit + SLACK))
        except Closed:
            return got, time.monotonic() - begun


# What is done wrong


class Suite:
    def __init__(self, home, urls, ca, pid):
        self.home, self.urls, self.ca, self.pid = home, urls, ca, pid
        self.members = [home.lock, home.rain, home.occupancy, home.temperature]
        self.is_good = True
        self.lock = threading.Lock()

    def note(self, url, what, good, **more):
        with self.lock:
            self.is_good = self.is_good and bool(good)
            line = {"url": url, "what": what, "good": bool(good)} | {k: v for k, v in more.items() if v is not None}
            print(json.dumps(line), flush=True)

    def connect(self, url, **more):
        return Connection(url, self.ca, **more)

    def run(self, url, what, function):
        try:
            good, more = function()
        except Late:
            good, more = False, {"error": "neither answered nor cut off in time"}
        except Exception as error:
            good, more = False, {"error": f"{type(error).__name__}: {error}"}
        self.note(url, what, good, **more)

    def memory(self):
        if not self.pid:
            return 0
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) << 10


def cut(connection, limit=HANDSHAKE, abort=None, only=()):
    """The relay must close within the limit. `abort`: it must (True) or may (None) say so by Abort. No other message
    may come but a CSM, pings and `only`."""
    got, seconds = connection.end(limit)
    said = [item for item in got if item.code == ABORT]
    others = [dotted(item.code) for item in got if item.code not in (CSM, PING, PONG, ABORT, *only)]
    good = not others and (bool(said) or not abort)
    text = said[0].payload.decode(errors="replace") if said else None
    return good, {"seconds": round(seconds, 2), "abort": text, "unexpected": others or None}


def bytes_cases(suite, url):
    """Wrong bytes on a new connection: what, and whether Abort must be the answer (True), or may be (None)."""
    noise = random.Random(url)
    web = url.split(":")[0].endswith("ws")
    hello = message(GET, b"\x01", [(URI_PATH, b"hello")])
    csm = message(CSM)
    cases = [
        # RFC 8323, 3.3: a missing CSM is a connection error, and aborted.
        ("request before the CSM", hello, True),
        ("response before the CSM", message(CONTENT, b"\x01"), True),
        ("ping before the CSM", message(PING, b"\x01"), True),
        # RFC 8323, 3.2: TKL of 9 and more is a message format error.
        ("reserved token length", csm + b"\x09\x01" + bytes(9), True),
        # RFC 8323, 5.3.1: larger than what was announced.
        ("frame of 4 GiB", csm + b"\xf0\xff\xff\xff\xff\x02", True),
        ("frame of 4 GiB before the CSM", b"\xf0\xff\xff\xff\xff\x02", True),
        # RFC 8323, 5.6: syntax violations are rejected by Abort.
        ("reserved option delta", csm + b"\x10\x01\xf0", True),
        ("payload marker without payload", csm + b"\x10\x01\xff", True),
        ("option longer than the message", csm + b"\x20\x01\xb9e", True),
        # RFC 8323, 5.2: an unknown critical option of a signal.
        ("unknown critical option in the CSM", message(CSM, b"", [(99, b"?")]), True),
        ("unknown critical option in a ping", csm + message(PING, b"", [(99, b"?")]), True),
        ("Abort, then a request", csm + message(ABORT, b"", (), b"bye") + hello, None),
        ("Release, then silence", csm + message(RELEASE), None),
        # Silence is cut off at the time for a session.
        ("CSM, then silence", csm, None),
        ("half a frame, then silence", csm + hello[:3], None),
        ("half a frame before the CSM, then silence", hello[:1], None),
        ("frame of 1 MiB that does not come", csm + b"\xf0\x00\x10\x00\x00\x02", None),
        ("empty messages, then silence", bytes(64), None),
    ]  # fmt: skip
    if not web:
        cases += [
            ("HTTP on the port of TCP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
            ("a line of text", b"hello relay\r\n", None),
        ]
        cases += [(f"noise {number}", noise.randbytes(4096), None) for number in range(4)]
    return cases


def wrong_bytes(suite, url, data, abort):
    with suite.connect(url) as connection:
        if connection.is_web:
            # Each message is a frame.
            for part in split(data):
                connection.send(connection.frame(part))
        else:
            try:
                connection.send(data)
            except Closed:
                pass
        return cut(connection, abort=abort)


def split(data):
    """The messages in the bytes of a stream, each as WebSocket carries it: Len is 0."""
    while data:
        nibble, token = data[0] >> 4, data[0] & 15
        more, offset = {13: (1, 13), 14: (2, 269), 15: (4, 65_805)}.get(nibble, (0, nibble))
        size = int.from_bytes(data[1 : 1 + more], "big") + offset if more else offset
        yield bytes([token]) + data[1 + more : 2 + more + token + size]
        data = data[2 + more + token + size :]


def nothing(suite, url):
    with suite.connect(url, upgrade=False) as connection:
        # A WebSocket server says nothing before it is asked.
        if connection.is_web:
            begun = time.monotonic()
            try:
                connection.receive(begun + HANDSHAKE + SLACK)
                return False, {"error": "it spoke first"}
            except Closed:
                return True, {"seconds": round(time.monotonic() - begun, 2)}
        return cut(connection)


def drip(suite, url, data):
    """A byte now and then: each is progress, but the message never ends."""
    with suite.connect(url, upgrade=False) as connection:
        begun = time.monotonic()
        try:
            for byte in data:
                connection.send(bytes([byte]))
                try:
                    connection.receive(time.monotonic() + 0.1)
                except Late:
                    pass
                if time.monotonic() - begun > HANDSHAKE + SLACK:
                    raise Late
        except Closed:
            return True, {"seconds": round(time.monotonic() - begun, 2)}
        return False, {"error": "all was taken"}


def half_tls(suite, url, data, silent):
    """TLS that does not get anywhere: cut off when the time for a session is over, or refused at once."""
    with suite.connect(url, secure=False, upgrade=False) as connection:
        begun = time.monotonic()
        if data:
            connection.send(data)
        got = b""
        try:
            while True:
                got += connection.receive(begun + HANDSHAKE + SLACK)
        except Closed:
            seconds = round(time.monotonic() - begun, 2)
            # An alert, if anything.
            return (not got if silent else got[:1] in (b"", b"\x15")), {
                "seconds": seconds,
                "answer": got[:8].hex() or None,
            }


def client_hello():
    """What a TLS client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def old_tls(suite, url):
    context = ssl.create_default_context(cafile=suite.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), HANDSHAKE + SLACK) as plain:
        try:
            context.wrap_socket(plain, server_hostname=parts.hostname).close()
            return False, {"error": "TLS 1.2 was accepted"}
        except ssl.SSLError as error:
            return True, {"answer": error.reason}


# HTTP and WebSockets


def http(suite, url, data, *statuses):
    """HTTP that is no upgrade: an error, and the end of the connection."""
    with suite.connect(url, upgrade=False) as connection:
        begun = time.monotonic()
        status, _ = connection.request(data(connection) if callable(data) else data, begun + HANDSHAKE + SLACK)
        try:
            while True:
                connection.receive(begun + HANDSHAKE + SLACK)
        except Closed:
            pass
        good = status in statuses
        return good, {"status": status, "seconds": round(time.monotonic() - begun, 2)}


def http_endless(suite, url, head, part):
    """A request that never ends: cut off, or refused."""
    with suite.connect(url, upgrade=False) as connection:
        begun, sent = time.monotonic(), 0
        try:
            connection.send(head)
            while time.monotonic() - begun < HANDSHAKE + SLACK:
                connection.send(part)
                sent += len(part)
        except Closed:
            return True, {"seconds": round(time.monotonic() - begun, 2), "sent": sent}
        raise Late


def web_frame(suite, url, data):
    """A wrong WebSocket frame after the CSMs: the connection must be closed."""
    with suite.connect(url) as connection:
        connection.capabilities()
        connection.send(data)
        begun = time.monotonic()
        try:
            while True:
                opcode, frame = connection.next_frame(begun + HANDSHAKE + SLACK)
                if opcode == 8:
                    return True, {
                        "closed": int.from_bytes(frame[:2], "big"),
                        "seconds": round(time.monotonic() - begun, 2),
                    }
                if opcode == 2 and frame[1] not in (ABORT, PING):
                    return False, {"error": f"answered {dotted(frame[1])}"}
        except Closed:
            return True, {"seconds": round(time.monotonic() - begun, 2)}


def web_good(suite, url):
    """Right, though unusual: fragments with a ping between them."""
    with suite.connect(url) as connection:
        connection.capabilities()
        data = message(GET, b"\x01", [(URI_PATH, b"hello")], stream=False)
        for index, byte in enumerate(data):
            part = bytes([byte])
            connection.send(connection.frame(part, 2 if index == 0 else 0, index == len(data) - 1))
            if index == 2:
                connection.send(connection.frame(b"are you there", 9))
        opcode, pong = connection.next_frame(time.monotonic() + HANDSHAKE + SLACK)
        got = connection.answer()
        return opcode == 10 and pong == b"are you there" and got.code == CONTENT, {"answer": dotted(got.code)}


# Floods


def flood(suite, url, count, request, opened=None, patience=HANDSHAKE + FLOOD_SLACK):
    """Sends many and reads nothing until all is sent; then all must be answered, or the connection closed."""
    with suite.connect(url, buffer=16_384) as connection:
        if opened:
            connection.opened(opened, suite.home.relay.fp)
        else:
            connection.put(CSM)
        part = message(*request, stream=not connection.is_web)
        part = connection.frame(part) if connection.is_web else part
        before, begun = suite.memory(), time.monotonic()
        connection.socket.settimeout(patience)
        codes, closed = {}, None
        try:
            connection.send(part * count)
            connection.put(PING, b"\xff")
            while True:
                got = connection.next(begun + patience)
                if (got.code, got.token) == (PONG, b"\xff"):
                    break
                if got.token == b"\x01":
                    codes[dotted(got.code)] = codes.get(dotted(got.code), 0) + 1
        except Closed:
            closed = round(time.monotonic() - begun, 2)
        grown = suite.memory() - before
        good = grown < MEMORY and (closed is not None or sum(codes.values()) == count)
        return good, {"answers": codes or None, "closed": closed, "grown": grown}


def session_flood(suite, url):
    """A good client in all but its speed: refused with 4.29 (RFC 8516), and served again."""
    home = suite.home
    with suite.connect(url) as connection:
        connection.opened(home.owner, home.relay.fp)
        data = [endpoint.envelope(home.owner, [home.gateway], b"flood") for _ in range(2 * BURST)]
        sent = b""
        for number, body in enumerate(data):
            options = [(URI_PATH, b"e"), (CONTENT_FORMAT, b"\x12")]
            part = message(POST, number.to_bytes(2, "big"), options, body, not connection.is_web)
            sent += connection.frame(part) if connection.is_web else part
        connection.send(sent)
        codes, ages = {}, set()
        for number in range(len(data)):
            got = connection.answer(None)
            codes[dotted(got.code)] = codes.get(dotted(got.code), 0) + 1
            if got.code == TOO_MANY:
                ages.add(dict(got.options).get(14))
        good = set(codes) == {"2.04", "4.29"} and codes["2.04"] >= BURST and None not in ages
        # After the time that it names it is served.
        deadline = time.monotonic() + LIMIT + SLACK
        while time.monotonic() < deadline:
            connection.ask(POST, "e", data[-1], b"\xff\xff")
            if connection.answer(b"\xff\xff").code == CHANGED:
                return good, {"answers": codes}
        return False, {"answers": codes, "error": "not served again"}


def block_flood(suite, url):
    """An upload in blocks without end, before the session: refused at some size, or cut off."""
    with suite.connect(url) as connection:
        connection.capabilities()
        begun, sent, before, top = time.monotonic(), 0, suite.memory(), 0
        try:
            for number in range(1 << 14):
                block1 = (number << 4 | 1 << 3 | 6).to_bytes(3, "big").lstrip(b"\0")
                options = [(URI_PATH, b"session"), (CONTENT_FORMAT, b"\x12"), (27, block1)]
                connection.put(POST, b"\x01", options, bytes(1024))
                code = connection.answer().code
                sent += 1024
                top = max(top, suite.memory() - before)
                if code != CONTINUE:
                    return code >> 5 == 4, {"answer": dotted(code), "sent": sent}
                if time.monotonic() - begun > HANDSHAKE + SLACK:
                    raise Late
        except Closed:
            return top < MEMORY, {"seconds": round(time.monotonic() - begun, 2), "sent": sent, "grown": top}
        return False, {"error": "all was taken"}


# Sessions


def wrong_sessions(suite, url):
    home, relay = suite.home, suite.home.relay.fp
    with suite.connect(url) as connection, suite.connect(url) as other:
        connection.capabilities()
        other.capabilities()

        def expect(what, got, *codes):
            suite.note(url, what, got.code in codes, answer=dotted(got.code), reason=got.reason)

        expect("session without a hello", connection.session(home.owner, relay, bytes(16)), UNAUTHORIZED)
        nonce = connection.hello(relay)
        wrong = bytes([nonce[0] ^ 1]) + nonce[1:]
        expect("session with a wrong nonce", connection.session(home.owner, relay, wrong), UNAUTHORIZED)
        expect(
            "session with a nonce that a wrong one used up", connection.session(home.owner, relay, nonce), UNAUTHORIZED
        )
        nonce = connection.hello(relay)
        other.hello(relay)
        expect("session with the nonce of another connection", other.session(home.owner, relay, nonce), UNAUTHORIZED)
        got = connection.session(home.owner, relay, nonce, [home.lock.fp])
        expect("session for a mailbox that it does not host", got, FORBIDDEN)
        nonce = connection.hello(relay)
        got = connection.session(home.gateway, relay, nonce, [home.lock.fp, home.owner.fp])
        expect("session for two mailboxes of which it hosts one", got, FORBIDDEN)
        got = connection.session(home.stranger, relay)
        expect("session of a stranger", got, FORBIDDEN)
        connection.hello(relay)
        connection.ask(POST, "session", endpoint.dumps(cbor2.CBORTag(18, [b"", {}, b"", bytes(64)])), b"\x73")
        expect("session of nobody", connection.answer(b"\x73"), BAD_REQUEST)
        connection.hello(relay)
        connection.ask(POST, "session", random.Random(url).randbytes(60_000), b"\x73")
        expect("session of noise", connection.answer(b"\x73"), BAD_REQUEST)
        nonce = connection.hello(relay)
        expect("session at last", connection.session(home.lock, relay, nonce), CREATED)
        expect("session with a nonce used before", connection.session(home.lock, relay, nonce), UNAUTHORIZED)
        expect("session with that nonce elsewhere", other.session(home.lock, relay, nonce), UNAUTHORIZED)
        connection.ask(POST, "e", endpoint.envelope(home.lock, [home.phone2], b"x"))
        expect("envelope after all that", connection.answer(), CHANGED)
    return True, {}


def after_session(suite, url):
    """On one connection after the other, as each session is of the same client."""
    member = suite.members[suite.urls.index(url)]
    suite.run(url, "after the session, half a message and a byte now and then", lambda: partial(suite, url, member))
    suite.run(url, "after the session, silence", lambda: silence(suite, url, member))
    return True, {}


def partial(suite, url, member):
    """From the first to the last byte of a message, there are message-seconds."""
    with suite.connect(url) as connection:
        connection.opened(member, suite.home.relay.fp)
        data = message(POST, b"\x01", [(URI_PATH, b"e")], bytes(2000), not connection.is_web)
        begun = time.monotonic()
        connection.send(connection.frame(data[:1000], 2, False) if connection.is_web else data[:1000])
        try:
            for byte in data[1000:]:
                part = bytes([byte])
                connection.send(connection.frame(part, 0, False) if connection.is_web else part)
                try:
                    connection.next(time.monotonic() + 0.1)
                except Late:
                    pass
                # Before the time that it takes to miss a pong is over: 15 seconds more.
                if time.monotonic() - begun > LIMIT + SLACK:
                    raise Late
        except Closed:
            return True, {"seconds": round(time.monotonic() - begun, 2)}
        return False, {"error": "all was taken"}


def silence(suite, url, member):
    """Silent for ping-seconds, it is pinged; without a pong, it is cut off."""
    with suite.connect(url) as connection:
        connection.opened(member, suite.home.relay.fp)
        begun = time.monotonic()
        got = connection.next(begun + LIMIT + SLACK)
        pinged = time.monotonic() - begun
        connection.put(PONG, got.token)
        again = connection.next(time.monotonic() + LIMIT + SLACK)
        # No pong this time: the relay waits 15 seconds for one.
        good, more = cut(connection, 15)
        return good and got.code == again.code == PING, more | {"pinged": round(pinged, 2)}


def unread(suite, url, reads):
    """A client that leaves what it is sent unread, or reads it and answers nothing: cut off after silent-seconds, and
    all comes to the next."""
    home, relay = suite.home, suite.home.relay.fp
    with suite.connect(url) as owner, suite.connect(url, buffer=4096) as gateway:
        gateway.opened(home.gateway, relay)
        owner.opened(home.owner, relay)
        bodies = [endpoint.envelope(home.owner, [home.gateway], bytes([number]) * 60_000) for number in range(20)]
        before, begun, top = suite.memory(), time.monotonic(), 0
        for body in bodies:
            owner.ask(POST, "e", body)
            code = owner.answer().code
            if code != CHANGED:
                return False, {"answer": dotted(code)}
            top = max(top, suite.memory() - before)
        read = None
        if reads:
            read = len([item for item in gateway.end(LIMIT)[0] if item.code == POST])
        else:
            while not gone(gateway):
                if time.monotonic() > begun + 2 * LIMIT + SLACK:
                    raise Late
                time.sleep(0.05)
        seconds = round(time.monotonic() - begun, 2)
        with suite.connect(url) as second:
            second.opened(home.gateway, relay)
            # What was left before may come as well.
            came = []
            deadline = time.monotonic() + LIMIT + SLACK
            while len(came) < len(bodies):
                got = second.next(deadline)
                if got.code == POST:
                    came += [got.payload] if got.payload in bodies else []
                    second.put(CHANGED, got.token)
                elif got.code == PING:
                    second.put(PONG, got.token)
            return came == bodies and top < MEMORY, {"seconds": seconds, "read": read, "grown": top}


def connected(port):
    """Ports of the clients whose connections with a port of this machine are open at the relay's end (Linux): a client
    that reads nothing does not learn of it otherwise."""
    with open("/proc/net/tcp") as table:
        rows = [row.split() for row in table][1:]
    local = f"0100007F:{port:04X}"
    # 01 is established.
    return {int(row[2][9:], 16) for row in rows if row[1] == local and row[3] == "01"}


def gone(connection):
    return connection.socket.getsockname()[1] not in connected(connection.port)


def in_blocks(suite, url):
    """A client that takes 1,152 bytes at once gets a large envelope in blocks (RFC 8323, 5.3.1 and 6; RFC 7959)."""
    home, relay = suite.home, suite.home.relay.fp
    with suite.connect(url) as owner, suite.connect(url) as gateway:
        gateway.opened(home.gateway, relay, (4, b""))
        owner.opened(home.owner, relay)
        body = endpoint.envelope(home.owner, [home.gateway], bytes(5000))
        owner.ask(POST, "e", body)
        if owner.answer().code != CHANGED:
            return False, {"error": "not taken"}
        # By Request-Tag (RFC 9175): there may be others on their way.
        came, largest = {}, 0
        while True:
            got = gateway.next()
            if got.code == PING:
                gateway.put(PONG, got.token)
                continue
            if got.code != POST:
                return False, {"error": str(got)}
            largest = max(largest, len(message(got.code, got.token, got.options, got.payload)))
            options = dict(got.options)
            tag, block = options.get(292), options.get(27, b"")
            value = int.from_bytes(block, "big")
            before = came.get(tag, b"") if value >> 4 else b""
            if len(before) != value >> 4 << (value & 7) + 4:
                return False, {"error": f"block {value >> 4} after {len(before)} bytes"}
            came[tag] = before + got.payload
            gateway.put(CONTINUE if value & 8 else CHANGED, got.token, [(27, block)] if block else [])
            if came[tag] == body:
                return largest <= 1152, {"largest": largest}


def nonsense_answers(suite, url):
    """A client that answers deliveries under wrong tokens: not answered, so it is cut off and the message stays."""
    home, relay = suite.home, suite.home.relay.fp
    with suite.connect(url) as owner, suite.connect(url) as gateway:
        gateway.opened(home.gateway, relay)
        owner.opened(home.owner, relay)
        body = endpoint.envelope(home.owner, [home.gateway], b"answer me")
        owner.ask(POST, "e", body)
        if owner.answer().code != CHANGED:
            return False, {}
        begun = time.monotonic()
        try:
            while time.monotonic() - begun < 2 * LIMIT + SLACK:
                got = gateway.next(begun + 2 * LIMIT + SLACK)
                if got.code == POST:
                    for token in (b"", b"\x00", bytes(8), got.token + b"\x00", got.token[:-1]):
                        gateway.put(CHANGED, token)
                elif got.code == PING:
                    gateway.put(PONG, got.token)
        except Closed:
            pass
        else:
            raise Late
        seconds = round(time.monotonic() - begun, 2)
        with suite.connect(url) as second:
            second.opened(home.gateway, relay)
            got = second.next()
            second.put(CHANGED, got.token)
            return got.code == POST and got.payload == body, {"seconds": seconds}


def small_reader(suite, url):
    """A client that takes 64 bytes at most gets nothing that is larger (RFC 8323, 5.3.1)."""
    with suite.connect(url) as connection:
        connection.put(CSM, b"", [(2, b"\x40")])
        connection.next()
        connection.ask(GET, "hello")
        got = connection.next()
        size = len(message(got.code, got.token, got.options, got.payload))
        return size <= 64, {"answer": dotted(got.code), "size": size}


def too_many(suite, url):
    """More connections than one address may have: closed at once, and the others are not."""
    held = []
    try:
        begun = time.monotonic()
        held = [suite.connect(url, secure=False, upgrade=False) for _ in range(CONNECTIONS + 32)]
        ports = {connection.socket.getsockname()[1] for connection in held}
        while (closed := len(ports - connected(held[0].port))) < 32:
            if time.monotonic() - begun > HANDSHAKE + SLACK:
                raise Late
            time.sleep(0.01)
        return closed < len(held), {"open": len(held) - closed, "seconds": round(time.monotonic() - begun, 2)}
    finally:
        for connection in held:
            connection.close()


# A good client


async def good(suite, url, payload=b"good"):
    """Owner to gateway, through the relay, by aiocoap."""
    home = suite.home
    gateway, owner = await home.open(url, home.gateway), await home.open(url, home.owner)
    begun = time.monotonic()
    data = endpoint.envelope(home.owner, [home.gateway], payload)
    response = await owner.post(data)
    # What other clients have sent may come before.
    while await gateway.next() != data:
        pass
    seconds = time.monotonic() - begun
    for peer in (gateway, owner):
        await peer.close()
    return response.code == aiocoap.CHANGED, {"seconds": round(seconds, 2)}


async def served(suite, url):
    """The same, as soon as the relay has noticed that others have gone."""
    deadline = time.monotonic() + LIMIT + FLOOD_SLACK
    while True:
        try:
            return await good(suite, url)
        except (OSError, RuntimeError, aiocoap.error.Error):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


class Steady(threading.Thread):
    """A client that goes on all the time, on one connection: each of its envelopes must be taken and delivered."""

    def __init__(self, suite, url):
        super().__init__(daemon=True)
        self.suite, self.url = suite, url
        self.ended = threading.Event()
        self.count, self.slowest, self.error = 0, 0.0, None

    def run(self):
        try:
            asyncio.run(self.exchange())
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"

    async def exchange(self):
        home = self.suite.home
        thermostat, phone = await home.open(self.url, home.thermostat), await home.open(self.url, home.phone2)
        while not self.ended.is_set():
            begun = time.monotonic()
            data = endpoint.envelope(home.phone2, [home.thermostat], b"21.5")
            response = await phone.post(data)
            if response.code != aiocoap.CHANGED or await thermostat.next(FLOOD_SLACK) != data:
                raise RuntimeError(f"answered {response.code}")
            self.count += 1
            self.slowest = max(self.slowest, time.monotonic() - begun)
            await asyncio.sleep(0.1)
        await thermostat.close()
        await phone.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="+")
    parser.add_argument("--demo", default=endpoint.DEMO)
    parser.add_argument("--ca")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    home = endpoint.Home(arguments.demo, arguments.ca)
    # As long as a busy machine may take.
    endpoint.PATIENCE = FLOOD_SLACK
    suite = Suite(home, arguments.urls, arguments.ca, arguments.pid)
    hello = message(GET, b"\x01", [(URI_PATH, b"hello")])
    frame = Connection.frame

    together, alone = [], []
    for url in arguments.urls:
        scheme = url.split(":")[0]
        web, secure = scheme.endswith("ws"), scheme.startswith("coaps")

        def case(cases, what, function, *more, url=url, **named):
            if arguments.only in what:
                cases.append((url, what, lambda: function(suite, url, *more, **named)))

        for what, data, abort in bytes_cases(suite, url):
            if not (web and ("frame" in what or "empty" in what)):
                case(together, what, wrong_bytes, data, abort)
        case(together, "silence", nothing)
        case(together, "a client that takes 64 bytes", small_reader)
        case(together, "endless blocks", block_flood)
        case(together, "after the session", after_session)
        if secure:
            begin = client_hello()
            case(together, "half-open TLS: nothing", half_tls, b"", True)
            case(together, "half-open TLS: half a ClientHello", half_tls, begin[:50], True)
            case(together, "half-open TLS: ClientHello, then silence", half_tls_after, begin)
            case(together, "no TLS on the port of TLS", half_tls, message(CSM) + hello, False)
            case(together, "HTTP on the port of TLS", half_tls, b"GET / HTTP/1.1\r\n\r\n", False)
            case(together, "TLS 1.2", old_tls)
        if web:
            host = b"Host: x\r\n"
            case(
                together,
                "HTTP without upgrade",
                http,
                b"GET /.well-known/coap HTTP/1.1\r\n" + host + b"\r\n",
                404,
                400,
                426,
            )
            case(
                together,
                "HTTP POST",
                http,
                b"POST /e HTTP/1.1\r\n" + host + b"Content-Length: 2\r\n\r\nhi",
                404,
                400,
                405,
            )
            case(together, "HTTP that is none", http, b"hello\r\n\r\n", 400)
            case(together, "upgrade at another path", http, lambda c: c.upgrade("/chat"), 404, 400, 403)
            case(together, "upgrade without a subprotocol", http, lambda c: c.upgrade(protocol=None), 404, 400, 403)
            case(together, "upgrade to another subprotocol", http, lambda c: c.upgrade(protocol="mqtt"), 404, 400, 403)
            case(together, "upgrade of an older version", http, lambda c: c.upgrade(version=8), 404, 400, 426)
            case(
                together, "a head that never ends", http_endless, b"GET / HTTP/1.1\r\n", b"X: " + b"y" * 1000 + b"\r\n"
            )
            case(
                together, "a body that never ends", http_endless,
                b"POST / HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n",
                b"400\r\n" + bytes(1024) + b"\r\n",
            )  # fmt: skip
            case(
                together, "a head, a byte now and then", drip, b"GET /.well-known/coap HTTP/1.1\r\nHost: x" + b"x" * 100
            )
            case(together, "text frame", web_frame, frame(b"hello", 1))
            case(together, "unmasked frame", web_frame, frame(message(PING, stream=False), masked=False))
            case(together, "reserved opcode", web_frame, frame(b"", 3))
            case(together, "continuation of nothing", web_frame, frame(b"x", 0))
            case(together, "reserved bits", web_frame, b"\xf2" + frame(b"x")[1:])
            case(together, "fragmented control frame", web_frame, frame(b"x", 9, False))
            case(together, "control frame of 126 bytes", web_frame, frame(bytes(126), 9))
            case(together, "frame of 2^62 bytes", web_frame, b"\x82\xff" + (1 << 62).to_bytes(8, "big") + bytes(4))
            case(together, "empty binary frame", web_frame, frame(b""))
            case(together, "close frame", web_frame, frame(b"\x03\xe8", 8))
            case(together, "half a WebSocket frame, then silence", web_frame, frame(hello)[:8])
            case(together, "fragments with a ping between them are taken", web_good)
        else:
            case(together, "a message, a byte now and then", drip, message(CSM) + b"\xd0\xff\x01" + bytes(300))

        case(alone, "wrong sessions", wrong_sessions)
        case(alone, "flood of hellos", flood, 1000, (GET, b"\x01", [(URI_PATH, b"hello")]))
        case(alone, "flood of requests before the session", flood, 5000, (GET, b"\x01"))
        case(alone, "flood of pings", flood, 5000, (PING, b"\x01"), home.occupancy)
        case(alone, "flood of requests", flood, 5000, (GET, b"\x01"), home.occupancy)
        junk = (POST, b"\x01", [(URI_PATH, b"e")], b"junk")
        case(alone, "flood of junk envelopes", flood, 5000, junk, home.occupancy)
        case(alone, "more envelopes than allowed", session_flood)
        case(alone, "deliveries read and not answered", unread, True)
        case(alone, "deliveries unread", unread, False)
        case(alone, "a delivery in blocks", in_blocks)
        case(alone, "deliveries answered under wrong tokens", nonsense_answers)
        case(alone, "more connections than allowed", too_many)

    steady = Steady(suite, arguments.urls[0])
    steady.start()
    before = suite.memory()
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(suite.run, *case) for case in together]:
            future.result()
    for url in arguments.urls:
        suite.run(url, "a good client after all that", lambda: asyncio.run(good(suite, url)))
    for url, what, function in alone:
        suite.run(url, what, function)
        suite.run(url, "a good client after " + what, lambda: asyncio.run(served(suite, url)))
    steady.ended.set()
    steady.join(LIMIT + SLACK + endpoint.PATIENCE)
    suite.note(
        arguments.urls[0], "a client all the while", not steady.error and steady.count, count=steady.count,
        slowest=round(steady.slowest, 2), error=steady.error, grown=suite.memory() - before or None,
    )  # fmt: skip
    sys.exit(0 if suite.is_good else 1)


def half_tls_after(suite, url, begin):
    """The relay answers a ClientHello; when nothing follows, it cuts off."""
    with suite.connect(url, secure=False, upgrade=False) as connection:
        begun = time.monotonic()
        connection.send(begin)
        got = b""
        try:
            while True:
                got += connection.receive(begun + LIMIT + SLACK)
        except Closed:
            return got[:1] == b"\x16", {"seconds": round(time.monotonic() - begun, 2)}


if __name__ == "__main__":
    main()
