"""One party of an EDHOC session, computed step by step from RFC 9528 with the primitives of the cryptography package.

For Tests/OSCORETests: lakers does method 3 with cipher suite 2 only, this does all four methods with suites 2 and 3. It
knows no state that is wrong and no message that is malformed. Jobs and answers are those of edhoc.py; beside them
"method", "suite" and "header", the ID_CRED of the party. On start it replays RFC 9529, chapter 3.
"""

import hashlib
import hmac
import io
import json
import pathlib
import sys

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

CURVE = ec.SECP256R1()


def sha256(data):
    return hashlib.sha256(data).digest()


def item(value):
    return cbor2.dumps(value)


def private(scalar):
    return ec.derive_private_key(int.from_bytes(scalar, "big"), CURVE)


def public(x):
    return ec.EllipticCurvePublicKey.from_encoded_point(CURVE, b"\x03" + x)


def x_of(key):
    return key.public_key().public_numbers().x.to_bytes(32, "big")


def kdf(prk, label, context, length):
    return HKDFExpand(hashes.SHA256(), length, item(label) + item(context) + item(length)).derive(prk)


def extract(salt, secret):
    return hmac.new(salt, secret, hashlib.sha256).digest()


def short(identifier):
    """How a byte string stands on the wire (3.3.2)."""
    one = len(identifier) == 1 and (identifier[0] < 24 or 32 <= identifier[0] < 56)
    return identifier if one else item(identifier)


def long(value):
    """The byte string for what stood on the wire."""
    return value if isinstance(value, bytes) else item(value)


class Sequence:
    """The items of a CBOR sequence one after the other."""

    def __init__(self, data):
        self.data = data
        self.stream = io.BytesIO(data)

    def next(self):
        return cbor2.CBORDecoder(self.stream).decode()

    def rest(self):
        return self.data[self.stream.tell() :]


