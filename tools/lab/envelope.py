"""Envelopes (Docs/envelope.cddl): made by hand with deterministic CBOR, sealed with cwt, opened with cwt."""

import os
import time

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cwt import COSE, COSEKey, Recipient, VerifyError

import detcbor
from identity import point

SENML_JSON, SENML_CBOR = 110, 112
COSE_SIGN1 = 18
PEER_RECORD, RECEIPT, COAP_MESSAGE, ACCESS_LIST = 65001, 65003, 65004, 65005
NO_CONSEQUENCE, AUTH_ONLY, CONFIDENTIAL = 0, 1, 2


class Rejected(Exception):
    """What is refused, with the name of the reason as Sources/Wire/DropReason.swift has it."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


def _hpke_key(public_key, alg, kid=None):
    raw = point(public_key)
    fields = {1: 2, 3: alg, -1: 1, -2: raw[1:33], -3: raw[33:]}
    if kid is not None:
        fields[2] = kid
    return COSEKey.new(fields)


def _open_key(private_key, alg, kid=None):
    raw = point(private_key.public_key())
    scalar = private_key.private_numbers().private_value.to_bytes(32, "big")
    fields = {1: 2, 3: alg, -1: 1, -2: raw[1:33], -3: raw[33:], -4: scalar}
    if kid is not None:
        fields[2] = kid
    return COSEKey.new(fields)


def _protected(sender, cls, to, seq, content_format, iat, ttl, flags, ext, full):
    sac = [cls, [peer.fp if full else peer.fp8 for peer in to], seq, iat, ttl, flags]
    if ext:
        sac.append(ext)
    header = {1: -7, 34: [-16, sender.fp] if full else [-15, sender.fp8], -65537: sac}
    if content_format is not None:
        header[3] = content_format
    return detcbor.dumps(header)


def _sign(protected, payload, key):
    to_be_signed = detcbor.dumps(["Signature1", protected, b"", payload])
    r, s = utils.decode_dss_signature(key.sign(to_be_signed, ec.ECDSA(hashes.SHA256())))
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return detcbor.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]))


def seal(payload, content_format, to, protected):
    """COSE_Encrypt0 (HPKE-0) for one recipient, COSE_Encrypt with A128GCM and HPKE-0-KE for several."""
    if len(to) == 1:
        sealed = COSE.new().encode(
            payload,
            _hpke_key(to[0].agreement.public_key(), 35),
            protected={1: 35, 3: content_format},
            unprotected={},
            external_aad=protected,
        )
    else:
        recipients = [
            Recipient.new(
                protected={1: 46, 4: peer.fp8},
                unprotected={},
                recipient_key=_hpke_key(peer.agreement.public_key(), 46),
            )
            for peer in to
        ]
        sealed = COSE.new().encode(
            payload,
            COSEKey.from_symmetric_key(alg="A128GCM"),
            protected={1: 1, 3: content_format},
            unprotected={5: os.urandom(12)},
            recipients=recipients,
            external_aad=protected,
        )
    return detcbor.dumps(cbor2.loads(sealed))


def make(
    sender,
    cls,
    to,
    seq,
    content_format,
    payload,
    iat=None,
    ttl=3600,
    flags=0,
    ext=None,
    full=False,
    signing_key=None,
    plain_inside=False,
):
    """A signed envelope. `full` names the parties by fp instead of fp8; `signing_key` forges;
    `plain_inside` claims to be confidential and is not."""
    confidential = cls == CONFIDENTIAL and not plain_inside
    protected = _protected(
        sender,
        cls,
        to,
        seq,
        None if confidential else content_format,
        int(time.time()) if iat is None else iat,
        ttl,
        flags,
        ext,
        full,
    )
    if confidential:
        payload = seal(payload, content_format, to, protected)
    return _sign(protected, payload, signing_key or sender.signing)


class Envelope:
    """An envelope taken apart, not yet verified."""

    def __init__(self, data):
        try:
            outer = cbor2.loads(data)
        except cbor2.CBORDecodeEOF as error:
            raise Rejected("truncated") from error
        except Exception as error:
            raise Rejected("coseStructure") from error
        if detcbor.dumps(outer) != data:
            raise Rejected("coseStructure")
        if not isinstance(outer, cbor2.CBORTag) or outer.tag != 18:
            raise Rejected("coseTagMissing")
        self.data = data
        self.protected, unprotected, self.payload, self.signature = outer.value
        if unprotected:
            raise Rejected("coseUnprotectedNotEmpty")
        header = cbor2.loads(self.protected)
        self.content_format = header.get(3)
        self.sender = bytes(header[34][1])
        sac = header[-65537]
        self.cls, self.to, self.seq, self.iat, self.ttl, self.flags = sac[:6]
        self.ext = sac[6] if len(sac) > 6 else {}

    def verify(self, public_key):
        """By cwt, which had no part in making the signature."""
        raw = point(public_key)
        key = COSEKey.new({1: 2, 3: -7, -1: 1, -2: raw[1:33], -3: raw[33:]})
        try:
            COSE.new().decode(self.data, key)
        except VerifyError as error:
            raise Rejected("coseSignatureInvalid") from error

    def open(self, recipient):
        """The content format and the plaintext, for one of the recipients."""
        if self.cls != CONFIDENTIAL:
            return self.content_format, self.payload
        inner = cbor2.loads(self.payload)
        header = cbor2.loads(inner.value[0])
        if inner.tag == 16:
            plaintext = COSE.new().decode(
                self.payload, _open_key(recipient.agreement, 35), external_aad=self.protected
            )
        else:
            plaintext = COSE.new().decode(
                self.payload, _open_key(recipient.agreement, 46, recipient.fp8), external_aad=self.protected
            )
        return header[3], plaintext
