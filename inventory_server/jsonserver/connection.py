"""The conversation on one connection: frames in order to a handler, replies in order back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inventory_server.jsonserver.handler import Handler, Peer, Refusal, Reply
from inventory_server.jsonserver.limits import BULK_READ_BYTES, READ_BYTES, NetworkLimits
from inventory_server.jsonserver.stream import ServerStream
from pos_client.protocol.framing import FrameTooLong, LineFramer

log = logging.getLogger("tillwire.connection")


class ServerConnection:
    """An accepted connection. All methods belong to its thread, but for `stop_reading` and `cut`.

    A reply that another thread has is sent by that thread: waking the connection's own costs more than sending does.
    """

    def __init__(
        self, stream: ServerStream, peer: Peer, limits: NetworkLimits, encode_refusal: Callable[[Refusal], bytes]
    ) -> None:
        self.peer = peer
        self._stream = stream
        self._limits = limits
        self._encode_refusal = encode_refusal
        self._frame_deadline: float | None = None
        self._parting = False
        self._stopping = False
        self._thread_id = 0
        # Held while a frame is being answered.
        self._answering = threading.Lock()
        self._is_sending_rest = False

    def serve(self, handler: Handler) -> None:
        """Answer frames until either side ends the connection or a deadline passes."""
        self._thread_id = threading.get_ident()
        with self._expecting_loss():
            self._stream.configure()
            try:
                self._converse(handler)
                self._await_answer()
                if self._parting:
                    self._stream.linger()
            except FrameTooLong as error:
                self._await_answer()
                self._part(error)

    def turn_away(self, refusal: Refusal) -> None:
        """Send the line for `refusal` and end the connection."""
        with self._expecting_loss():
            self._stream.configure()
            self._part(refusal)

    def stop_reading(self) -> None:
        """Have the connection end once what has arrived is answered; called by another thread."""
        self._stopping = True
        self._stream.stop_reading()

    def cut(self) -> None:
        """End the connection now; called by another thread."""
        self._stream.shutdown()

    def close(self) -> None:
        """Close the stream; a reply that is still to come is dropped."""
        self._stream.close()

    def _converse(self, handler: Handler) -> None:
        """Have frame after frame answered, until the client or the handler ends the conversation."""
        framer = LineFramer(self._limits.max_frame_bytes)
        read, size = self._stream.read, READ_BYTES
        while data := read(size):
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
        """Hold `_answering` once the last frame is answered; TimeoutError where the client may be gone by now.

        A client that has stopped sending may still be reading, or be gone for good: TCP does not tell which. One that
        is gone must not keep its thread and its descriptor for as long as a database stands still.
        """
        while not self._answering.acquire(timeout=self._limits.half_closed_seconds):
            if not self._stopping and not self._is_sending_rest and self._stream.has_hung_up():
                raise TimeoutError("no reply in time for a client that may be gone")

    def _answer(self, reply: Reply | None) -> None:
        if reply is not None:
            self._parting = reply.close
            if threading.get_ident() == self._thread_id:
                self._stream.write(reply.data)
            elif rest := self._send_from_elsewhere(reply):
                self._send_later(rest)
                return
        self._answering.release()

    def _send_from_elsewhere(self, reply: Reply) -> memoryview | None:
        """Send without waiting, and return what a slow reader has no room for."""
        if reply.close:
            self.cut()
            return None
        try:
            sent = self._stream.try_write(reply.data)
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
                self._stream.write(rest)
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
        self._stream.set_read_timeout(self._frame_deadline - now)

    def _end_frame(self) -> None:
        self._frame_deadline = None
        self._stream.set_read_timeout(self._limits.idle_seconds)

    def _part(self, refusal: Refusal) -> None:
        self._stream.write(self._encode_refusal(refusal))
        self._stream.linger()

    @contextmanager
    def _expecting_loss(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            log.info("event=timed_out peer=%s", self.peer.address)
        except OSError as error:
            log.debug("event=peer_gone peer=%s error=%s", self.peer.address, error)
