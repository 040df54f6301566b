"""What the load, crash and soak tests of the relay share: a group, the relay's process, and clients of it.

The client speaks CoAP over TCP or TLS (RFC 8323) by itself, in few lines, so that one process can hold thousands of
connections and keep the relay busy. It shares no code with the relay.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

FINE, VIOLATION, CANNOT, SLOW = 0, 1, 3, 4
# It warns of writes to connections that are gone, of which there are many when a relay is killed.
logging.getLogger("asyncio").setLevel(logging.ERROR)
LIFETIME = 30 * 86400


class CannotRun(Exception):
    """Something that the test needs is not there: exit code 3."""


class Violation(Exception):
    """What must not happen has happened: exit code 1."""


class Slow(Violation):
    """Nothing was lost, but something did not come back within its time: exit code 4. A machine that is too busy does that, too."""


def note(text):
    print(text, file=sys.stderr, flush=True)


def exit_code(main):
    """Runs `main` and returns the exit code that its end stands for."""
    # What was begun is ended then, too: processes, name spaces, directories.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(CANNOT))
    try:
        return main() or FINE
    except CannotRun as error:
        note(f"cannot run: {error}")
        return CANNOT
    except Slow as error:
        note(f"TOO SLOW: {error}")
        return SLOW
    except Violation as error:
        note(f"VIOLATION: {error}")
        return VIOLATION
    except (Lost, TimeoutError) as error:
        note(f"VIOLATION: {type(error).__name__} {error}")
        return VIOLATION
    except KeyboardInterrupt:
        return CANNOT


def add_arguments(parser):
    parser.add_argument(
        "--pangate",
        default=os.environ.get("PANGATE"),
        help="the built program; by default what PANGATE in the environment names",
    )
    parser.epilog = "exit codes: 0 fine, 1 a violation, 2 wrong usage, 3 cannot run"


def program(arguments):
    """The built program, absolute."""
    if not arguments.pangate:
        raise CannotRun("no built pangate: give --pangate FILE, or set PANGATE")
    path = shutil.which(str(Path(arguments.pangate).absolute()))
    if path is None:
        raise CannotRun(f"{arguments.pangate}: is no program")
    return path


# MARK: The group


class Group:
    """A demo group: `folder` holds its identities, peer records and access list."""

    def __init__(self, folder, identities):
        self.folder = folder
        self.identities = identities

    def __getitem__(self, name):
        return self.identities[name]

    @property
    def relay(self):
        return self.identities["relay"]


def make_group(folder, endpoints):
    """Makes a group of oracle, gateway, relay, owner, phone2 and `endpoints`: name to the names that it may send to.

    One group for each process, since the modules of the demo home keep theirs in a variable. Identities that are in the
    folder already are used again.
    """
    folder = Path(folder)
    os.environ["LAB_IDENTITIES"] = str(folder)
    assert "identity" not in sys.modules, "the group has to be made before the demo home is imported"
    import home
    from identity import Identity

    home.MEMBERS[:] = [
        home.Member("oracle", home.ORACLE, 1, sends_to=["relay"]),
        home.Member("gateway", home.GATEWAY, 0, eui64=home.GATEWAY_EUI64, short=home.GATEWAY_SHORT, sends_to=["owner"]),
        home.Member("relay", home.RELAY, 1, sends_to=[]),
        home.Member("owner", home.ENDPOINT, 0, sends_to=["gateway", "phone2"]),
        home.Member("phone2", home.ENDPOINT, 0, sends_to=["gateway", "owner"]),
        *(home.Member(name, home.ENDPOINT, 0, sends_to=to) for name, to in endpoints.items()),
    ]
    home.BY_NAME = {member.name: member for member in home.MEMBERS}
    names = list(home.BY_NAME)
    done = folder / "members.json"
    wanted = json.dumps({name: home.BY_NAME[name].sends_to for name in names})
    if not done.exists() or done.read_text() != wanted:
        import make_demo_home

        with contextlib.redirect_stdout(None):
            make_demo_home.main(False)
        done.write_text(wanted)
    return Group(folder, {name: Identity.load(name, folder) for name in names})


# MARK: Envelopes


def sign(sender, to, sequence, payload, lifetime=LIFETIME):
    """An envelope of class auth-only, ready to be sent. Its bytes are made once, and the same ones sent again."""
    import envelope

    return envelope.make(sender, envelope.AUTH_ONLY, to, sequence, 42, payload, ttl=lifetime, full=True)


def name_of(data):
    """Sender and sequence number of an envelope, which is all by which it is told from others."""
    import cbor2

    header = cbor2.loads(cbor2.loads(data).value[0])
    return bytes(header[34][1]), header[-65537][2]


# MARK: CoAP over TCP

GET, POST = 1, 2
CREATED, CHANGED, CONTENT = 2 << 5 | 1, 2 << 5 | 4, 2 << 5 | 5
UNAVAILABLE = 5 << 5 | 3
CSM, PING, PONG, RELEASE, ABORT = (7 << 5 | detail for detail in range(1, 6))
URI_PATH, CONTENT_FORMAT = 11, 12
MESSAGE_SIZE = 4 << 20


def code_text(code):
    return f"{code >> 5}.{code & 31:02d}"


def options(pairs):
    """Options in their wire form, in the order of their numbers; all are short here."""
    out, last = bytearray(), 0
    for number, value in pairs:
        delta = number - last
        last = number
        assert delta < 13
        if len(value) < 13:
            out.append(delta << 4 | len(value))
        else:
            out += bytes([delta << 4 | 13, len(value) - 13])
        out += value
    return bytes(out)


def frame(code, token=b"", content=b""):
    """A message; `content` is options, and the payload behind its marker."""
    length = len(content)
    if length < 13:
        head = bytes([length << 4 | len(token), code])
    elif length < 269:
        head = bytes([13 << 4 | len(token), length - 13, code])
    elif length < 65805:
        head = bytes([14 << 4 | len(token)]) + (length - 269).to_bytes(2, "big") + bytes([code])
    else:
        head = bytes([15 << 4 | len(token)]) + (length - 65805).to_bytes(4, "big") + bytes([code])
    return head + token + content


CAPABILITIES = frame(CSM, b"", options([(2, MESSAGE_SIZE.to_bytes(3, "big")), (4, b"")]))
GREETING = options([(URI_PATH, b"hello")])
OPENING = options([(URI_PATH, b"session"), (CONTENT_FORMAT, b"\x12")]) + b"\xff"
ENVELOPE = options([(URI_PATH, b"e"), (CONTENT_FORMAT, b"\x12")]) + b"\xff"


def payload_of(content):
    """What follows the payload marker; the options before it are passed over."""
    position = 0
    while position < len(content):
        lead = content[position]
        if lead == 0xFF:
            return content[position + 1 :]
        position += 1
        delta, length = lead >> 4, lead & 15
        position += {13: 1, 14: 2}.get(delta, 0)
        if length == 13:
            length = 13 + content[position]
            position += 1
        elif length == 14:
            length = 269 + int.from_bytes(content[position : position + 2], "big")
            position += 2
        position += length
    return b""


def problem_of(content):
    """The title of problem details (RFC 9290)."""
    import cbor2

    try:
        return cbor2.loads(payload_of(content)).get(-1, "")
    except Exception:
        return ""


class Lost(Exception):
    """The connection is gone."""


class Client(asyncio.Protocol):
    """One connection to a relay, with a session.

    `take(bytes)` decides about a delivery: True is 2.04, False is 5.03 (not now), None is no answer at all.
    """

    def __init__(self, identity, relay, take=None):
        self.identity = identity
        self.relay = relay
        self.take = take
        self.closed = asyncio.get_running_loop().create_future()
        self.reason = ""
        self.deliveries = 0
        self._transport = None
        self._buffer = bytearray()
        self._next = 0
        self._waiting = {}
        self._can_write = asyncio.Event()
        self._can_write.set()

    @classmethod
    async def open(cls, url, identity, relay, take=None, source=None, timeout=30):
        """Connects and opens the session. Throws ``Lost`` if that does not come about."""
        scheme, address = url.split("://")
        host, port = address.rsplit(":", 1)
        client = cls(identity, relay, take)
        try:
            async with asyncio.timeout(timeout):
                await asyncio.get_running_loop().create_connection(
                    lambda: client,
                    host,
                    int(port),
                    ssl=tls_context() if scheme == "coaps+tcp" else None,
                    local_addr=(source, 0) if source else None,
                )
                if scheme == "coaps+tcp":
                    shown = client._transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
                    if hashlib.sha256(shown).digest() != relay.fp:
                        raise Violation("the relay shows the certificate of another")
                await client._greet()
        except (OSError, TimeoutError, Lost) as error:
            client.abort()
            raise Lost(f"{type(error).__name__}: {error}") from error
        return client

    async def _greet(self):
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        import cbor2
        import detcbor
        import envelope

        code, content = await self.request(GET, GREETING)
        if code != CONTENT:
            raise Lost(f"hello: {code_text(code)} {problem_of(content)}")
        protected, _, payload, signature = cbor2.loads(payload_of(content)).value
        half = [int.from_bytes(signature[start : start + 32], "big") for start in (0, 32)]
        signed = detcbor.dumps(["Signature1", protected, b"", payload])
        self.relay.verifying.verify(utils.encode_dss_signature(*half), signed, ec.ECDSA(hashes.SHA256()))
        nonce = cbor2.loads(payload)[1]
        mine = detcbor.dumps({1: -7, 34: [-16, self.identity.fp]})
        asked = detcbor.dumps({1: nonce, 2: self.relay.fp, 3: []})
        code, content = await self.request(POST, OPENING + envelope._sign(mine, asked, self.identity.signing))
        if code != CREATED:
            raise Lost(f"session: {code_text(code)} {problem_of(content)}")

    def request(self, code, content):
        """A future of code and content of the response."""
        future = asyncio.get_running_loop().create_future()
        self.send(code, content, lambda *answer: future.done() or future.set_result(answer), future)
        return future

    def send(self, code, content, answered, future=None):
        """Sends a request; `answered(code, content)` is called when its response has come."""
        if self._transport is None or self._transport.is_closing():
            raise Lost(self.reason)
        self._next += 1
        token = self._next.to_bytes(4, "big")
        self._waiting[token] = (answered, future)
        self._transport.write(frame(code, token, content))

    async def submit(self, envelopes, answered, window=64, pace=None):
        """Sends envelopes in order, `window` before the first is answered; `answered(envelope, code, reason)`.

        `pace` is awaited before each. Returns when all are answered; throws ``Lost``.
        """
        loop = asyncio.get_running_loop()
        room = asyncio.Event()
        flying = 0

        def done(data, code, content):
            nonlocal flying
            flying -= 1
            room.set()
            answered(data, code, "" if code == CHANGED else problem_of(content))

        async def until(condition):
            while not condition():
                room.clear()
                waiting = loop.create_task(room.wait())
                await asyncio.wait([waiting, self.closed], return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if self.closed.done():
                    raise Lost(self.reason)

        for data in envelopes:
            if pace is not None:
                await pace()
            await until(lambda: flying < window)
            await self._can_write.wait()
            flying += 1
            self.send(POST, ENVELOPE + data, lambda code, content, data=data: done(data, code, content))
        await until(lambda: flying == 0)

    def abort(self):
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def close(self):
        if self._transport is not None:
            self._transport.close()

    @property
    def is_open(self):
        return self._transport is not None and not self.closed.done()

    # What asyncio tells.

    def connection_made(self, transport):
        self._transport = transport
        transport.write(CAPABILITIES)

    def pause_writing(self):
        self._can_write.clear()

    def resume_writing(self):
        self._can_write.set()

    def connection_lost(self, error):
        self.reason = self.reason or f"closed: {error}"
        self._can_write.set()
        for _, future in self._waiting.values():
            if future is not None and not future.done():
                future.set_exception(Lost(self.reason))
        self._waiting.clear()
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data):
        buffer = self._buffer
        buffer += data
        position, end = 0, len(buffer)
        while position < end:
            lead = buffer[position]
            extended = {13: 1, 14: 2, 15: 4}.get(lead >> 4, 0)
            start = position + 1 + extended
            if start + 1 > end:
                break
            length = lead >> 4
            if extended:
                base = {1: 13, 2: 269, 4: 65805}[extended]
                length = base + int.from_bytes(buffer[position + 1 : start], "big")
            body = start + 1 + (lead & 15)
            if body + length > end:
                break
            self._message(buffer[start], bytes(buffer[start + 1 : body]), bytes(buffer[body : body + length]))
            position = body + length
        del buffer[:position]

    def _message(self, code, token, content):
        if code == PING:
            self._transport.write(frame(PONG, token))
        elif code in (RELEASE, ABORT):
            self.reason = self.reason or f"{'Release' if code == RELEASE else 'Abort'} {payload_of(content)!r}"
            self._transport.close()
        elif code == POST:
            self.deliveries += 1
            taken = self.take(payload_of(content)) if self.take else False
            if taken is not None:
                self._transport.write(frame(CHANGED if taken else UNAVAILABLE, token))
        elif code >> 5 in (2, 4, 5):
            waiting = self._waiting.pop(token, None)
            if waiting is not None:
                waiting[0](code, content)


_tls = None


def tls_context():
    """TLS 1.3, the certificate checked by its SHA-256 afterwards."""
    global _tls
    if _tls is None:
        _tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _tls.minimum_version = ssl.TLSVersion.TLSv1_3
        _tls.check_hostname = False
        _tls.verify_mode = ssl.CERT_NONE
        _tls.set_alpn_protocols(["coap"])
    return _tls


# MARK: The relay


class Relay:
    """The relay's process, on one state directory, which it keeps from start to start."""

    def __init__(self, program, group, folder, listen=("coap+tcp://127.0.0.1:0",), extra="", prefix=(), state=None):
        self.program = program
        self.folder = Path(folder)
        self.state = Path(state) if state else self.folder / "state"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.control = self.folder / "control"
        self.listen = list(listen)
        self.prefix = list(prefix)
        self.process = None
        self.urls = []
        self.starts = 0
        self._log_start = 0
        self.config = self.folder / "relay.yaml"
        self.config.write_text(
            f"identity: {group.folder}/relay.pem\n"
            f"listen: {json.dumps(self.listen)}\n"
            f"groups: [{{oracle: {group.folder}/oracle.pem, access-list: {group.folder}/access-list.cose}}]\n"
            f"store: {{state: {self.state}}}\n"
            f"control: {self.control}\n" + extra
        )
        self.log = self.folder / "log"

    def begin(self):
        """Starts the process, and waits for nothing."""
        with contextlib.suppress(FileNotFoundError):
            # Left by a process that was killed; a new one is a sign that the relay is there.
            self.control.unlink()
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        self.urls = []
        self.starts += 1
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, self.program, "relay", "--config", self.config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def start(self, timeout=60):
        """Starts the process and waits until it listens everywhere."""
        self.begin()
        await self.ready(timeout)

    async def ready(self, timeout=60):
        deadline = time.monotonic() + timeout
        while len(self.urls) < len(self.listen):
            if self.process.poll() is not None:
                raise Violation(f"the relay ended with {self.process.returncode} at its start: {self.tail()}")
            if time.monotonic() > deadline:
                raise Violation(f"the relay does not listen after {timeout} s: {self.tail()}")
            await asyncio.sleep(0.005)
            self.urls = re.findall(r"url=(\S+)", self.log_text())

    def log_text(self):
        """What it has logged since its last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def tail(self):
        return self.log_text().strip()[-500:]

    def url(self, scheme):
        return next(url for url in self.urls if url.startswith(f"{scheme}://"))

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=15):
        """SIGTERM; throws if it does not end in time, or not well."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise Violation(f"the relay does not end within {timeout} s of SIGTERM") from error
        if status != 0:
            raise Violation(f"the relay ends with {status} after SIGTERM: {self.tail()}")

    def status(self):
        """What `pangate relay status` says."""
        out = subprocess.run(
            [self.program, "relay", "status", "--control", self.control, "--json"],
            capture_output=True,
            text=True,
            timeout=30,
        )
        if out.returncode != 0:
            raise Violation(f"relay status: {out.stderr.strip()}")
        return json.loads(out.stdout)

    def memory(self):
        """Bytes resident: all, and those that are the process's own."""
        lines = dict(
            line.split(":", 1) for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines() if ":" in line
        )
        return {key: int(lines[key].split()[0]) * 1024 for key in ("VmRSS", "RssAnon")}


