#!/usr/bin/env python3
"""Envelopes by cwt, pycose and cbor2, which had no part in Pangate: a list of jobs in JSON on standard input, a list
of outcomes on standard output. Parties are named as in Config/demo.

make    an envelope of "sender" to "to", by tools/lab/envelope.py
open    verifies "message" as "sender"'s with cwt and pycose and opens it as "recipient"
load    reads the identity file "pem" with cryptography
"""

import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))

from pycose.keys import EC2Key
from pycose.keys.curves import P256
from pycose.messages import Sign1Message

import envelope
from identity import Identity, point


def make(job):
    ext = {int(key): bytes.fromhex(item.removeprefix("h:")) if isinstance(item, str) else item for key, item in job["ext"].items()}
    data = envelope.make(
        Identity.load(job["sender"]),
        job["cls"],
        [Identity.load(name) for name in job["to"]],
        job["seq"],
        job["format"],
        bytes.fromhex(job["payload"]),
        iat=job["iat"],
        ttl=job["ttl"],
        flags=job["flags"],
        ext=ext,
        full=job["full"],
    )
    return {"bytes": data.hex()}


def open_(job):
    data = bytes.fromhex(job["message"])
    sender = Identity.load(job["sender"])
    message = envelope.Envelope(data)
    message.verify(sender.verifying)
    raw = point(sender.verifying)
    second = Sign1Message.decode(data)
    second.key = EC2Key(crv=P256, x=raw[1:33], y=raw[33:])
    if not second.verify_signature():
        raise ValueError("pycose refuses the signature")
    content_format, plaintext = message.open(Identity.load(job["recipient"]))
    ext = {str(key): "h:" + item.hex() if isinstance(item, bytes) else item for key, item in message.ext.items()}
    return {
        "bytes": plaintext.hex(),
        "format": content_format,
        "sender": message.sender.hex(),
        "to": [address.hex() for address in message.to],
        "cls": message.cls,
        "seq": message.seq,
        "iat": message.iat,
        "ttl": message.ttl,
        "flags": message.flags,
        "ext": ext,
    }


def load(job):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "x.pem").write_text(job["pem"])
        identity = Identity.load("x", pathlib.Path(folder))
    if point(identity.signing.public_key()) != point(identity.verifying):
        raise ValueError("the signing key is not the certificate's")
    identity.certificate.verify_directly_issued_by(identity.certificate)
    return {"bytes": identity.fp.hex(), "name": identity.name, "agreement": point(identity.agreement.public_key()).hex()}


def main():
    outcomes = []
    for job in json.load(sys.stdin):
        try:
            outcomes.append({"make": make, "open": open_, "load": load}[job["do"]](job))
        except Exception as error:
            outcomes.append({"error": getattr(error, "reason", None) or f"{type(error).__name__}: {error}"})
    json.dump(outcomes, sys.stdout)


main()
