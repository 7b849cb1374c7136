"""One connection: bytes in, frames to a handler, answers out, every wait with a deadline. Knows no inventory."""

from __future__ import annotations

import logging
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from inventory_server.config import Settings
from inventory_server.peer import Peer, Reply
from pos_client.errors import RequestError
from pos_client.wire import LineFramer, encode_error

log = logging.getLogger("tillwire.connection")

READ_BYTES = 4_096
"""Bytes asked for at a time; a blocked read holds a buffer of this size, so idle connections stay small."""
BULK_READ_BYTES = 1 << 16
"""Bytes asked for at a time while a peer sends more than the small buffer takes."""
KEEPALIVE_PROBES = 4


class Handler(Protocol):
    """Whoever answers the frames of one connection, on that connection's thread."""

    def handle(self, frame: bytes) -> Reply | None:
        """The reply to `frame`, None where there is none."""

    def close(self) -> None:
        """The connection is over."""


class Connection:
    """An accepted socket. All methods belong to the connection's thread, but for `stop_reading` and `cut`.

    Deadlines are the kernel's (SO_RCVTIMEO, SO_SNDTIMEO): they cost nothing while all goes well, where a time-out
    of Python's would add a poll to every read and write.
    """

    def __init__(self, sock: socket.socket, peer: Peer, settings: Settings) -> None:
        self.peer = peer
        self._socket = sock
        self._settings = settings
        self._frame_deadline: float | None = None

    def serve(self, handler: Handler) -> None:
        """Answer frames until either side ends the connection or a deadline passes."""
        with self._expecting_loss():
            self._configure()
            try:
                if self._converse(handler):
                    self._linger()
            except RequestError as error:
                self._part(encode_error(None, error))

    def turn_away(self, line: bytes) -> None:
        """Say `line` and end the connection."""
        with self._expecting_loss():
            self._configure()
            self._part(line)

    def stop_reading(self) -> None:
        """Have the connection end once what has arrived is answered; called by another thread."""
        with self._expecting_loss():
            self._socket.shutdown(socket.SHUT_RD)

    def cut(self) -> None:
        """End the connection now; called by another thread."""
        with self._expecting_loss():
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _converse(self, handler: Handler) -> bool:
        """Answer frame after frame; True where the handler wants to part, False where the peer did."""
        framer = LineFramer(self._settings.max_frame_bytes)
        receive, size = self._socket.recv, READ_BYTES
        while data := receive(size):
            size = BULK_READ_BYTES if len(data) == size else READ_BYTES
            for frame in framer.feed(data):
                reply = handler.handle(frame)
                if reply is not None:
                    self._send(reply.data)
                    if reply.close:
                        return True
                if self._frame_deadline is not None:
                    self._end_frame()
            if framer.pending_bytes:
                self._await_rest_of_frame()
        return False

    def _await_rest_of_frame(self) -> None:
        now = time.monotonic()
        if self._frame_deadline is None:
            self._frame_deadline = now + self._settings.frame_seconds
        self._set_timeout(socket.SO_RCVTIMEO, self._frame_deadline - now)

    def _end_frame(self) -> None:
        self._frame_deadline = None
        self._set_timeout(socket.SO_RCVTIMEO, self._settings.idle_seconds)

    def _send(self, data: bytes) -> None:
        sent = self._socket.send(data) if data else 0
        if sent == len(data):
            return
        deadline = time.monotonic() + self._settings.send_seconds
        rest = memoryview(data)[sent:]
        while rest:
            self._set_timeout(socket.SO_SNDTIMEO, deadline - time.monotonic())
            rest = rest[self._socket.send(rest) :]
        self._set_timeout(socket.SO_SNDTIMEO, self._settings.send_seconds)

    def _part(self, line: bytes) -> None:
        self._send(line)
        self._linger()

    def _linger(self) -> None:
        """Wait until the peer closes too: closing on unread bytes would reset away the last words."""
        self._socket.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + self._settings.linger_seconds
        self._set_timeout(socket.SO_RCVTIMEO, self._settings.linger_seconds)
        while self._socket.recv(BULK_READ_BYTES):
            self._set_timeout(socket.SO_RCVTIMEO, deadline - time.monotonic())

    def _configure(self) -> None:
        settings, sock = self._settings, self._socket
        self._set_timeout(socket.SO_RCVTIMEO, settings.idle_seconds)
        self._set_timeout(socket.SO_SNDTIMEO, settings.send_seconds)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, settings.keepalive_seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, settings.keepalive_seconds // KEEPALIVE_PROBES)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, settings.unacknowledged_seconds * 1_000)

    def _set_timeout(self, option: int, seconds: float) -> None:
        if seconds <= 0:
            raise TimeoutError
        whole, fraction = divmod(seconds, 1)
        # Zero would mean "for ever" to the kernel.
        self._socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(whole), int(fraction * 1e6) or 1))

    @contextmanager
    def _expecting_loss(self) -> Iterator[None]:
        try:
            yield
        except (BlockingIOError, TimeoutError):
            log.info("event=timed_out peer=%s", self.peer.address)
        except OSError as error:
            log.debug("event=peer_gone peer=%s error=%s", self.peer.address, error)
