"""Identities of the demo home: a P-256 signing key, a P-256 key-agreement key and a certificate.

The address of an identity (`fp`) is the SHA-256 of its certificate in DER; its first 8 bytes (`fp8`)
stand for it on the PAN.
"""

import datetime
import hashlib
import os
import re
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DEMO = Path(os.environ.get("LAB_IDENTITIES") or Path(__file__).resolve().parents[2] / "Config" / "demo")


def point(public_key):
    """The uncompressed P-256 point, 65 bytes."""
    return public_key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


class Identity:
    def __init__(self, certificate, signing, agreement):
        self.certificate = certificate
        self.signing = signing
        self.agreement = agreement
        self.name = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.fp = hashlib.sha256(self.der).digest()
        self.fp8 = self.fp[:8]

    @property
    def verifying(self):
        return self.certificate.public_key()

    @classmethod
    def create(cls, name):
        """A new identity. 99991231235959Z means "no expiry" (RFC 5280, 4.1.2.5): the oracle revokes, not the calendar."""
        signing = ec.generate_private_key(ec.SECP256R1())
        agreement = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(signing.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.datetime(2026, 1, 1))
            .not_valid_after(datetime.datetime(9999, 12, 31, 23, 59, 59))
            .sign(signing, hashes.SHA256())
        )
        return cls(certificate, signing, agreement)

    def pem(self):
        """CERTIFICATE, then the signing key, then the key-agreement key (both PKCS#8)."""

        def key(private):
            return private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )

        return (
            self.certificate.public_bytes(serialization.Encoding.PEM)
            + key(self.signing)
            + key(self.agreement)
        )

    @classmethod
    def load(cls, name, directory=DEMO):
        blocks = re.findall(
            rb"(-----BEGIN ([A-Z ]+)-----.*?-----END \2-----\n)",
            (directory / f"{name}.pem").read_bytes(),
            re.S,
        )
        if [label for _, label in blocks] != [b"CERTIFICATE", b"PRIVATE KEY", b"PRIVATE KEY"]:
            raise ValueError(f"{name}.pem: expected CERTIFICATE, PRIVATE KEY, PRIVATE KEY")
        parts = [text for text, _ in blocks]
        return cls(
            x509.load_pem_x509_certificate(parts[0]),
            serialization.load_pem_private_key(parts[1], None),
            serialization.load_pem_private_key(parts[2], None),
        )
