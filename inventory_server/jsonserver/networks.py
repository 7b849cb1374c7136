"""Networks that clients may be in, and what stands for a client's address where connections are counted."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from inventory_server.jsonserver.handler import Peer
from inventory_server.jsonserver.listener import hosts_of
from pos_client.protocol.address import Address

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_SITE_PREFIX = 64
"""Bits of an IPv6 address that stand for its site: each machine there may have any number of addresses."""


class Networks:
    """A list of networks, such as `10.0.0.0/8`; ValueError for what is none."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(each) for each in networks]

    def __contains__(self, peer: Peer) -> bool:
        """True for a peer in one of the networks, and for one of a Unix socket: it is on this machine."""
        ip = ip_of(peer)
        return ip is None or self._has(ip)

    def hold_all_clients_of(self, listener: Address) -> bool:
        """True where `listener` is an address in these networks; `0.0.0.0` is one in `0.0.0.0/0` alone, as `::`."""
        if listener.path is not None:
            return True
        hosts = [_ip(host) for host in hosts_of(listener)]
        return all(self._has_everything(ip.version) if ip.is_unspecified else self._has(ip) for ip in hosts)

    def _has(self, ip: _Ip) -> bool:
        return any(ip in network for network in self._networks if network.version == ip.version)

    def _has_everything(self, version: int) -> bool:
        return any(network.version == version and not network.prefixlen for network in self._networks)


def ip_of(peer: Peer) -> _Ip | None:
    """The IP address of a peer; None for one of a Unix socket."""
    address = Address.parse(peer.address)
    return None if address.path is not None else _ip(address.host)


def _ip(host: str) -> _Ip:
    ip = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        return ip.ipv4_mapped
    return ip


def site_of(peer: Peer) -> str:
    """What stands for where a peer is: its IPv4 address, the /64 of its IPv6 address, or its Unix socket."""
    ip = ip_of(peer)
    if ip is None:
        return peer.address
    if ip.version == 4:
        return str(ip)
    return str(ipaddress.ip_network((ip, _SITE_PREFIX), strict=False))
