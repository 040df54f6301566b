"""COSE messages made, verified and opened by two independent libraries, cwt and pycose, for Tests/COSETests.

Reads a JSON list of jobs from standard input and writes the list of results: byte strings are hexadecimal, and a
job that fails has the result {"error": "..."}.
"""

import json
import os
import pathlib
import sys

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cwt import COSE, COSEKey, Recipient
from pycose.algorithms import A128GCM, EcdhEsA128KW, Es256
from pycose.headers import IV, KID, Algorithm, ContentType, StaticKey
from pycose.keys import EC2Key
from pycose.keys.curves import P256
from pycose.keys.keyops import DeriveKeyOp, SignOp, VerifyOp
from pycose.keys.keyparam import KpKeyOps
from pycose.messages import CoseMessage, EncMessage, Sign1Message
from pycose.messages.recipient import KeyAgreementWithKeyWrap

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))
import detcbor  # noqa: E402


def point_of(scalar):
    key = ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def cwt_key(alg, point, scalar=None, kid=None):
    fields = {1: 2, 3: alg, -1: 1, -2: point[1:33], -3: point[33:]}
    if scalar is not None:
        fields[-4] = scalar
    if kid:
        fields[2] = kid
    return COSEKey.new(fields)


def pycose_key(point, scalar=None, ops=()):
    options = {KpKeyOps: list(ops)} if ops else {}
    return EC2Key(crv=P256, x=point[1:33], y=point[33:], d=scalar or b"", optional_params=options)


def deterministic(message):
    """The same message with its maps in the order that Pangate demands; only unprotected maps can be out of it."""
    return detcbor.dumps(cbor2.loads(message))


def cwt_sign(job):
    key = cwt_key(job.get("alg", -7), point_of(job["scalar"]), job["scalar"])
    return COSE.new().encode_and_sign(
        job["payload"], key, protected={1: job.get("alg", -7)}, external_aad=job["aad"]
    )


def cwt_verify(job):
    return COSE.new().decode(job["message"], cwt_key(job.get("alg", -7), job["point"]), external_aad=job["aad"])


def pycose_sign(job):
    message = Sign1Message(phdr={Algorithm: Es256}, uhdr={}, payload=job["payload"], external_aad=job["aad"])
    message.key = pycose_key(point_of(job["scalar"]), job["scalar"], [SignOp])
    return message.encode()


def pycose_verify(job):
    message = CoseMessage.decode(job["message"])
    message.external_aad = job["aad"]
    message.key = pycose_key(job["point"], ops=[VerifyOp])
    if not message.verify_signature():
        raise ValueError("signature")
    return message.payload


def cwt_seal0(job):
    sealed = COSE.new().encode(
        job["payload"], cwt_key(35, job["points"][0]), protected={1: 35, 3: job["format"]}, unprotected={},
        external_aad=job["aad"],
    )
    return deterministic(sealed)


def cwt_seal(job):
    recipients = [
        Recipient.new(protected={1: 46, 4: kid}, unprotected={}, recipient_key=cwt_key(46, point))
        for point, kid in zip(job["points"], job["kids"])
    ]
    sealed = COSE.new().encode(
        job["payload"], COSEKey.from_symmetric_key(alg="A128GCM"), protected={1: 1, 3: job["format"]},
        unprotected={5: os.urandom(12)}, recipients=recipients, external_aad=job["aad"],
    )
    return deterministic(sealed)


def cwt_open(job):
    alg = 35 if cbor2.loads(job["message"]).tag == 16 else 46
    key = cwt_key(alg, point_of(job["scalar"]), job["scalar"], job.get("kid"))
    return COSE.new().decode(job["message"], key, external_aad=job["aad"])


def pycose_seal(job):
    recipients = []
    for point, kid in zip(job["points"], job["kids"]):
        recipient = KeyAgreementWithKeyWrap(phdr={Algorithm: EcdhEsA128KW}, uhdr={KID: kid})
        recipient.local_attrs = {StaticKey: pycose_key(point)}
        recipients.append(recipient)
    message = EncMessage(
        phdr={Algorithm: A128GCM, ContentType: job["format"]}, uhdr={IV: os.urandom(12)}, payload=job["payload"],
        external_aad=job["aad"], recipients=recipients,
    )
    return deterministic(message.encode())


def pycose_open(job):
    message = CoseMessage.decode(job["message"])
    message.external_aad = job["aad"]
    recipient = message.recipients[job["index"]]
    recipient.key = pycose_key(point_of(job["scalar"]), job["scalar"], [DeriveKeyOp])
    return message.decrypt(recipient)


def ccm_seal(job):
    key = COSEKey.from_symmetric_key(job["scalar"], alg="AES-CCM-16-64-128")
    return COSE.new().encode(
        job["payload"], key, protected={1: 10, 3: job["format"]}, unprotected={5: os.urandom(13)},
        external_aad=job["aad"],
    )


def ccm_open(job):
    key = COSEKey.from_symmetric_key(job["scalar"], alg="AES-CCM-16-64-128")
    return COSE.new().decode(job["message"], key, external_aad=job["aad"])


JOBS = [
    cwt_sign, cwt_verify, pycose_sign, pycose_verify, cwt_seal0, cwt_seal, cwt_open, pycose_seal, pycose_open,
    ccm_seal, ccm_open,
]  # fmt: skip


def run(job):
    for name in ("scalar", "point", "payload", "message", "aad", "kid"):
        if name in job:
            job[name] = bytes.fromhex(job[name])
    for name in ("points", "kids"):
        if name in job:
            job[name] = [bytes.fromhex(item) for item in job[name]]
    work = {function.__name__: function for function in JOBS}[job["do"]]
    try:
        return {"bytes": work(job).hex()}
    except Exception as error:  # The test wants to see any refusal, whatever the library calls it.
        return {"error": f"{type(error).__name__}: {error}"}


json.dump([run(job) for job in json.load(sys.stdin)], sys.stdout)
