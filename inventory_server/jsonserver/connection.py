"""One connection: bytes in, frames to a handler, answers out, every wait with a deadline. Knows no inventory."""

from __future__ import annotations

import logging
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inventory_server.jsonserver.handler import Handler, Peer, Refusal, Reply
from inventory_server.jsonserver.limits import BULK_READ_BYTES, KEEPALIVE_PROBES, READ_BYTES, NetworkLimits
from pos_client.protocol.framing import FrameTooLong, LineFramer

log = logging.getLogger("tillwire.connection")


class Connection:
    """An accepted socket. All methods belong to the connection's thread, but for `stop_reading` and `cut`.

    Another thread that has an answer sends it: to wake the connection's own for that costs more than sending does.

    Deadlines are the kernel's (SO_RCVTIMEO, SO_SNDTIMEO): they cost nothing while all goes well, where a time-out
    of Python's would add a poll to every read and write.
    """

    def __init__(
        self, sock: socket.socket, peer: Peer, limits: NetworkLimits, encode_refusal: Callable[[Refusal], bytes]
    ) -> None:
        self.peer = peer
        self._socket = sock
        self._limits = limits
        self._encode_refusal = encode_refusal
        self._frame_deadline: float | None = None
        self._parting = False
        self._stopping = False
        self._thread_id = 0
        # Held while a frame is being answered.
        self._answering = threading.Lock()
        # Held while another thread sends without waiting, and to close: a descriptor that is closed may be given to
        # somebody else, who must not get the answer.
        self._sending = threading.Lock()
        self._is_sending_rest = False

    def serve(self, handler: Handler) -> None:
        """Answer frames until either side ends the connection or a deadline passes."""
        with self._expecting_loss():
            self._configure()
            try:
                self._converse(handler)
                self._await_answer()
                if self._parting:
                    self._linger()
            except FrameTooLong as error:
                self._await_answer()
                self._part(self._encode_refusal(error))

    def turn_away(self, refusal: Refusal) -> None:
        """Send the line for `refusal` and end the connection."""
        with self._expecting_loss():
            self._configure()
            self._part(self._encode_refusal(refusal))

    def stop_reading(self) -> None:
        """Have the connection end once what has arrived is answered; called by another thread."""
        self._stopping = True
        with self._expecting_loss():
            self._socket.shutdown(socket.SHUT_RD)

    def cut(self) -> None:
        """End the connection now; called by another thread."""
        with self._expecting_loss():
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket; whoever still has an answer for it keeps that."""
        with self._sending:
            self._socket.close()

    def _converse(self, handler: Handler) -> None:
        """Have frame after frame answered, until the peer or the handler wants to part."""
        framer = LineFramer(self._limits.max_frame_bytes)
        receive, size = self._socket.recv, READ_BYTES
        while data := receive(size):
            size = BULK_READ_BYTES if len(data) == size else READ_BYTES
            for frame in framer.feed(data):
                if not self._take_turn():
                    return
                handler.handle(frame, self._answer)
                if self._parting:
                    return
                if self._frame_deadline is not None:
                    self._end_frame()
            if framer.pending_bytes:
                self._await_rest_of_frame()

    def _take_turn(self) -> bool:
        """Wait until the frame before is answered; False where that answer has ended the conversation."""
        self._await_answer()
        if self._parting:
            self._answering.release()
        return not self._parting

    def _await_answer(self) -> None:
        """Hold `_answering`, once the last frame is answered; TimeoutError where nobody may be left to hear the answer.

        A peer that has stopped sending may still be reading, or be gone for good: TCP tells no difference. One that is
        gone must not keep its thread and its descriptor for as long as a database stands still.
        """
        while not self._answering.acquire(timeout=self._limits.half_closed_seconds):
            if self._has_hung_up() and not self._is_sending_rest:
                raise TimeoutError

    def _has_hung_up(self) -> bool:
        """True where the peer sends no more, and it is not this side that has stopped reading."""
        poller = select.poll()
        poller.register(self._socket, select.POLLRDHUP)
        return not self._stopping and bool(poller.poll(0))

    def _answer(self, reply: Reply | None) -> None:
        if reply is not None:
            self._parting = reply.close
            if threading.get_ident() == self._thread_id:
                self._send(reply.data)
            else:
                with self._sending:
                    rest = self._send_from_elsewhere(reply)
                if rest:
                    self._send_later(rest)
                    return
        self._answering.release()

    def _send_from_elsewhere(self, reply: Reply) -> memoryview | None:
        """Send without waiting, and return what a slow reader has no room for."""
        if reply.close:
            self.cut()
            return None
        try:
            sent = self._socket.send(reply.data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError as error:  # the thread that reads here will find out, too
            log.debug("event=peer_gone peer=%s error=%s", self.peer.address, error)
            return None
        return memoryview(reply.data)[sent:]

    def _send_later(self, rest: memoryview) -> None:
        """Wait for a slow reader on a thread of its own: there is at most one for each connection."""
        self._is_sending_rest = True
        try:
            threading.Thread(
                target=self._send_rest, args=(rest,), name=f"answer {self.peer.address}", daemon=True
            ).start()
        except RuntimeError as error:
            log.error("event=no_thread peer=%s error=%s", self.peer.address, error)
            self.cut()
            self._answering.release()

    def _send_rest(self, rest: memoryview) -> None:
        with self._expecting_loss():
            try:
                self._send(rest)
            except OSError:
                self.cut()
                raise
            finally:
                self._is_sending_rest = False
                self._answering.release()

    def _await_rest_of_frame(self) -> None:
        now = time.monotonic()
        if self._frame_deadline is None:
            self._frame_deadline = now + self._limits.frame_seconds
        self._set_timeout(socket.SO_RCVTIMEO, self._frame_deadline - now)

    def _end_frame(self) -> None:
        self._frame_deadline = None
        self._set_timeout(socket.SO_RCVTIMEO, self._limits.idle_seconds)

    def _send(self, data: bytes | memoryview) -> None:
        sent = self._socket.send(data) if data else 0
        if sent == len(data):
            return
        deadline = time.monotonic() + self._limits.send_seconds
        rest = memoryview(data)[sent:]
        while rest:
            self._set_timeout(socket.SO_SNDTIMEO, deadline - time.monotonic())
            rest = rest[self._socket.send(rest) :]
        self._set_timeout(socket.SO_SNDTIMEO, self._limits.send_seconds)

    def _part(self, line: bytes) -> None:
        self._send(line)
        self._linger()

    def _linger(self) -> None:
        """Wait until the peer closes too: closing on unread bytes would reset away the last words."""
        self._socket.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + self._limits.linger_seconds
        self._set_timeout(socket.SO_RCVTIMEO, self._limits.linger_seconds)
        while self._socket.recv(BULK_READ_BYTES):
            self._set_timeout(socket.SO_RCVTIMEO, deadline - time.monotonic())

    def _configure(self) -> None:
        self._thread_id = threading.get_ident()
        limits, sock = self._limits, self._socket
        self._set_timeout(socket.SO_RCVTIMEO, limits.idle_seconds)
        self._set_timeout(socket.SO_SNDTIMEO, limits.send_seconds)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, limits.keepalive_seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, limits.keepalive_seconds // KEEPALIVE_PROBES)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limits.unacknowledged_seconds * 1_000)

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
