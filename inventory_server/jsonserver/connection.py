"""The server side of one connection: frames in order to a handler, replies in order back."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from inventory_server.jsonserver.first_bytes import choose_framer, shows_framing
from inventory_server.jsonserver.handler import (
    AnsweredTwice,
    EncodedReply,
    EndReason,
    JsonHandler,
    Notice,
    Peer,
    RefusalEncoder,
    ServerRefusal,
)
from inventory_server.jsonserver.limits import BULK_READ_BYTES, INCIDENT_BYTES, READ_BYTES, NetworkLimits
from inventory_server.jsonserver.outgoing import Outgoing
from inventory_server.jsonserver.stream import ServerStream
from pos_client.protocol.framing import Framer, FrameTooLong, FramingError, JsocketFramer, jsocket_frame

log = logging.getLogger("tillwire.connection")

FORK_STATUS = 70
"""Exit status of a process that a handler forked and that returned from the handler: an internal software error."""


T = TypeVar("T")
OpenHandler = Callable[[], JsonHandler | None]
"""Makes the handler of a connection, on its thread; None where the client is refused."""


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """A connected client: its address, for how many seconds, and how many frames and bytes went each way."""

    address: str
    connected_seconds: float
    frames: int
    received_bytes: int
    sent_bytes: int


class ServerConnection:
    """An accepted connection, used by its own thread alone, but for what the handler and the server call.

    A reply that another thread has ready is sent by that thread: waking this one would cost more than sending.
    """

    def __init__(self, stream: ServerStream, peer: Peer, limits: NetworkLimits, encode_refusal: RefusalEncoder) -> None:
        self.peer = peer
        self._stream = stream
        self._limits = limits
        self._encode_refusal = encode_refusal
        self._outgoing = Outgoing(stream, limits, peer.address, self._break_off)
        self._since = time.monotonic()
        self._frames = 0
        self._received_bytes = 0
        self._uses_jsocket = False
        self._frame_deadline: float | None = None
        # Why the handler or a reply ends the connection.
        self._parting: EndReason | None = None
        self._stopping = False
        # Why it ended at once, and the cause in words.
        self._broken_off: tuple[EndReason, str] | None = None
        self._handler: JsonHandler | None = None
        self._is_fork = False
        self.thread_id = 0
        # Held while a frame is being answered; `_unanswered` is its number, 0 once it is answered.
        self._answering = threading.Lock()
        self._unanswered = 0

    def info(self) -> ClientInfo:
        """Who is connected, and what went each way so far."""
        seconds = time.monotonic() - self._since
        return ClientInfo(self.peer.address, seconds, self._frames, self._received_bytes, self._outgoing.sent_bytes)

    def serve(self, open_handler: OpenHandler) -> EndReason:
        """Answer frames until either side ends the connection or a deadline passes; return why it ended.

        `open_handler` makes the handler once the connection stands; None refuses the client.
        """
        self.thread_id = threading.get_ident()
        log.debug("event=client_connected peer=%s", self.peer.address)
        reason = self._run_to_end(lambda: self._serve(open_handler))
        if handler := self._handler:
            handler.end_reason = reason
            self._guard(handler.finish)
        return reason

    def turn_away(self, refusal: ServerRefusal) -> EndReason:
        """Send the line for `refusal` and end the connection."""

        def refuse() -> EndReason:
            self._stream.configure()
            self._refuse(refusal)
            return EndReason.connection_limit_reached

        return self._run_to_end(refuse)

    def send(self, data: bytes) -> bool:
        """Send a message between replies without waiting; False where it can no longer be sent. From any thread."""
        return self._outgoing.push(data)

    def end(self, reason: EndReason) -> None:
        """End the connection after what is being sent; from any thread."""
        self._parting = self._parting or reason
        if threading.get_ident() != self.thread_id:
            self._stream.stop_reading()

    def fail(self, error: BaseException) -> None:
        """End the connection because its handler failed, and log `error` under an incident id; from any thread."""
        incident = secrets.token_hex(INCIDENT_BYTES)
        log.error("event=handler_failed peer=%s incident=%s", self.peer.address, incident, exc_info=error)
        self._break_off(EndReason.handler_failed, type(error).__name__)

    def stop_reading(self) -> None:
        """Have the connection end once what has arrived is answered; called by another thread."""
        self._stopping = True
        self._stream.stop_reading()

    def close_by_force(self) -> None:
        """End the connection now; called by another thread."""
        self._break_off(EndReason.closed_by_force, "the server stopped")

    def close(self) -> None:
        """Close the stream; a reply that comes later is dropped."""
        self._outgoing.end()
        self._stream.close()

    def abandon(self) -> None:
        """Close a forked child's copy of the socket. A handler that forked ends the child: see `_run_to_end`."""
        self._is_fork = True
        self._broken_off = (EndReason.closed_by_force, "forked")
        self._outgoing.abandon()
        self._stream.abandon()

    def _run_to_end(self, talk: Callable[[], EndReason]) -> EndReason:
        """Run `talk`, log how the connection ended, and return it."""
        cause = "-"
        try:
            reason = talk()
        except TimeoutError as error:
            reason, cause = EndReason.timed_out, str(error)
        except OSError as error:
            reason, cause = EndReason.connection_lost, str(error)
        if self._is_fork:
            log.error("event=handler_forked peer=%s error=%s", self.peer.address, "the child must end with os._exit")
            os._exit(FORK_STATUS)
        if self._broken_off:
            reason, cause = self._broken_off
        level = logging.INFO if reason is EndReason.timed_out else logging.DEBUG
        seconds = time.monotonic() - self._since
        event = "event=client_disconnected peer=%s reason=%s seconds=%.1f error=%s"
        log.log(level, event, self.peer.address, reason, seconds, cause)
        return reason

    def _serve(self, open_handler: OpenHandler) -> EndReason:
        self._stream.configure()
        self._handler = self._guard(open_handler)
        if self._handler is None:
            return EndReason.not_verified
        try:
            self._handle_frames(self._handler)
            if self._broken_off:
                return EndReason.handler_failed
            self._await_answer()
        except FramingError as error:
            self._await_answer()
            self._refuse(error)
            return EndReason.frame_too_long if isinstance(error, FrameTooLong) else EndReason.frame_invalid
        if self._parting:
            self._outgoing.flush()
            self._stream.linger()
            return self._parting
        return EndReason.server_stopped if self._stopping else EndReason.client_closed

    def _handle_frames(self, handler: JsonHandler) -> None:
        """Pass frame after frame to the handler, until something ends the connection."""
        if self._parting:  # the handler has ended it in `setup`
            return
        data = self._read_first(handler)
        framer = self._choose_framer(data)
        read, size = self._stream.read, READ_BYTES
        while data:
            self._received_bytes += len(data)
            size = BULK_READ_BYTES if len(data) == size else READ_BYTES
            for frame in framer.feed(data):
                if not self._handle(handler, frame):
                    return
                if self._frame_deadline is not None:
                    self._end_frame()
            if framer.pending_bytes:
                self._await_rest_of_frame()
            try:
                data = read(size)
            except TimeoutError as error:
                data = self._read_after_timeout(handler, size, error)
        if not (self._stopping or self._parting or self._broken_off):
            framer.end()

    def _handle(self, handler: JsonHandler, frame: bytes) -> bool:
        """Have `handler` answer a frame once the previous one is answered; False where the connection is to end."""
        if not self._answering.acquire(False):
            self._await_answer()
        if self._parting:  # by that reply
            self._answering.release()
            return False
        self._frames = self._unanswered = number = self._frames + 1
        try:
            handler.handle_frame(frame, partial(self._answer, number))
        except (Exception, SystemExit) as error:  # noqa: BLE001 (what a handler raises ends its connection only)
            self.fail(error)
        return not (self._parting or self._broken_off)

    def _guard(self, run: Callable[[], T]) -> T | None:
        """What a handler's code returns; where it raises, that ends the connection, and None."""
        try:
            return run()
        except (Exception, SystemExit) as error:  # noqa: BLE001 (as above)
            self.fail(error)
            return None

    def _read_first(self, handler: JsonHandler) -> bytes:
        """The first bytes: as many as tell the framings apart."""
        data = self._read(handler, READ_BYTES)
        while data and self._limits.jsocket_frames and not shows_framing(data):
            self._await_rest_of_frame()
            more = self._read(handler, READ_BYTES)
            if not more:
                break
            data += more
        return data

    def _choose_framer(self, first: bytes) -> Framer:
        framer = choose_framer(first, self._limits)
        self._uses_jsocket = isinstance(framer, JsocketFramer)
        if first:
            self._outgoing.release(self._uses_jsocket)
        return framer

    def _read(self, handler: JsonHandler, size: int) -> bytes:
        """What has arrived; none at the end of the stream. A handler may let an idle client stay."""
        try:
            return self._stream.read(size)
        except TimeoutError as error:
            return self._read_after_timeout(handler, size, error)

    def _read_after_timeout(self, handler: JsonHandler, size: int, timeout: TimeoutError) -> bytes:
        while self._frame_deadline is None:
            self._guard(handler.handle_timeout)
            if self._parting is EndReason.timed_out:
                break
            if self._broken_off or self._parting:
                return b""
            try:
                return self._stream.read(size)
            except TimeoutError as again:
                timeout = again
        raise timeout

    def _await_answer(self) -> None:
        """Acquire `_answering` once the last frame is answered; TimeoutError where the client may be gone by then.

        A client that has stopped sending may still be reading, or be gone: TCP does not tell which. A client that is
        gone must not hold a thread and a descriptor for as long as a database hangs.
        """
        while not self._answering.acquire(timeout=self._limits.half_closed_seconds):
            if not self._stopping and not self._outgoing.is_sending_rest and self._stream.has_hung_up():
                raise TimeoutError("no reply in time for a client that may be gone")

    def _answer(self, number: int, reply: EncodedReply | Notice | None) -> None:
        if number != self._unanswered:
            raise AnsweredTwice(f"frame {number} of {self.peer.address} is answered already")
        if isinstance(reply, Notice):
            self._outgoing.write(self._framed(reply.data))
            return
        self._unanswered = 0
        if reply is None:
            self._answering.release()
            return
        data = self._framed(reply.data) if self._uses_jsocket else reply.data
        if threading.get_ident() == self.thread_id:
            if reply.close:
                self._parting = self._parting or EndReason.handler_closed
            self._outgoing.write(data)
            self._answering.release()
        elif not reply.close:
            self._outgoing.reply(data, self._answering.release)
        elif data:
            self.end(EndReason.handler_closed)
            self._outgoing.reply(data, self._answering.release)
        else:  # nothing to wait for: also frees what waits on the socket
            self._parting = EndReason.handler_closed
            self._stream.shutdown()
            self._answering.release()

    def _framed(self, data: bytes) -> bytes:
        return jsocket_frame(data) if self._uses_jsocket and data else data

    def _break_off(self, reason: EndReason, cause: str) -> None:
        """End the connection now, without raising; from any thread."""
        self._broken_off = self._broken_off or (reason, cause)
        self._stream.shutdown()

    def _await_rest_of_frame(self) -> None:
        now = time.monotonic()
        if self._frame_deadline is None:
            self._frame_deadline = now + self._limits.frame_seconds
        self._stream.set_read_timeout(self._frame_deadline - now)
        if self._uses_jsocket:  # whose package sends header and payload apart: 40 ms between them otherwise
            self._stream.acknowledge()

    def _end_frame(self) -> None:
        self._frame_deadline = None
        self._stream.set_read_timeout(self._limits.idle_seconds)

    def _refuse(self, refusal: ServerRefusal) -> None:
        self._outgoing.write(self._framed(self._encode_refusal(refusal)))
        self._stream.linger()
