"""The byte stream of an accepted connection: the only code that reads from, writes to or closes its socket."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from ssl import SSLContext, SSLError, SSLWantReadError, SSLWantWriteError

from inventory_server.jsonserver.limits import KEEPALIVE_PROBES, WRITE_BYTES, NetworkLimits


class ServerStream:
    """A connected TCP or Unix socket. No operation waits; each raises OSError where the stream is lost.

    `read_into` and `peek` belong to the loop's thread, the rest to any: whoever owns the stream sees to it that nobody
    uses it while it is closed.
    """

    wants = 0
    """Events (EPOLLIN, EPOLLOUT) without which the last operation cannot go on; none for a plain stream."""

    def __init__(self, sock: socket.socket, limits: NetworkLimits) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._limits = limits

    def configure(self) -> None:
        """Set keepalive and TCP_NODELAY."""
        limits, sock = self._limits, self._socket
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, limits.keepalive_seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, limits.keepalive_seconds // KEEPALIVE_PROBES)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limits.unacknowledged_seconds * 1_000)

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self._socket.fileno()

    def peek(self) -> bytes | None:
        """The first byte that has arrived, without taking it; none at the end of the stream, None if there is none."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return None

    def encrypted(self, context: SSLContext) -> TlsStream:
        """The stream inside the TLS of this one, which is not used any more."""
        return TlsStream(self._socket, self._limits, context)

    def handshake(self) -> bool:
        """True once bytes can be exchanged; if not, call it again when the stream is ready for what it `wants`."""
        return True

    def acknowledge(self) -> None:
        """Acknowledge what has arrived at once: the other side may hold back the rest of a frame until then."""
        if self._socket.family != socket.AF_UNIX:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def read_into(self, buffer: memoryview) -> int | None:
        """Read what has arrived; return its size, 0 at the end of the stream, None if nothing has arrived."""
        try:
            return self._socket.recv_into(buffer)
        except BlockingIOError:
            return None

    def pending(self) -> bool:
        """True where more can be read although the socket does not say so."""
        return False

    def try_write(self, data: bytes | memoryview) -> int:
        """Send what fits; return how many bytes did."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    def stop_reading(self) -> None:
        """Have `read_into` return what has arrived, and then the end."""
        with contextlib.suppress(OSError):  # lost already: reading tells
            socket.socket.shutdown(self._socket, socket.SHUT_RD)  # that of an SSLSocket would drop its TLS

    def stop_writing(self) -> None:
        """Tell the other side that nothing more comes."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def abandon(self) -> None:
        """Close a forked child's copy of the socket; the connection stays that of the parent."""
        self._socket.close()


class TlsStream(ServerStream):
    """The server's side of TLS on a connected socket."""

    def __init__(self, sock: socket.socket, limits: NetworkLimits, context: SSLContext) -> None:
        tls = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        super().__init__(tls, limits)
        self._tls = tls
        # A thread that sends a reply and the loop that reads must not be inside OpenSSL at once.
        self._using = threading.Lock()
        self._has_ended = False

    def handshake(self) -> bool:
        """Go on with the handshake."""
        try:
            self._tls.do_handshake()
        except SSLWantReadError:
            self.wants = select.EPOLLIN
            return False
        except SSLWantWriteError:
            self.wants = select.EPOLLOUT
            return False
        self.wants = 0
        return True

    def read_into(self, buffer: memoryview) -> int | None:
        """Decrypt what has arrived; once writing has stopped it is only taken, as nobody looks at it any more."""
        with self._using:
            if self._has_ended:
                return self._take_into(buffer)
            self.wants = 0
            try:
                return self._tls.recv_into(buffer)
            except SSLWantReadError:
                return None
            except SSLWantWriteError:
                self.wants = select.EPOLLOUT
                return None

    def _take_into(self, buffer: memoryview) -> int | None:
        try:
            return socket.socket.recv_into(self._tls, buffer)
        except BlockingIOError:
            return None

    def pending(self) -> bool:
        """True where decrypted bytes are left, of which the socket knows nothing."""
        with self._using:
            return self._tls.pending() > 0

    def try_write(self, data: bytes | memoryview) -> int:
        """Encrypt and send what fits, record by record."""
        rest, sent = memoryview(data)[:WRITE_BYTES], 0
        with self._using:
            try:
                while sent < len(rest):
                    sent += self._tls.send(rest[sent:])
            except SSLWantWriteError:
                return sent
            except SSLWantReadError:
                self.wants = select.EPOLLIN
            return sent

    def stop_writing(self) -> None:
        """Send close_notify, and end the socket's sending side."""
        with self._using:
            # The client's own close_notify is not awaited, and may come behind data that is not read any more.
            with contextlib.suppress(SSLError):
                self._tls.unwrap()
            self._has_ended, self.wants = True, 0
            socket.socket.shutdown(self._tls, socket.SHUT_WR)

    def abandon(self) -> None:
        """Close a forked child's copy, whatever thread of the parent is inside it."""
        self._using = threading.Lock()
        super().abandon()
