"""TLS of a server: its certificate, whose clients' certificates it trusts, and who may do without TLS."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable
from pathlib import Path

from inventory_server.jsonserver.handler import Peer
from inventory_server.jsonserver.listener import CannotListen, hosts_of
from pos_client.protocol.address import Address

LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")
"""Where plain text is allowed unless told otherwise: nobody listens in between."""


class PlaintextNetworks:
    """The networks in which plain text is allowed; ValueError for what is no network. On Unix sockets it always is."""

    def __init__(self, networks: Iterable[str] = LOOPBACK_NETWORKS) -> None:
        self._networks = [ipaddress.ip_network(each) for each in networks]

    def hold(self, peer: Peer) -> bool:
        """True where `peer` need not encrypt."""
        address = Address.parse(peer.address)
        return address.path is not None or self._hold(ipaddress.ip_address(address.host.partition("%")[0]))

    def hold_all_clients_of(self, listener: Address) -> bool:
        """True where `listener` is an address in these networks; `0.0.0.0` is one in `0.0.0.0/0` alone, as `::`."""
        if listener.path is not None:
            return True
        hosts = [ipaddress.ip_address(host.partition("%")[0]) for host in hosts_of(listener)]
        return all(self._hold_everything(ip.version) if ip.is_unspecified else self._hold(ip) for ip in hosts)

    def _hold(self, ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._networks if network.version == ip.version)

    def _hold_everything(self, version: int) -> bool:
        return any(network.version == version and not network.prefixlen for network in self._networks)


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
        self._plaintext = PlaintextNetworks(allow_plaintext)
        self._files = Path(certificate), Path(key), None if client_authorities is None else Path(client_authorities)
        self.context = _context(*self._files)

    def reload(self) -> None:
        """Read the files again, for the handshakes from now on; CannotListen, and nothing changes, if that fails.

        The context is a new one: one that is changed while it is in use may go on serving the old certificate.
        """
        self.context = _context(*self._files)

    def allows_plaintext(self, peer: Peer) -> bool:
        """True where `peer` need not encrypt."""
        return self._plaintext.hold(peer)


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