class Party:
    def start(self, job, is_initiator):
        self.is_initiator = is_initiator
        self.method, self.suite = job["method"], job["suite"]
        self.i_signs, self.r_signs = self.method in (0, 1), self.method in (0, 2)
        self.mac_length = 8 if self.suite == 2 else 16
        self.ephemeral = private(job["ephemeral"]) if "ephemeral" in job else ec.generate_private_key(CURVE)
        self.key, self.credential, self.header = private(job["key"]), job["credential"], job["header"]

    def initiator(self, job):
        self.start(job, True)

    def responder(self, job):
        self.start(job, False)

    # Steps that both parties do alike.

    def agree(self, g_y, other):
        self.th_2 = sha256(item(g_y) + item(sha256(self.message_1)))
        self.prk_2e = extract(self.th_2, self.ephemeral.exchange(ec.ECDH(), public(other)))
        self.other = other

    def static(self, prk, label, th, own, peer):
        """Mixes in the secret of a static key: our own, or the peer's, which stands in its credential."""
        secret = self.key.exchange(ec.ECDH(), public(self.other)) if own else self.ephemeral.exchange(ec.ECDH(), peer)
        return extract(kdf(prk, label, th, 32), secret)

    def crypt_2(self, text):
        return bytes(a ^ b for a, b in zip(text, kdf(self.prk_2e, 0, self.th_2, len(text))))

    def proof(self, prk, label, prefix, header, th, credential, ead, signs):
        mac = kdf(prk, label, prefix + header + item(th) + credential + ead, 32 if signs else self.mac_length)
        return mac, item(["Signature1", header, item(th) + credential + ead, mac])

    def make(self, mac, signed, signs):
        if not signs:
            return mac
        r, s = utils.decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def check(self, sent, mac, signed, signs, peer):
        if not signs:
            assert sent == mac, "MAC"
            return
        assert len(sent) == 64
        signature = utils.encode_dss_signature(int.from_bytes(sent[:32], "big"), int.from_bytes(sent[32:], "big"))
        peer.verify(signature, signed, ec.ECDSA(hashes.SHA256()))

    def aead(self, prk, label, th):
        key, nonce = kdf(prk, label, th, 16), kdf(prk, label + 1, th, 13)
        return AESCCM(key, tag_length=self.mac_length), nonce, item(["Encrypt0", b"", th])

    def finish(self, plaintext_3, credential_i):
        self.th_4 = sha256(item(self.th_3) + plaintext_3 + credential_i)
        self.prk_out = kdf(self.prk_4e3m, 7, self.th_4, 32)

    # message_1

    def compose_1(self, job):
        self.c_i = job["identifier"]
        self.message_1 = item(self.method) + item(self.suite) + item(x_of(self.ephemeral)) + short(self.c_i)
        self.message_1 += sequence(job)
        return {"bytes": self.message_1}

    def process_1(self, job):
        self.message_1 = job["message"]
        items = Sequence(self.message_1)
        assert (items.next(), items.next()) == (self.method, self.suite)
        self.g_x = items.next()
        return {"identifier": long(items.next()), "ead": plain(items.rest())}

    # message_2

    def compose_2(self, job):
        g_y, c_r, ead = x_of(self.ephemeral), job["identifier"], sequence(job)
        self.agree(g_y, self.g_x)
        self.prk_3e2m = self.prk_2e if self.r_signs else self.static(self.prk_2e, 1, self.th_2, True, None)
        mac, signed = self.proof(
            self.prk_3e2m, 2, short(c_r), self.header, self.th_2, self.credential, ead, self.r_signs
        )
        plaintext = short(c_r) + compact(self.header) + item(self.make(mac, signed, self.r_signs)) + ead
        self.th_3 = sha256(item(self.th_2) + plaintext + self.credential)
        return {"bytes": item(g_y + self.crypt_2(plaintext))}

    def process_2(self, job):
        both = Sequence(job["message"]).next()
        self.agree(both[:32], both[:32])
        self.plaintext_2 = self.crypt_2(both[32:])
        items = Sequence(self.plaintext_2)
        self.c_r = long(items.next())
        self.sent_header, self.sent, self.sent_ead = claim(items)
        return {"identifier": self.c_r, "credential": self.sent_header, "ead": plain(self.sent_ead)}

    def verify_2(self, job):
        peer = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, job["point"])
        self.prk_3e2m = self.prk_2e if self.r_signs else self.static(self.prk_2e, 1, self.th_2, False, peer)
        mac, signed = self.proof(
            self.prk_3e2m, 2, short(self.c_r), self.sent_header, self.th_2, job["peer"], self.sent_ead, self.r_signs
        )
        self.check(self.sent, mac, signed, self.r_signs, peer)
        self.th_3 = sha256(item(self.th_2) + self.plaintext_2 + job["peer"])

    # message_3

    def compose_3(self, job):
        ead = sequence(job)
        self.prk_4e3m = self.prk_3e2m if self.i_signs else self.static(self.prk_3e2m, 5, self.th_3, True, None)
        mac, signed = self.proof(self.prk_4e3m, 6, b"", self.header, self.th_3, self.credential, ead, self.i_signs)
        plaintext = compact(self.header) + item(self.make(mac, signed, self.i_signs)) + ead
        cipher, nonce, aad = self.aead(self.prk_3e2m, 3, self.th_3)
        self.finish(plaintext, self.credential)
        return {"bytes": item(cipher.encrypt(nonce, plaintext, aad))}

    def process_3(self, job):
        cipher, nonce, aad = self.aead(self.prk_3e2m, 3, self.th_3)
        self.plaintext_3 = cipher.decrypt(nonce, Sequence(job["message"]).next(), aad)
        self.sent_header, self.sent, self.sent_ead = claim(Sequence(self.plaintext_3))
        return {"credential": self.sent_header, "ead": plain(self.sent_ead)}

    def verify_3(self, job):
        peer = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, job["point"])
        self.prk_4e3m = self.prk_3e2m if self.i_signs else self.static(self.prk_3e2m, 5, self.th_3, False, peer)
        mac, signed = self.proof(
            self.prk_4e3m, 6, b"", self.sent_header, self.th_3, job["peer"], self.sent_ead, self.i_signs
        )
        self.check(self.sent, mac, signed, self.i_signs, peer)
        self.finish(self.plaintext_3, job["peer"])

    # message_4 and what comes after

    def compose_4(self, job):
        cipher, nonce, aad = self.aead(self.prk_4e3m, 8, self.th_4)
        return {"bytes": item(cipher.encrypt(nonce, sequence(job), aad))}

    def process_4(self, job):
        cipher, nonce, aad = self.aead(self.prk_4e3m, 8, self.th_4)
        return {"ead": plain(cipher.decrypt(nonce, Sequence(job["message"]).next(), aad))}

    def complete(self, job):
        pass

    def export(self, job):
        return {"bytes": kdf(kdf(self.prk_out, 10, b"", 32), job["label"], job["context"], job["length"])}

    def update(self, job):
        self.prk_out = kdf(self.prk_out, 11, job["context"], 32)


