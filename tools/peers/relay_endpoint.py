"""An endpoint of a relay, written from the documentation alone (the design and Docs/envelope.cddl): CoAP over TCP, TLS
and WebSockets by aiocoap, COSE by cwt, CBOR by cbor2, signatures by cryptography. It shares no code with Pangate.

    relay_endpoint.py tls FOLDER                a CA and a certificate for localhost: ca.pem, relay.pem, relay.key
    relay_endpoint.py check URL...              every rule of the relay, over each URL
    relay_endpoint.py revoke URL...             new access lists, without phone2 and with it again
    relay_endpoint.py send URL --as NAME --to NAME TEXT [--confidential]
    relay_endpoint.py receive URL --as NAME     receives and answers with signed receipts until standard input ends
Options: --demo FOLDER (identities and access list), --ca FILE (for coaps+tcp and coaps+ws).

Prints one JSON object a line. Exits with 1 if the relay broke a rule."""

import argparse
import asyncio
import contextlib
import datetime
import hashlib
import io
import ipaddress
import json
import logging
import os
import pathlib
import re
import sys
import time

import aiocoap
import aiocoap.resource
import cbor2
from aiocoap import DELETE, GET, POST, PUT, Message
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID
from cwt import COSE, COSEKey
from zcbor import DataTranslator

SIGN1, PROBLEM, ACCESS_LIST, RECEIPT = 18, 257, 65005, 65003
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PATIENCE = 20
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "Config" / "demo"


# Identities


def point(public_key):
    return public_key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


class Identity:
    """A certificate, whose SHA-256 is the address, and two P-256 keys."""

    def __init__(self, certificate, signing, agreement):
        self.certificate, self.signing, self.agreement = certificate, signing, agreement
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.fp = hashlib.sha256(self.der).digest()
        self.fp8 = self.fp[:8]

    @classmethod
    def load(cls, name, folder):
        text = (pathlib.Path(folder) / f"{name}.pem").read_bytes()
        certificate = x509.load_pem_x509_certificate(text)
        keys = re.findall(rb"-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----\n", text, re.S)
        return cls(certificate, *(serialization.load_pem_private_key(key, None) for key in keys))

    @classmethod
    def stranger(cls):
        signing = ec.generate_private_key(ec.SECP256R1())
        return cls(certificate("stranger", signing), signing, ec.generate_private_key(ec.SECP256R1()))


def certificate(name, key, issuer=None, issuer_key=None, authority=False, hosts=()):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    signer = issuer_key or key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if authority:
        builder = builder.add_extension(
            x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True
        )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(hosts)), critical=False)
    return builder.sign(signer, hashes.SHA256())


def make_tls(folder):
    folder = pathlib.Path(folder)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = certificate("Test CA", authority_key, authority=True)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    server = certificate("localhost", key, authority, authority_key, hosts=hosts)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "ca.pem").write_bytes(authority.public_bytes(pem))
    (folder / "relay.pem").write_bytes(server.public_bytes(pem))
    (folder / "relay.key").write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))


# COSE


def dumps(value):
    """The maps here have keys whose order is the same by both rules, that of RFC 7049 and that of RFC 8949."""
    return cbor2.dumps(value, canonical=True)


def raw_signature(key, data):
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def sign1(protected, payload, key, unprotected=None):
    signature = raw_signature(key, dumps(["Signature1", protected, b"", payload]))
    return dumps(cbor2.CBORTag(18, [protected, unprotected or {}, payload, signature]))


def cose_key(alg, public_key, private_key=None):
    raw = point(public_key)
    fields = {1: 2, 3: alg, -1: 1, -2: raw[1:33], -3: raw[33:]}
    if private_key is not None:
        fields[-4] = private_key.private_numbers().private_value.to_bytes(32, "big")
    return COSEKey.new(fields)


_last = 0


