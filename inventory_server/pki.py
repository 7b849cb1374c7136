"""Makes certificates: a private authority, and what it signs for servers and clients. It needs the extra `tls`.

Keys are ECDSA on P-256. The certificates pass the strict checks of RFC 5280 (`VERIFY_X509_STRICT`), which are Python's
default since 3.13.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from inventory_server.config import PKI_BACKDATED_SECONDS
from pos_client.protocol.errors import TillwireError

_PURPOSES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


class PkiError(TillwireError):
    """A certificate cannot be made; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key and its certificate, both PEM."""

    key: str
    certificate: str


def make_authority(name: str, now: datetime, days: int) -> KeyPair:
    """An authority that signs certificates, but no other authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = _builder(subject, subject, key.public_key(), now, now + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return _signed(builder, key, key, key.public_key())


def make_certificate(
    authority: KeyPair, purpose: Literal["server", "client"], name: str, hosts: list[str], now: datetime, days: int
) -> KeyPair:
    """A certificate of `authority` for the server at `hosts` (names or IP addresses), or for the client `name`.

    It ends with its authority at the latest. PkiError where the authority cannot be used.
    """
    above, above_key = _authority(authority, now)
    key = ec.generate_private_key(ec.SECP256R1())
    until = min(now + timedelta(days=days), above.not_valid_after_utc)
    builder = _builder(_name(name), above.subject, key.public_key(), now, until)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([_PURPOSES[purpose]]), critical=False)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(each) for each in hosts]), critical=False)
    return _signed(builder, key, above_key, above_key.public_key())


def _authority(authority: KeyPair, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate(authority.certificate.encode())
        key = serialization.load_pem_private_key(authority.key.encode(), None)
    except (ValueError, TypeError) as error:
        raise PkiError(f"The authority's files hold no certificate and key in PEM ({error}): name others.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise PkiError("The authority's key is not that of its certificate: name the files that belong together.")
    if certificate.not_valid_after_utc <= now:
        ended = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        raise PkiError(f"The authority's certificate ended on {ended}: make a new authority in another folder.")
    return certificate, key


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(seconds=PKI_BACKDATED_SECONDS))
        .not_valid_after(until)
    )


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    signing: ec.EllipticCurvePrivateKey,
    authority: ec.EllipticCurvePublicKey,
) -> KeyPair:
    """The pair of `key`, signed with `signing`; both keys are named in the certificate by their hashes."""
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
    certificate = builder.sign(signing, hashes.SHA256())
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(text.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode())
