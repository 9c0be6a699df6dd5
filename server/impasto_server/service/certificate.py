"""What a server proves itself with: the operator's certificate, or one it makes, known by its fingerprint."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from impasto_server import durable

# `cryptography` is imported where it is used: a private server has no use for it, and starts the sooner.

OWN_NAME = "impasto"
"""In our own certificates, whatever the address: what clients check is the fingerprint."""
_VALID = timedelta(days=3650)


class CertificateError(Exception):
    """No certificate, or one that doesn't belong to its key; the text says which file is at fault."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A private key and a chain of certificates, both PEM."""

    key: bytes = field(repr=False)
    chain: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate itself, base64url without padding: 43 characters."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        digest = x509.load_pem_x509_certificate(self.chain).fingerprint(hashes.SHA256())
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def read_certificate(chain_path: Path, key_path: Path) -> Certificate:
    """The operator's own. Raises CertificateError."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        certificate = Certificate(key_path.read_bytes(), chain_path.read_bytes())
    except OSError as error:
        raise CertificateError(f"{error.filename} can't be read: {error.strerror}.") from error
    try:
        leaf = x509.load_pem_x509_certificate(certificate.chain)
    except ValueError as error:
        raise CertificateError(f"{chain_path} holds no certificate in PEM: {error}.") from error
    try:
        key = serialization.load_pem_private_key(certificate.key, password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"{key_path} holds no unencrypted private key in PEM: {error}.") from error
    if key.public_key() != leaf.public_key():
        raise CertificateError(f"{key_path} is not the key of the certificate in {chain_path}.")
    if leaf.not_valid_after_utc < datetime.now(UTC):
        raise CertificateError(f"The certificate in {chain_path} ended on {leaf.not_valid_after_utc:%Y-%m-%d}.")
    return certificate


def own_certificate(state_dir: Path) -> Certificate:
    """The one of this state folder, made when there is none yet. Raises CertificateError."""
    path = state_dir / "certificate.pem"  # key and certificate in one file: there is never one without the other
    try:
        if not path.exists():
            state_dir.mkdir(parents=True, exist_ok=True)
            _write_new(path)
    except OSError as error:
        raise CertificateError(f"{path} can't be written: {error.strerror}.") from error
    return read_certificate(path, path)


def _write_new(path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, OWN_NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # for clients whose clock is behind
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(OWN_NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private + certificate.public_bytes(serialization.Encoding.PEM))
    durable.replace(scratch, path)
