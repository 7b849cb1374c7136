"""Where a server listens, in the forms that a program may say it in, and how many connections that leaves room for."""

from __future__ import annotations

import logging
import resource
import socket

from inventory_server.jsonserver.limits import NetworkLimits
from inventory_server.jsonserver.listener import CannotListen, ListenTarget
from pos_client.protocol.address import Address

log = logging.getLogger("tillwire.jsonserver")

ServedAddress = tuple[str, int] | str
"""Where a server listens: host and port, or the path of a Unix socket."""

ServerPlace = str | tuple[str, int] | ListenTarget
"""Where a server is to listen: text, a pair of host and port, an Address, or a listening socket."""


def target_of(place: ServerPlace) -> ListenTarget:
    """What `place` says; TypeError or ValueError where that is no address."""
    match place:
        case str():
            return Address.parse_listen(place)
        case Address() | socket.socket():
            return place
        case (str(host), int(port)):
            return Address(host, port)
    raise TypeError(f"an address is 'host:port', (host, port), 'unix:/path' or a listening socket, got {place!r}")


def connections_possible(limits: NetworkLimits) -> int:
    """How many connections may be open by `limits` and the limit of open files; CannotListen where that is none."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    possible = files - limits.reserved_files - limits.surplus_connections
    if possible < 1:
        raise CannotListen(f"The limit of open files, {files}, leaves none for connections: raise it with ulimit -n.")
    if possible < limits.max_connections:
        log.warning("event=connection_limit_lowered connections=%d open_files=%d", possible, files)
    return min(possible, limits.max_connections)
