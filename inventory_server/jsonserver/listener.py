"""Listening sockets: binding with clear errors, and accepting connections."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import itertools
import logging
import math
import os
import select
import socket
import stat
from collections.abc import Callable, Sequence
from typing import Any

from inventory_server.jsonserver.handler import Peer
from inventory_server.jsonserver.limits import (
    ACCEPTS_AT_ONCE,
    EXHAUSTED_PAUSE_SECONDS,
    OTHERS_FIRST_SECONDS,
    NetworkLimits,
)
from inventory_server.jsonserver.loop import Deadline, Loop
from pos_client.protocol.address import Address
from pos_client.protocol.errors import TillwireError

log = logging.getLogger("tillwire.listener")

ListenTarget = Address | socket.socket
"""Where to listen: an address, or a listening socket, which may be shared with other processes."""
Admit = Callable[[socket.socket, Peer], None]
"""Takes over an accepted socket."""

_EXHAUSTED = {
    errno.EMFILE: "out_of_file_descriptors",
    errno.ENFILE: "out_of_file_descriptors",
    errno.ENOBUFS: "out_of_memory",
    errno.ENOMEM: "out_of_memory",
}
_NEXT_STEPS = {
    errno.EADDRINUSE: "it is in use: stop the program that uses it or choose another",
    errno.EADDRNOTAVAIL: "this machine has no such address: choose one of its own, or 0.0.0.0 for all",
    errno.EACCES: "permission denied: choose a port above 1023, or a folder that this user may write to",
    errno.ENOENT: "the folder does not exist: create it or choose another",
}


class CannotListen(TillwireError):
    """Listening on an address failed; the message names it and says what to do."""


def listen_on(address: Address, limits: NetworkLimits, reuse_address: bool = True) -> socket.socket:
    """A new socket that listens on `address`; CannotListen where that fails.

    `reuse_address` binds a TCP port although old connections to it linger (SO_REUSEADDR).
    """
    try:
        _remove_stale_socket(address)
        family, resolved = _resolve(address)
        with contextlib.ExitStack() as opened:
            listening = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse_address))
            listening.bind(resolved)
            listening.listen(limits.accept_backlog)
            opened.pop_all()
        return listening
    except OSError as error:
        step = _NEXT_STEPS.get(error.errno or 0, str(error))
        raise CannotListen(f"Cannot listen on {address}: {step}.") from error


def address_of(listening: socket.socket) -> Address:
    """The address that a socket listens on, with the port that the kernel chose."""
    name = listening.getsockname()
    return Address.unix(str(name)) if listening.family == socket.AF_UNIX else Address(name[0], name[1])


def close_listener(listening: socket.socket) -> None:
    """Close a listening socket, and remove the file of a Unix socket."""
    if listening.family == socket.AF_UNIX:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(listening.getsockname())
    listening.close()


class Acceptor:
    """A listening socket, TCP or Unix, of which the loop accepts connections and passes each to `admit`.

    While `has_room` is false, a shared socket's connections are left to other processes for a moment; while
    `may_admit` is, they wait. All but `address` and `fileno` belongs to the loop's thread.
    """

    def __init__(
        self,
        target: ListenTarget,
        loop: Loop,
        admit: Admit,
        limits: NetworkLimits,
        has_room: Callable[[], bool] = lambda: True,
        may_admit: Callable[[], bool] = lambda: True,
        reuse_address: bool = True,
    ) -> None:
        self._loop = loop
        self._admit = admit
        self._has_room = has_room
        self._may_admit = may_admit
        self.is_closed = False
        self.deadline = Deadline(self)
        self._is_shared = isinstance(target, socket.socket)
        self._socket = target if isinstance(target, socket.socket) else listen_on(target, limits, reuse_address)
        # Between the event and accept a connection may vanish or go to another process: accept must not block then.
        self._socket.setblocking(False)
        # Connections inherit it. Without it the kernel lets each grow to some megabytes.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, limits.receive_buffer_bytes)
        self._is_watched = False
        self._left_to_others = False

    def __repr__(self) -> str:
        return f"<listener on {self.address}>"

    @property
    def address(self) -> Address:
        """The address listened on, with the port that the kernel chose."""
        return address_of(self._socket)

    def fileno(self) -> int:
        """The descriptor of the listening socket."""
        return self._socket.fileno()

    def resume(self) -> None:
        """Accept from now on."""
        if not self._is_watched and not self.is_closed:
            self._is_watched = True
            self._loop.watch(self, select.EPOLLIN, 0)

    def stop(self) -> None:
        """Stop accepting and release the address."""
        self._pause()
        self._loop.forget(self)
        self.is_closed = True
        if self._is_shared:
            self._socket.close()
        else:
            close_listener(self._socket)

    def abandon(self) -> None:
        """Close a forked child's copy of the socket; the address stays that of the parent."""
        self._socket.close()

    def on_event(self, _: int) -> None:
        """Accept what waits, but for what is left to other processes, and then let connections have their turn."""
        if self._is_shared and not self._has_room() and not self._left_to_others:
            self._left_to_others = True
            self._pause(OTHERS_FIRST_SECONDS)
            return
        self._left_to_others = False
        for _ in range(1 if self._is_shared else ACCEPTS_AT_ONCE):
            if not self._may_admit():
                self._pause()
                return
            if (accepted := self.accept()) is None:
                return
            self._admit_safely(*accepted)

    def on_deadline(self) -> float:
        """Accept again after a pause."""
        self.resume()
        return math.inf

    def go_on(self) -> None:
        """Accepting goes on at the next event."""

    def on_failure(self, error: Exception) -> None:
        """It is logged, and accepting goes on."""

    def accept(self) -> tuple[socket.socket, Peer] | None:
        """A connection that is waiting, or None; pauses where file descriptors or memory have run out."""
        try:
            accepted, client = self._socket.accept()
        except OSError as error:
            if event := _EXHAUSTED.get(error.errno or 0):
                log.error("event=%s address=%s error=%s", event, self.address, error)
                self._pause(EXHAUSTED_PAUSE_SECONDS)
            return None
        return accepted, _peer(client, self.address)

    def _pause(self, seconds: float = math.inf) -> None:
        """Accept nothing for `seconds`, or until `resume`."""
        if self._is_watched:
            self._is_watched = False
            self._loop.watch(self, 0, select.EPOLLIN)
            if seconds != math.inf:
                self._loop.look_at(self, self._loop.now + seconds)

    def _admit_safely(self, accepted: socket.socket, peer: Peer) -> None:
        try:
            self._admit(accepted, peer)
        except Exception:
            log.exception("event=accept_failed address=%s peer=%s", self.address, peer.address)
            accepted.close()


