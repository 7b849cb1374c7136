"""TLS of a server: its certificate, whose clients' certificates it trusts, and who may do without TLS."""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from inventory_server.jsonserver.handler import Peer, ShownCertificate
from inventory_server.jsonserver.limits import LOOPBACK_NETWORKS
from inventory_server.jsonserver.listener import CannotListen
from inventory_server.jsonserver.networks import Networks

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)


@dataclass(frozen=True, slots=True)
class ServedCertificate:
    """What handshakes use, and what their clients are shown."""

    context: ssl.SSLContext
    shown: ShownCertificate


class ServerTls:
    """TLS 1.3, or 1.2 with clients that know no better, with the certificate chain and the key in two PEM files.

    Clients in the networks `allow_plaintext` and those of Unix sockets may speak plain text on the same port. With
    `client_authorities`, a PEM file, each client that encrypts must have a certificate of one of them. A file that
    cannot be used is a CannotListen that names it; ValueError for what is no network.
    """

    def __init__(
        self,
        certificate: str | Path,
        key: str | Path,
        allow_plaintext: Iterable[str] = LOOPBACK_NETWORKS,
        client_authorities: str | Path | None = None,
    ) -> None:
        self._plaintext = Networks(allow_plaintext)
        self._files = Path(certificate), Path(key), None if client_authorities is None else Path(client_authorities)
        self.served = _served(*self._files)

    @property
    def context(self) -> ssl.SSLContext:
        """That of the handshakes that begin now."""
        return self.served.context

    def reload(self) -> None:
        """Read the files again, for the handshakes from now on; CannotListen, and nothing changes, if that fails.

        The context is a new one: one that is changed while it is in use may go on serving the old certificate.
        """
        self.served = _served(*self._files)

    def allows_plaintext(self, peer: Peer) -> bool:
        """True where `peer` need not encrypt."""
        return peer in self._plaintext


def _served(certificate: Path, key: Path, client_authorities: Path | None) -> ServedCertificate:
    context = _context(certificate, key, client_authorities)
    chain = _PEM.findall(certificate.read_text("ascii", "replace"))
    shown = hashlib.sha256(ssl.PEM_cert_to_DER_cert(chain[0])).digest()
    return ServedCertificate(context, ShownCertificate(shown, chain[-1] + "\n"))


def _context(certificate: Path, key: Path, client_authorities: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Sessions are not resumed: a ticket would take memory for each client, and outlive the client's right to connect.
    context.num_tickets = 0
    # A client may end its sending side without close_notify and read on. Frames tell themselves whether they are whole.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET | getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    for path in filter(None, (certificate, key, client_authorities)):
        if not path.is_file():
            raise CannotListen(f"Cannot serve TLS: {path} is no file; name a PEM file.")
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        raise CannotListen(f"Cannot serve TLS with {certificate} and {key}: {error.strerror or error}.") from error
    if client_authorities is not None:
        _demand_certificates(context, client_authorities)
    return context


def _demand_certificates(context: ssl.SSLContext, authorities: Path) -> None:
    """Have clients prove themselves with certificates of `authorities`, checked as strictly as RFC 5280 is."""
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(authorities)
    except (ssl.SSLError, OSError) as error:
        what = "no certificate of an authority in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise CannotListen(f"Cannot serve TLS: {authorities} holds {what}; name a PEM file.") from error