def next_sequence():
    """Rises over all runs: microseconds."""
    global _last
    _last = max(_last + 1, time.time_ns() // 1000)
    return _last


def envelope(
    sender, to, payload, cls=1, seq=None, content_format=0, iat=0, ttl=3600, flags=0, ext=None, short=False, alg=-7,
    key=None, readable=False, unprotected=None,
):  # fmt: skip
    """A signed envelope. `iat` 0 is now; `key` forges, `readable` says confidential and is not."""
    sac = [
        cls, [peer.fp8 if short else peer.fp for peer in to], next_sequence() if seq is None else seq,
        int(time.time()) if iat == 0 else iat, ttl, flags,
    ]  # fmt: skip
    if ext:
        sac.append(ext)
    header = {1: alg, 34: [-15, sender.fp8] if short else [-16, sender.fp], -65537: sac}
    is_sealed = cls == 2 and not readable
    if not is_sealed:
        header[3] = content_format
    protected = dumps(header)
    if is_sealed:
        (recipient,) = to
        payload = COSE.new().encode(
            payload, cose_key(35, recipient.agreement.public_key()), protected={1: 35, 3: content_format},
            unprotected={}, external_aad=protected,
        )  # fmt: skip
    return sign1(protected, payload, key or sender.signing, unprotected)


class Opened:
    """An envelope, verified with its sender's key and opened with a recipient's, by cwt."""

    def __init__(self, data, sender, recipient):
        COSE.new().decode(data, cose_key(-7, sender.certificate.public_key()))
        outer = cbor2.loads(data)
        if dumps(outer) != data or outer.tag != 18 or outer.value[1]:
            raise ValueError("not the one form of an envelope")
        self.protected, _, self.payload, _ = outer.value
        header = cbor2.loads(self.protected)
        if header[34] not in ([-16, sender.fp], [-15, sender.fp8]):
            raise ValueError("another sender")
        self.cls, self.to, self.seq, self.iat, self.ttl, self.flags = header[-65537][:6]
        self.ext = header[-65537][6] if len(header[-65537]) > 6 else {}
        self.content_format, self.content = header.get(3), self.payload
        if self.cls == 2:
            key = cose_key(35, recipient.agreement.public_key(), recipient.agreement)
            self.content = COSE.new().decode(self.payload, key, external_aad=self.protected)
            self.content_format = cbor2.loads(cbor2.loads(self.payload).value[0])[3]

    @property
    def answer_hash(self):
        return hashlib.sha256(self.protected + self.payload).digest()[:8]


def session_message(client, relay, nonce, serving=(), key=None, unprotected=None):
    payload = dumps({1: nonce, 2: relay, 3: [address for address in serving]})
    return sign1(dumps({1: -7, 34: [-16, client.fp]}), payload, key or client.signing, unprotected)


def open_hello(data, relay):
    """The fields of a relay's hello, if it is from the relay with this address."""
    outer = cbor2.loads(data)
    protected, unprotected, payload, _ = outer.value
    header, fields = cbor2.loads(protected), cbor2.loads(payload)
    if dumps(outer) != data or outer.tag != 18 or unprotected or header != {1: -7, 34: [-16, relay]}:
        raise ValueError("not a hello of this relay")
    if dumps(fields) != payload or sorted(fields) != [1, 2, 3, 4, 5] or hashlib.sha256(fields[2]).digest() != relay:
        raise ValueError("not the certificate of this relay")
    COSE.new().decode(data, cose_key(-7, x509.load_der_x509_certificate(fields[2]).public_key()))
    return {"nonce": fields[1], "time": fields[3], "size": fields[4], "window": fields[5]}


# CoAP


class Deliveries(aiocoap.resource.Resource):
    """What the relay POSTs to /e on the connection that this end opened."""

    def __init__(self, peer):
        super().__init__()
        self.peer = peer

    async def render_post(self, request):
        peer = self.peer
        answer = peer.answers.pop(0) if peer.answers else Message(code=aiocoap.CHANGED)
        peer.received.put_nowait(request.payload)
        if answer is None:
            await asyncio.Event().wait()
        return answer


class Peer:
    """One connection of one identity."""

    def __init__(self, url, identity, relay):
        self.url, self.identity, self.relay = url, identity, relay
        self.received = asyncio.Queue()
        # How the next deliveries are answered: 2.04 when it is empty; None is silence.
        self.answers = []

    @classmethod
    async def connect(cls, url, identity, relay, ca=None):
        """The connection, before its session; `hello` is what the relay said."""
        self = cls(url, identity, relay)
        scheme = url.split(":")[0]
        transport = {"coap+tcp": "tcpclient", "coaps+tcp": "tlsclient", "coap+ws": "ws", "coaps+ws": "ws"}[scheme]
        self.context = await aiocoap.Context.create_client_context(transports=[transport])
        if ca and scheme.startswith("coaps"):
            self.context.client_credentials.load_from_dict({f"{url}/*": {"tlscert": {"certfile": str(ca)}}})
        site = aiocoap.resource.Site()
        site.add_resource(["e"], Deliveries(self))
        self.context.serversite = site
        request = Message(code=GET, uri=url + "/hello")
        self.response = await asyncio.wait_for(self.context.request(request).response, PATIENCE)
        self.remote = self.response.remote
        return self

    @classmethod
    async def open(cls, url, identity, relay, ca=None, serving=()):
        self = await cls.connect(url, identity, relay, ca)
        response = await self.session(self.response, serving)
        if response.code != aiocoap.CREATED:
            raise RuntimeError(f"no session: {text(response)}")
        return self

    async def ask(self, code, path, payload=b"", content_format=None, blockwise=True, **options):
        message = Message(code=code, uri_path=path.split("/"), payload=payload, **options)
        message.remote = self.remote
        if content_format is not None:
            message.opt.content_format = content_format
        request = self.context.request(message, handle_blockwise=blockwise)
        return await asyncio.wait_for(request.response, PATIENCE)

    async def hello(self):
        return await self.ask(GET, "hello")

    async def session(self, hello, serving=(), **forgery):
        nonce = open_hello(hello.payload, self.relay)["nonce"]
        body = session_message(self.identity, self.relay, nonce, [peer.fp for peer in serving], **forgery)
        return await self.ask(POST, "session", body, SIGN1)

    async def post(self, data):
        return await self.ask(POST, "e", data, SIGN1)

    async def next(self, patience=PATIENCE):
        return await asyncio.wait_for(self.received.get(), patience)

    async def ended(self):
        """Waits until the relay has closed the connection; False if it does not."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if not self.is_open:
                return True
            await asyncio.sleep(0.01)
        return False

    @property
    def is_open(self):
        pools = [getattr(interface.token_interface, "_pool", {}) for interface in self.context.request_interfaces]
        if not any(self.remote in pool.values() for pool in pools):
            return False
        connection = getattr(self.remote, "_connection", None)
        # websockets counts: connecting, open, closing, closed.
        return connection is None or int(connection.state) < 2

    def drop(self):
        """Ends the connection as a crash does."""
        transport = getattr(self.remote, "_transport", None) or self.remote._connection.transport
        transport.abort()

    async def close(self):
        """Says Release, and waits until the relay has closed the connection. False if it does not."""
        try:
            await asyncio.wait_for(self.context.shutdown(), PATIENCE)
        except asyncio.TimeoutError:
            return False
        return await self.ended()


def text(response):
    return response.code.dotted


def reason(response):
    """The title of problem details (RFC 9290), or None."""
    if response.opt.content_format != PROBLEM:
        return None
    return cbor2.loads(response.payload).get(-1)


class Report:
    """Prints what happened, and remembers whether all of it was right."""

    def __init__(self):
        self.url = None
        self.is_good = True

    def note(self, what, good, **more):
        self.is_good = self.is_good and bool(good)
        line = {"url": self.url, "what": what, "good": bool(good)} | {k: v for k, v in more.items() if v is not None}
        print(json.dumps(line), flush=True)

    def answer(self, what, response, *codes):
        """An answer must have one of the codes; an error must say why."""
        why = reason(response)
        code = text(response)
        # What CoAP itself refuses says all in its code.
        good = code in codes and (
            response.code.is_successful() or code in ("4.02", "4.04", "4.05", "4.15") or bool(why)
        )
        self.note(what, good, answer=code, expected=None if good else " or ".join(codes), reason=why)


class Home:
    """The parties of the demo home."""

    def __init__(self, folder, ca):
        self.folder, self.ca = pathlib.Path(folder), ca
        for path in self.folder.glob("*.pem"):
            setattr(self, path.stem, Identity.load(path.stem, folder))
        self.stranger = Identity.stranger()

    async def connect(self, url, identity):
        return await Peer.connect(url, identity, self.relay.fp, self.ca)

    async def open(self, url, identity, serving=()):
        return await Peer.open(url, identity, self.relay.fp, self.ca, serving)


# The rules


def why_not(rule, data):
    """None if a message fits its rule in Docs/envelope.cddl, or why it does not."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        rules = DataTranslator.from_cddl((ROOT / "Docs" / "envelope.cddl").read_text(), 1000).my_types
        try:
            rules[rule].validate_str(data)
        except Exception as error:
            return f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return None


async def check_session(report, home, url):
    """Hello and session; returns the owner's session."""
    owner = await home.connect(url, home.owner)
    hello = open_hello(owner.response.payload, home.relay.fp)
    good = len(hello["nonce"]) == 16 and abs(hello["time"] - time.time()) < 30
    report.note(
        "hello is signed by the relay with the known address",
        good and owner.response.opt.content_format == SIGN1,
        envelopeSize=hello["size"], window=hello["window"],
    )  # fmt: skip
    why = why_not("hello", owner.response.payload)
    report.note("hello fits Docs/envelope.cddl", not why, error=why)
    mine = session_message(home.gateway, home.relay.fp, hello["nonce"], [home.lock.fp])
    report.note("session fits it, and is no hello", not why_not("session", mine) and why_not("hello", mine))
    try:
        open_hello(owner.response.payload, home.gateway.fp)
        report.note("hello of another relay is told apart", False)
    except ValueError:
        report.note("hello of another relay is told apart", True)
    report.answer("envelope before the session", await owner.post(envelope(home.owner, [home.gateway], b"x")), "4.01")
    report.answer("junk before the session", await owner.post(b"junk"), "4.01")
    report.answer("GET /e before the session", await owner.ask(GET, "e"), "4.01")
    report.answer("discovery before the session", await owner.ask(GET, ".well-known/core"), "4.01")

    first = owner.response
    second = await owner.hello()
    nonces = [open_hello(item.payload, home.relay.fp)["nonce"] for item in (first, second)]
    report.note("each hello has a nonce of its own", nonces[0] != nonces[1])
    report.answer("session with an older nonce", await owner.session(first), "4.01")
    report.answer("session with a nonce that was used", await owner.session(second), "4.01")
    relay = owner.relay
    body = session_message(home.owner, home.gateway.fp, open_hello((await owner.hello()).payload, relay)["nonce"])
    report.answer("session for another relay", await owner.ask(POST, "session", body, SIGN1), "4.01")
    report.answer("session without a hello", await owner.ask(POST, "session", body, SIGN1), "4.01")
    await owner.hello()
    report.answer("junk as a session", await owner.ask(POST, "session", b"\xff\x00junk", SIGN1), "4.00")
    nonce = open_hello((await owner.hello()).payload, relay)["nonce"]
    unsigned = dumps({1: nonce, 2: relay, 3: []})
    report.answer("unsigned session", await owner.ask(POST, "session", unsigned, SIGN1), "4.00")
    report.answer(
        "session with an unprotected header",
        await owner.session(await owner.hello(), unprotected={4: b"kid"}), "4.00",
    )  # fmt: skip
    report.answer(
        "session with a forged signature", await owner.session(await owner.hello(), key=home.stranger.signing), "4.03"
    )
    body = session_message(home.stranger, relay, open_hello((await owner.hello()).payload, relay)["nonce"])
    report.answer("session of a stranger", await owner.ask(POST, "session", body, SIGN1), "4.03")
    report.answer(
        "session for a mailbox that it does not host", await owner.session(await owner.hello(), [home.lock]), "4.03"
    )
    report.answer(
        "envelope after refused sessions", await owner.post(envelope(home.owner, [home.gateway], b"x")), "4.01"
    )
    report.answer("session", await owner.session(await owner.hello()), "2.01")
    report.answer("second session on one connection", await owner.session(await owner.hello()), "4.01")
    return owner


async def check_submission(report, home, owner, gateway):
    """What an owner may hand in, and what not."""
    to = [home.gateway]

    async def delivered(what, data):
        report.answer(what, await owner.post(data), "2.04")
        got = await gateway.next()
        report.note(what + ": delivered byte for byte", got == data)
        return got

    data = envelope(home.owner, to, b"auth-only")
    opened = Opened(await delivered("auth-only envelope", data), home.owner, home.gateway)
    report.note("auth-only envelope is readable", opened.content == b"auth-only")
    sealed = envelope(home.owner, to, b"a secret", cls=2)
    opened = Opened(await delivered("confidential envelope", sealed), home.owner, home.gateway)
    report.note(
        "confidential envelope is opened by its recipient", opened.content == b"a secret" and b"a secret" not in sealed
    )
    await delivered("short addresses", envelope(home.owner, to, b"short", short=True))
    await delivered("ESP256", envelope(home.owner, to, b"esp256", alg=-9))
    await delivered("sender without a clock", envelope(home.owner, to, b"no clock", iat=None))
    await delivered("large envelope", envelope(home.owner, to, b"L" * 60_000))
    report.answer("the same bytes again", await owner.post(data), "2.04")

    seq = Opened(data, home.owner, home.gateway).seq
    report.answer(
        "same sequence number, other bytes", await owner.post(envelope(home.owner, to, b"other", seq=seq)), "4.09"
    )
    # An ECDSA signature (r, s) is as good as (r, n - s), so it must not make a new message of an old one.
    s = int.from_bytes(data[-32:], "big")
    report.answer(
        "other form of the signature", await owner.post(data[:-32] + (ORDER - s).to_bytes(32, "big")), "2.04", "4.09"
    )
    # Nothing of the last three came: this is next.
    await delivered("after replays, one more", envelope(home.owner, to, b"next"))

    forged = [
        ("forged signature", envelope(home.owner, to, b"x", key=home.stranger.signing), "4.03"),
        ("changed payload", bytes(data[:-67] + bytes([data[-67] ^ 1]) + data[-66:]), "4.03"),
        ("sender that nobody knows", envelope(home.stranger, to, b"x"), "4.03"),
        ("sender that is somebody else", envelope(home.phone2, to, b"x"), "4.03"),
        ("recipient that nobody knows", envelope(home.owner, [home.stranger], b"x"), "4.03"),
        ("one recipient of two that nobody knows", envelope(home.owner, [home.gateway, home.stranger], b"x"), "4.03"),
        ("recipient that it may not send to", envelope(home.owner, [home.rain], b"x"), "4.03"),
        ("class that is too weak for the lock", envelope(home.owner, [home.lock], b"x", cls=0), "4.03"),
        ("on behalf of a node that it does not host", envelope(home.owner, to, b"x", ext={5: home.lock.fp}), "4.03"),
        ("too large", envelope(home.owner, to, b"x" * 66_000), "4.13"),
        ("unsigned junk", b"21.5", "4.00"),
        ("no body", b"", "4.00"),
        ("bytes behind it", data + b"\x00", "4.00"),
        ("cut short", data[:-1], "4.00"),
        ("no COSE tag", data[1:], "4.00"),
        ("something unprotected", envelope(home.owner, to, b"x", unprotected={4: b"kid"}), "4.00"),
        ("confidential in name only", envelope(home.owner, to, b"readable", cls=2, readable=True), "4.00"),
        ("class that is none", envelope(home.owner, to, b"x", cls=9), "4.00"),
        ("no recipient", envelope(home.owner, [], b"x"), "4.00"),
        ("algorithm that is none", envelope(home.owner, to, b"x", alg=-8), "4.00"),
        ("from the future", envelope(home.owner, to, b"x", iat=int(time.time()) + 3600), "4.00"),
        ("expired", envelope(home.owner, to, b"x", iat=int(time.time()) - 7200, ttl=60), "4.00"),
    ]  # fmt: skip
    # Every array and map of indefinite length, and every key twice, is another form of the same.
    protected, _, payload, signature = cbor2.loads(data).value
    parts = [cbor2.dumps(item) for item in (protected, {}, payload, signature)]
    forged.append(("indefinite length", b"\xd2\x9f" + b"".join(parts) + b"\xff", "4.00"))
    header = cbor2.loads(protected)
    swapped = b"\xa4" + b"".join(cbor2.dumps(key) + cbor2.dumps(header[key]) for key in (3, 1, 34, -65537))
    forged.append(("keys in another order", sign1(swapped, b"x", home.owner.signing), "4.00"))
    doubled = b"\xa5" + cbor2.dumps(1) + cbor2.dumps(-7) + dumps(header)[1:]
    forged.append(("a key twice", sign1(doubled, b"x", home.owner.signing), "4.00"))
    critical = dumps(header | {2: [99], 99: 1})
    forged.append(("unknown critical header", sign1(critical, b"x", home.owner.signing), "4.00"))
    for what, body, code in forged:
        report.answer(what, await owner.post(body), code)
    await delivered("after refusals, one more", envelope(home.owner, to, b"still here"))

    # In blocks, as a client would that cannot send it whole (RFC 7959).
    body = envelope(home.owner, to, bytes(range(256)) * 12)
    for number in range(0, len(body), 1024):
        part, more = body[number : number + 1024], number + 1024 < len(body)
        response = await owner.ask(
            POST, "e", part, SIGN1, blockwise=False, block1=(number // 1024, more, 6), request_tag=[b"blocks"]
        )
        report.answer(f"block {number // 1024}", response, "2.31" if more else "2.04")
    report.note("in blocks: delivered byte for byte", await gateway.next() == body)

    report.answer("GET /e", await owner.ask(GET, "e"), "4.05")
    report.answer("PUT /hello", await owner.ask(PUT, "hello", b"x"), "4.05")
    report.answer("DELETE /session", await owner.ask(DELETE, "session"), "4.05")
    report.answer("another path", await owner.ask(POST, "x", data, SIGN1), "4.04")
    report.answer("another content format", await owner.ask(POST, "e", data, 0), "4.15")
    message = Message(code=POST, uri_path=["e"], payload=envelope(home.owner, to, b"x"), if_match=[b"1"])
    message.opt.add_option(aiocoap.optiontypes.OpaqueOption(aiocoap.OptionNumber(65001), b"?"))
    message.remote = owner.remote
    response = await asyncio.wait_for(owner.context.request(message).response, PATIENCE)
    report.answer("unknown critical option", response, "4.02")


async def check_delivery(report, home, owner, gateway, url):
    """Custody: what is answered 2.04 comes, once in effect, whatever the recipient does."""
    to = [home.gateway]
    back = envelope(home.gateway, [home.owner], b"the other way")
    report.answer("gateway to owner", await gateway.post(back), "2.04")
    report.note("gateway to owner: delivered", await owner.next() == back)
    vouched = envelope(home.gateway, [home.owner], b"3 mm", cls=0, ext={5: home.rain.fp})
    report.answer("gateway vouches for a node", await gateway.post(vouched), "2.04")
    report.note("gateway vouches for a node: delivered", await owner.next() == vouched)
    weak = envelope(home.gateway, [home.owner], b"motion", ext={5: home.occupancy.fp})
    report.answer("gateway vouches for a node that must be confidential", await gateway.post(weak), "4.03")
    command = envelope(home.owner, [home.lock], b"open")
    report.answer("command for a node that the gateway hosts", await owner.post(command), "2.04")
    report.note("command for a node: delivered to its gateway", await gateway.next() == command)
    direct = envelope(home.lock, [home.owner], b"opened")
    report.answer("gateway hands in what its node signed", await gateway.post(direct), "2.04")
    report.note("what a node signed: delivered", await owner.next() == direct)

    # A recipient that has no room now is asked again.
    gateway.answers = [Message(code=aiocoap.SERVICE_UNAVAILABLE, max_age=1)]
    later = envelope(home.owner, to, b"later")
    report.answer("recipient answers 5.03", await owner.post(later), "2.04")
    report.note(
        "recipient answers 5.03: it comes again", [await gateway.next(), await gateway.next()] == [later, later]
    )

    # One that refuses for good is not, and the sender is told by the relay.
    problem = Message(code=aiocoap.FORBIDDEN, payload=dumps({-1: "envelopeExpired"}), content_format=PROBLEM)
    gateway.answers = [problem]
    refused = envelope(home.owner, to, b"refused", flags=1)
    report.answer("recipient answers 4.03", await owner.post(refused), "2.04")
    report.note("recipient answers 4.03: it came", await gateway.next() == refused)
    told, asked = Opened(await owner.next(), home.relay, home.owner), Opened(refused, home.owner, home.gateway)
    receipt = cbor2.loads(told.content)
    report.note(
        "recipient answers 4.03: the relay's signed report",
        told.content_format == RECEIPT and receipt[1] == 1 and told.ext == {1: asked.seq, 2: asked.answer_hash},
        reason=receipt.get(2),
    )  # fmt: skip

    # Nobody is there: it is held. What was not answered comes again, what was does not.
    gateway.answers = [None]
    unanswered = envelope(home.owner, to, b"unanswered")
    report.answer("recipient does not answer", await owner.post(unanswered), "2.04")
    report.note("recipient does not answer: it came", await gateway.next() == unanswered)
    # It goes without a word.
    gateway.drop()
    held = [envelope(home.owner, to, b"held %d" % number) for number in range(3)]
    for data in held:
        report.answer("recipient is away", await owner.post(data), "2.04")
    chunk = envelope(home.owner, to, b"sealed chunk", cls=3, ext={6: [7, 0]})
    report.answer("chunk of a stream to a recipient that is away", await owner.post(chunk), "4.04")
    gateway = await home.open(url, home.gateway, [home.lock, home.rain])
    report.note("what was held comes in order", [await gateway.next() for _ in range(4)] == [unanswered] + held)
    chunk = envelope(home.owner, to, b"sealed chunk", cls=3, ext={6: [7, 1]})
    report.answer("chunk of a stream", await owner.post(chunk), "2.04")
    report.note("chunk of a stream: forwarded", await gateway.next() == chunk)

    # A second connection takes over, and the first is told to go.
    second = await home.open(url, home.gateway, [home.lock, home.rain])
    report.note("a newer session ends the older one", await gateway.ended())
    last = envelope(home.owner, to, b"to the newer one")
    report.answer("to the newer session", await owner.post(last), "2.04")
    report.note("to the newer session: delivered, and nothing before it", await second.next() == last)
    await gateway.context.shutdown()
    both = envelope(home.gateway, [home.owner, home.phone2], b"to both")
    report.answer("two recipients", await second.post(both), "2.04")
    phone2 = await home.open(url, home.phone2)
    report.note("two recipients: delivered to each", await owner.next() == both and await phone2.next() == both)
    for peer in (phone2, second, owner):
        report.note("the relay closes after Release", await peer.close())


async def check(report, home, urls):
    for url in urls:
        report.url = url
        owner = await check_session(report, home, url)
        gateway = await home.open(url, home.gateway, [home.lock, home.rain])
        await check_submission(report, home, owner, gateway)
        await check_delivery(report, home, owner, gateway, url)


async def check_between(report, home, urls):
    """Each over another transport than the other."""
    for one, other in zip(urls, urls[1:] + urls[:1]):
        report.url = f"{one} to {other}"
        owner, gateway = await home.open(one, home.owner), await home.open(other, home.gateway)
        data, back = envelope(home.owner, [home.gateway], b"over", cls=2), envelope(home.gateway, [home.owner], b"back")
        report.answer("over", await owner.post(data), "2.04")
        report.note("over: delivered", Opened(await gateway.next(), home.owner, home.gateway).content == b"over")
        report.answer("back", await gateway.post(back), "2.04")
        report.note("back: delivered", Opened(await owner.next(), home.gateway, home.owner).content == b"back")
        await owner.close()
        await gateway.close()


def list_without(home, removed, epoch_step, key=None):
    """The access list of the demo without one of its entries, signed by the oracle again; `epoch_step` newer."""
    outer = cbor2.loads((home.folder / "access-list.cose").read_bytes())
    header, record = cbor2.loads(outer.value[0]), cbor2.loads(outer.value[2])
    entries = record[3]
    gone = {index for index, entry in enumerate(entries) if removed and entry[0] == removed.fp}
    index_of = {old: new for new, old in enumerate(index for index in range(len(entries)) if index not in gone)}
    record[3] = [
        [entry[0], entry[1], entry[2], index_of.get(entry[3]), [index_of[to] for to in entry[4] if to in index_of]]
        for index, entry in enumerate(entries)
        if index not in gone
    ]
    record[2] += epoch_step
    cls = header[-65537][0]
    return envelope(home.oracle, [home.relay], dumps(record), cls=cls, content_format=ACCESS_LIST, key=key)


async def revoke(report, home, urls):
    for number, url in enumerate(urls):
        report.url = url
        await revoke_over(report, home, url, 2 * number)


async def revoke_over(report, home, url, epoch):
    owner, phone2 = await home.open(url, home.owner), await home.open(url, home.phone2)
    stolen, marker = envelope(home.phone2, [home.gateway], b"open"), envelope(home.owner, [home.gateway], b"marker")
    report.answer("phone2 sends while it may", await phone2.post(stolen), "2.04")
    forged = list_without(home, home.phone2, epoch + 1, home.owner.signing)
    report.answer("a list with a forged signature", await owner.post(forged), "4.03")
    report.answer("a list of no newer epoch", await owner.post(list_without(home, home.phone2, epoch)), "4.09")
    report.answer("phone2 is still there", await phone2.post(envelope(home.phone2, [home.gateway], b"open")), "2.04")
    data = list_without(home, home.phone2, epoch + 1)
    begun = time.monotonic()
    report.answer("the oracle's new list", await owner.post(data), "2.04")
    # Refused, or the connection is gone already: then aiocoap may wait for ever.
    late = asyncio.ensure_future(phone2.post(envelope(home.phone2, [home.gateway], b"too late")))
    await asyncio.wait({late, asyncio.ensure_future(phone2.ended())}, return_when=asyncio.FIRST_COMPLETED)
    if late.done() and not late.exception():
        report.answer("phone2 sends after that", late.result(), "4.03")
    else:
        late.cancel()
    ended = await phone2.ended()
    report.note("the session of phone2 is ended", ended, milliseconds=round((time.monotonic() - begun) * 1000))
    report.answer("the same list again", await owner.post(data), "2.04")
    again = await home.connect(url, home.phone2)
    report.answer("phone2 wants a session", await again.session(again.response), "4.03")
    report.answer("to phone2", await owner.post(envelope(home.owner, [home.phone2], b"x")), "4.03")
    report.answer("after that, others", await owner.post(marker), "2.04")
    gateway = await home.open(url, home.gateway)
    report.note("what phone2 had sent is not delivered any more", await gateway.next() == marker)
    report.answer("a list with phone2 on it", await owner.post(list_without(home, None, epoch + 2)), "2.04")
    report.answer("phone2 wants a session again", await again.session(await again.hello()), "2.01")
    data = envelope(home.phone2, [home.gateway], b"back")
    report.answer("phone2 sends again", await again.post(data), "2.04")
    report.note("phone2 sends again: delivered", await gateway.next() == data)
    for peer in (gateway, owner, again):
        report.note("the relay closes after Release", await peer.close())
    await phone2.context.shutdown()


# With another program at the other end


async def send(report, home, url, arguments):
    report.url = url
    sender, recipient = getattr(home, arguments.who), getattr(home, arguments.to)
    peer = await home.open(url, sender)
    cls = 2 if arguments.confidential else 1
    data = envelope(sender, [recipient], arguments.text.encode(), cls=cls, flags=1)
    report.answer("sent", await peer.post(data), "2.04")
    # The recipient's receipt.
    sent = Opened(data, sender, sender) if cls != 2 else None
    got = Opened(await peer.next(), recipient, sender)
    good = got.content_format == RECEIPT and cbor2.loads(got.content) == {1: 0}
    if sent:
        good = good and got.ext.get(1) == sent.seq and got.ext.get(2) == sent.answer_hash
    report.note(
        "receipt",
        good,
        ext={str(key): value.hex() if isinstance(value, bytes) else value for key, value in got.ext.items()},
    )
    await peer.close()


async def receive(report, home, url, arguments):
    report.url = url
    me = getattr(home, arguments.who)
    members = {getattr(home, name).fp: name for name in ("owner", "gateway", "phone2", "lock", "rain", "relay")}
    peer = await home.open(url, me)
    report.note("session", True)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    while True:
        incoming = asyncio.ensure_future(peer.received.get())
        await asyncio.wait({incoming, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not incoming.done():
            incoming.cancel()
            break
        data = incoming.result()
        fingerprint = cbor2.loads(cbor2.loads(data).value[0])[34][1]
        name = next(name for fp, name in members.items() if fp.startswith(fingerprint))
        got = Opened(data, getattr(home, name), me)
        words = got.content.decode(errors="replace")
        report.note("received", True, sender=name, cls=got.cls, format=got.content_format, seq=got.seq, text=words)
        if got.flags & 1 and got.content_format != RECEIPT:
            ext = {1: got.seq, 2: got.answer_hash}
            answer = envelope(me, [getattr(home, name)], dumps({1: 0}), content_format=RECEIPT, ext=ext)
            report.answer("receipt sent", await peer.post(answer), "2.04")
    await peer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", default=DEMO)
    parser.add_argument("--ca")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("tls").add_argument("folder")
    commands.add_parser("check").add_argument("urls", nargs="+")
    commands.add_parser("revoke").add_argument("urls", nargs="+")
    for name in ("send", "receive"):
        command = commands.add_parser(name)
        command.add_argument("url")
        command.add_argument("--as", dest="who", required=True)
    commands.choices["send"].add_argument("--to", required=True)
    commands.choices["send"].add_argument("text")
    commands.choices["send"].add_argument("--confidential", action="store_true")
    arguments = parser.parse_args()
    if arguments.command == "tls":
        return make_tls(arguments.folder)
    logging.disable(logging.CRITICAL)
    report, home = Report(), Home(arguments.demo, arguments.ca)

    async def run():
        match arguments.command:
            case "check":
                await check(report, home, arguments.urls)
                await check_between(report, home, arguments.urls)
            case "revoke":
                await revoke(report, home, arguments.urls)
            case "send":
                await send(report, home, arguments.url, arguments)
            case "receive":
                await receive(report, home, arguments.url, arguments)

    try:
        asyncio.run(run())
    except Exception as error:
        report.note("unexpected", False, error=f"{type(error).__name__}: {error}")
        if "PEER_TRACE" in os.environ:
            raise
    sys.exit(0 if report.is_good else 1)


if __name__ == "__main__":
    main()
