"""The blocking byte stream of a client: the only code here that connects, reads, writes or closes a socket."""

from __future__ import annotations

import contextlib
import socket
import sys
import time

from pos_client.protocol.address import Address
from pos_client.transport.limits import (
    KEEPALIVE_IDLE_SECONDS,
    KEEPALIVE_INTERVAL_SECONDS,
    KEEPALIVE_PROBES,
    READ_BYTES,
)
from pos_client.transport.unix_path import short_unix_path


class ClientStream:
    """A connected TCP or Unix socket. Every failure is an OSError, a missed deadline a TimeoutError.

    It is used by one thread at a time, but for `shutdown`. A deadline is an instant of `time.monotonic`.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    @classmethod
    def connect(cls, address: Address, timeout_seconds: float, unacknowledged_seconds: float) -> ClientStream:
        """Connect within `timeout_seconds`; sent bytes unacknowledged for `unacknowledged_seconds` end the stream."""
        if address.path is not None:
            return cls(_connect_unix(address.path, timeout_seconds))
        sock = socket.create_connection((address.host, address.port), timeout_seconds)
        _configure_tcp(sock, unacknowledged_seconds)
        return cls(sock)

    def write(self, data: bytes, deadline: float) -> None:
        """Send all of `data`."""
        self._wait_until(deadline)
        self._socket.sendall(data)

    def read(self, deadline: float) -> bytes:
        """What has arrived, at least one byte; none at the end of the stream."""
        self._wait_until(deadline)
        return self._socket.recv(READ_BYTES)

    def acknowledge(self) -> None:
        """Acknowledge what has arrived at once, where the platform can: the server may hold back more until then."""
        if self._socket.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_QUICKACK"):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def is_closed_by_server(self) -> bool:
        """True where the server has closed, or the stream is lost, while nothing was expected; does not wait."""
        try:
            self._socket.setblocking(False)
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def shutdown(self) -> None:
        """Make an operation that waits in another thread fail now."""
        with contextlib.suppress(OSError):  # closed or lost already
            self._socket.shutdown(socket.SHUT_RDWR)

    def detach(self) -> socket.socket:
        """The socket, for a stream inside this one."""
        return self._socket

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _wait_until(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer within the deadline")
        self._socket.settimeout(left)


def _connect_unix(path: str, timeout_seconds: float) -> socket.socket:
    if sys.platform != "win32" and hasattr(socket, "AF_UNIX"):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(timeout_seconds)
            with short_unix_path(path) as short:
                sock.connect(short)
        except OSError:
            sock.close()
            raise
        return sock
    raise OSError("this system has no Unix sockets; use HOST:PORT")


def _configure_tcp(sock: socket.socket, unacknowledged_seconds: float) -> None:
    """Send at once, and notice a server that is gone. What a platform lacks is left out: its defaults are slower."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {
        "TCP_KEEPIDLE": KEEPALIVE_IDLE_SECONDS,
        "TCP_KEEPINTVL": KEEPALIVE_INTERVAL_SECONDS,
        "TCP_KEEPCNT": KEEPALIVE_PROBES,
        "TCP_USER_TIMEOUT": int(unacknowledged_seconds * 1_000),
    }
    for name, value in wanted.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
