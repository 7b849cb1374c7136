"""The client's byte stream inside TLS, and connecting with or without it."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pos_client.protocol.address import Address
from pos_client.transport.limits import READ_BYTES
from pos_client.transport.stream import ClientStream

T = TypeVar("T")
Tls = bool | str | Path
"""Whether to encrypt: False, True (the system's certificate authorities are trusted), or the path of a PEM file with
the only authority that is."""


def connect_stream(address: Address, timeout_seconds: float, unacknowledged_seconds: float, tls: Tls) -> ClientStream:
    """As `ClientStream.connect`, the handshake included where `tls` asks for it; OSError where the CA file is bad."""
    if tls is False:
        return ClientStream.connect(address, timeout_seconds, unacknowledged_seconds)
    deadline = time.monotonic() + timeout_seconds
    context = _context(tls)
    return TlsClientStream.wrap(
        ClientStream.connect(address, timeout_seconds, unacknowledged_seconds), context, address, deadline
    )


class TlsClientStream(ClientStream):
    """A TCP socket inside TLS 1.2 or later, whose server has proved its name. Deadlines are those of ClientStream."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__(sock)
        self._tls = sock
        self._reading, self._writing = _selector(sock, selectors.EVENT_READ), _selector(sock, selectors.EVENT_WRITE)
        # What `is_closed_by_server` has found although nothing was expected.
        self._early = b""

    @classmethod
    def wrap(cls, plain: ClientStream, context: ssl.SSLContext, address: Address, deadline: float) -> TlsClientStream:
        """The stream inside the TLS of `plain`, which is used no more; the handshake ends before `deadline`."""
        try:
            tls = context.wrap_socket(
                plain.detach(), server_hostname=address.host or "localhost", do_handshake_on_connect=False
            )
        except BaseException:
            plain.close()
            raise
        stream = cls(tls)
        try:
            tls.setblocking(False)
            stream._until(deadline, tls.do_handshake)
        except BaseException:
            stream.close()
            raise
        return stream

    def write(self, data: bytes, deadline: float) -> None:
        """Encrypt and send all of `data`."""
        rest = memoryview(data)
        while rest:
            sent = self._until(deadline, lambda rest=rest: self._tls.send(rest))  # type: ignore[misc]
            rest = rest[sent:]

    def read(self, deadline: float) -> bytes:
        """What has arrived, decrypted: at least one byte; none at the end of the stream."""
        early, self._early = self._early, b""
        return early or self._until(deadline, lambda: self._tls.recv(READ_BYTES))

    def is_closed_by_server(self) -> bool:
        """True where the server has closed, or the stream is lost, while nothing was expected; does not wait."""
        try:
            found = self._tls.recv(1)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            return True
        self._early += found
        return not found

    def shutdown(self) -> None:
        """Make an operation that waits in another thread fail now, without touching TLS, which that thread uses."""
        with contextlib.suppress(OSError):  # closed or lost already
            socket.socket.shutdown(self._tls, socket.SHUT_RDWR)

    def _until(self, deadline: float, step: Callable[[], T]) -> T:
        """The result of `step`, tried whenever the socket is ready for it; TimeoutError past `deadline`."""
        while True:
            left = deadline - time.monotonic()
            try:
                return step()
            except ssl.SSLWantReadError:
                self._await(self._reading, left)
            except ssl.SSLWantWriteError:
                self._await(self._writing, left)

    def _await(self, selector: selectors.BaseSelector, left: float) -> None:
        if left <= 0 or not selector.select(left):
            raise TimeoutError("no answer within the deadline")


def _selector(sock: socket.socket, event: int) -> selectors.BaseSelector:
    """What waits for one event of a socket, on any platform; it opens no descriptor where there is poll."""
    kind = selectors.PollSelector if hasattr(selectors, "PollSelector") else selectors.SelectSelector
    selector = kind()
    selector.register(sock, event)
    return selector


def _context(tls: Tls) -> ssl.SSLContext:
    if tls is True:
        return ssl.create_default_context()
    try:
        context = ssl.create_default_context(cafile=str(tls))
    except ssl.SSLError as error:
        raise OSError(f"{tls} holds no certificate of an authority in PEM") from error
    except OSError as error:
        raise OSError(f"the authority's certificate {tls} cannot be read: {error.strerror or error}") from error
    return context