def listen_on_all(addresses: Sequence[Address], limits: NetworkLimits) -> list[socket.socket]:
    """A listening socket for each of `addresses`; CannotListen where one fails, and then none is left open."""
    with contextlib.ExitStack() as opened:
        sockets = []
        for address in itertools.chain.from_iterable(map(addresses_of, addresses)):
            sockets.append(listen_on(address, limits))
            opened.callback(close_listener, sockets[-1])
        opened.pop_all()
    return sockets


def addresses_of(address: Address) -> list[Address]:
    """The addresses of this machine that a host name stands for: 127.0.0.1 and ::1 for localhost.

    Any other `address` is returned as it is; listening on it reports what is wrong with it.
    """
    if not address.host:
        return [address]
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError:
        return [address]
    hosts = {str(resolved[0]): family for family, *_, resolved in found}
    here = [Address(host, address.port) for host, family in hosts.items() if _is_here(host, family)]
    return here if len(hosts) > 1 and here else [address]


def hosts_of(address: Address) -> list[str]:
    """The IP addresses that the TCP `address` stands for; none where its host is unknown, which listening reports."""
    found = []
    for each in addresses_of(address):
        with contextlib.suppress(OSError):
            found.append(str(_resolve(each)[1][0]))
    return found


def _is_here(host: str, family: socket.AddressFamily) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def _resolve(address: Address) -> tuple[socket.AddressFamily, Any]:
    if address.path is not None:
        return socket.AF_UNIX, address.path
    found = socket.getaddrinfo(address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, resolved = found[0]
    return family, resolved


def _peer(client_address: Any, address: Address) -> Peer:
    if address.path is not None:
        return Peer(str(address), loopback=True)
    host, port = client_address[:2]
    ip = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return Peer(str(Address(host, port)), ip.is_loopback)


def _remove_stale_socket(address: Address) -> None:
    """Remove the socket file of a dead server; OSError EADDRINUSE where a living one serves it."""
    if address.path is None:
        return
    try:
        mode = os.stat(address.path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise CannotListen(f"Cannot listen on {address}: it exists and is no socket: choose another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(address.path)
        except ConnectionRefusedError:
            os.unlink(address.path)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