def compact(header):
    """What stands for ID_CRED in a plaintext (3.5.3.2)."""
    value = cbor2.loads(header)
    return short(value[4]) if list(value) == [4] else header


def claim(items):
    """ID_CRED as a map, Signature_or_MAC and the encoded EAD."""
    start = items.stream.tell()
    value = items.next()
    header = items.data[start : items.stream.tell()] if isinstance(value, dict) else item({4: long(value)})
    return header, items.next(), items.rest()


def sequence(job):
    encoded = b""
    for one in job.get("ead", []):
        encoded += item(-one["label"] if one["critical"] else one["label"])
        encoded += item(bytes.fromhex(one["value"])) if "value" in one else b""
    return encoded


def plain(encoded):
    found, items = [], Sequence(encoded)
    while items.rest():
        value = items.next()
        if isinstance(value, bytes):
            found[-1]["value"] = value.hex()
        else:
            found.append({"label": abs(value), "critical": value < 0})
    return found


def replay():
    """RFC 9529, chapter 3: this file against the RFC before it judges anything else."""
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    v = json.loads((root / "Captures/vectors/edhoc-rfc9529.json").read_text())
    v = {name: bytes.fromhex(text) for name, text in v.items()}

    def party(side, ephemeral):
        return {"method": 3, "suite": 2, "ephemeral": v[ephemeral], "key": v["SK_" + side],
                "credential": v["CRED_" + side], "header": v["ID_CRED_" + side]}  # fmt: skip

    def peer(side):
        return {"peer": v["CRED_" + side], "point": b"\x04" + v[f"PK_{side}_x"] + v[f"PK_{side}_y"]}

    i, r = Party(), Party()
    i.initiator(party("I", "X"))
    r.responder(party("R", "Y"))
    # The RFC's message_1 names suite 6 before suite 2.
    i.c_i, i.message_1 = v["C_I"], v["message_1"]
    r.message_1, r.g_x = v["message_1"], v["G_X"]
    assert r.compose_2({"identifier": v["C_R"]})["bytes"] == v["message_2"]
    i.process_2({"message": v["message_2"]})
    i.verify_2(peer("R"))
    assert i.compose_3({})["bytes"] == v["message_3"]
    r.process_3({"message": v["message_3"]})
    r.verify_3(peer("I"))
    assert r.compose_4({})["bytes"] == v["message_4"]
    assert i.process_4({"message": v["message_4"]}) == {"ead": []}
    assert i.prk_out == r.prk_out == v["PRK_out"]


def main():
    replay()
    party = Party()
    for line in sys.stdin:
        job = json.loads(line)
        for name in ("key", "credential", "header", "peer", "point", "identifier", "message", "context"):
            if name in job:
                job[name] = bytes.fromhex(job[name])
        try:
            answer = getattr(party, job["do"])(job) or {}
            answer = {name: value if name == "ead" else value.hex() for name, value in answer.items()}
        except Exception as error:  # The test wants to see any refusal.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