def nats_server():
    """The server that tools/setup has fetched, or the system's; None if there is none."""
    path = f"{ROOT}/.build-nats:{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/bin"
    return shutil.which("nats-server", path=path)


@contextlib.contextmanager
def work_folder(keep=False):
    """A directory for one run. On the disk: what is tested is what was written there."""
    folder = Path(tempfile.mkdtemp(prefix="relay-lab-"))
    try:
        yield folder
    finally:
        if keep:
            note(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def until(condition, timeout, what, interval=0.02):
    """Waits for a condition; throws ``Violation`` if it does not come true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise Violation(f"not within {timeout:g} s: {what() if callable(what) else what}")
        await asyncio.sleep(interval)


class Pace:
    """So many in a second, for all who share it."""

    def __init__(self, rate):
        self.gap = 1 / rate
        self.next = time.monotonic()

    async def __call__(self):
        now = time.monotonic()
        # What was missed is not made up for all at once.
        self.next = max(self.next + self.gap, now - 0.1)
        if self.next > now:
            await asyncio.sleep(self.next - now)


def raise_file_limit(wanted):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, OSError) as error:
        raise CannotRun(f"{wanted} open files are needed, {hard} are allowed: ulimit -n {wanted}") from error


def percentiles(values):
    """Median, 99th percentile and maximum, in milliseconds."""
    if not values:
        return {}
    ordered = sorted(values)

    def pick(part):
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))]

    return {"p50": round(pick(0.5) * 1e3, 2), "p99": round(pick(0.99) * 1e3, 2), "max": round(ordered[-1] * 1e3, 2)}
