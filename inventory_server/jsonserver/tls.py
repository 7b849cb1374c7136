"""TLS of a server: its certificate, and who may do without."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable
from pathlib import Path

from inventory_server.jsonserver.handler import Peer
from inventory_server.jsonserver.listener import CannotListen
from pos_client.protocol.address import Address

LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")
"""Where plain text is allowed unless told otherwise: nobody listens in between."""


class ServerTls:
    """TLS 1.3, or 1.2 with clients that know no better, with the certificate chain and the key in two PEM files.

    Clients in the networks `allow_plaintext` and those of Unix sockets may speak plain text on the same port. A file
    that cannot be used is a CannotListen that names it; ValueError for what is no network.
    """

    def __init__(
        self, certificate: str | Path, key: str | Path, allow_plaintext: Iterable[str] = LOOPBACK_NETWORKS
    ) -> None:
        self._networks = [ipaddress.ip_network(each) for each in allow_plaintext]
        self.context = _context(Path(certificate), Path(key))

    def allows_plaintext(self, peer: Peer) -> bool:
        """True where `peer` need not encrypt."""
        address = Address.parse(peer.address)
        if address.path is not None:
            return True
        ip = ipaddress.ip_address(address.host.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._networks if network.version == ip.version)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Sessions are not resumed: a ticket would take memory for each client, and outlive the client's right to connect.
    context.num_tickets = 0
    # A client may end its sending side without close_notify and read on. Frames tell themselves whether they are whole.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET | getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    for path in (certificate, key):
        if not path.is_file():
            raise CannotListen(f"Cannot serve TLS: {path} is no file; name a PEM file.")
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        raise CannotListen(f"Cannot serve TLS with {certificate} and {key}: {error.strerror or error}.") from error
    return context
