"""The byte stream of an accepted connection: the only code that reads, writes, waits on or closes its socket."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time

from inventory_server.jsonserver.limits import BULK_READ_BYTES, KEEPALIVE_PROBES, NetworkLimits


class ServerStream:
    """A connected TCP or Unix socket with a deadline for every wait: TimeoutError past it, OSError when it is lost.

    Reading and waiting belong to the connection's thread; `try_write`, `stop_reading` and `shutdown` to any.

    Deadlines are the kernel's (SO_RCVTIMEO, SO_SNDTIMEO). They cost nothing while all goes well; a time-out of
    Python's socket object would add a poll to each read and write.
    """

    def __init__(self, sock: socket.socket, limits: NetworkLimits) -> None:
        self._socket = sock
        self._limits = limits
        # Guards the descriptor against being closed, and given to another connection, while another thread uses it.
        self._closing = threading.Lock()

    def configure(self) -> None:
        """Set deadlines, keepalive and TCP_NODELAY."""
        limits, sock = self._limits, self._socket
        self.set_read_timeout(limits.idle_seconds)
        self._set_timeout(socket.SO_SNDTIMEO, limits.send_seconds)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, limits.keepalive_seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, limits.keepalive_seconds // KEEPALIVE_PROBES)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limits.unacknowledged_seconds * 1_000)

    def set_read_timeout(self, seconds: float) -> None:
        """Let each read from now on wait for `seconds`; TimeoutError where they are over already."""
        self._set_timeout(socket.SO_RCVTIMEO, seconds)

    def acknowledge(self) -> None:
        """Acknowledge what has arrived at once: the other side may hold back the rest of a frame until then."""
        if self._socket.family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end of the stream."""
        try:
            return self._socket.recv(size)
        except BlockingIOError as error:
            raise TimeoutError("nothing received in time") from error

    def write(self, data: bytes | memoryview) -> None:
        """Send all of `data` within `send_seconds`."""
        try:
            sent = self._socket.send(data) if data else 0
            if sent < len(data):
                self._write_rest(memoryview(data)[sent:])
        except BlockingIOError as error:
            raise TimeoutError("not taken in time") from error

    def try_write(self, data: bytes) -> int:
        """Send what fits without waiting; return how many bytes did."""
        with self._closing:
            try:
                return self._socket.send(data, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return 0

    def has_hung_up(self) -> bool:
        """True where the other side sends no more, or this side reads no more; does not wait."""
        poller = select.poll()
        poller.register(self._socket, select.POLLRDHUP)
        return bool(poller.poll(0))

    def stop_reading(self) -> None:
        """Have `read` return what has arrived, and then the end."""
        self._shut_down(socket.SHUT_RD)

    def shutdown(self) -> None:
        """End the stream in both directions, and whatever waits on it."""
        self._shut_down(socket.SHUT_RDWR)

    def linger(self) -> None:
        """Write no more, and wait until the other side closes: closing on unread bytes would discard the last reply.

        It does not matter any more whether the other side does so in time.
        """
        deadline = time.monotonic() + self._limits.linger_seconds
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            self.set_read_timeout(self._limits.linger_seconds)
            while self.read(BULK_READ_BYTES):
                self.set_read_timeout(deadline - time.monotonic())

    def close(self) -> None:
        """Close the socket."""
        with self._closing:
            self._socket.close()

    def abandon(self) -> None:
        """Close a forked child's copy of the socket; the connection stays that of the parent."""
        self._closing = threading.Lock()
        self._socket.close()

    def _write_rest(self, rest: memoryview) -> None:
        deadline = time.monotonic() + self._limits.send_seconds
        while rest:
            self._set_timeout(socket.SO_SNDTIMEO, deadline - time.monotonic())
            rest = rest[self._socket.send(rest) :]
        self._set_timeout(socket.SO_SNDTIMEO, self._limits.send_seconds)

    def _shut_down(self, how: int) -> None:
        with self._closing, contextlib.suppress(OSError):  # lost or closed already
            self._socket.shutdown(how)

    def _set_timeout(self, option: int, seconds: float) -> None:
        if seconds <= 0:
            raise TimeoutError("the deadline has passed")
        whole, fraction = divmod(seconds, 1)
        # Zero means "for ever" to the kernel.
        self._socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(whole), int(fraction * 1e6) or 1))
