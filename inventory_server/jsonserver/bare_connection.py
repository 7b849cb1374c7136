"""A connection's socket on the loop: what it is watched for, what it sends, and how it ends."""

from __future__ import annotations

import contextlib
import enum
import logging
import math
from abc import ABC, abstractmethod
from functools import partial
from select import EPOLLIN, EPOLLOUT, EPOLLRDHUP

from inventory_server.jsonserver.budget import ByteBudget
from inventory_server.jsonserver.handler import EndReason, Peer
from inventory_server.jsonserver.limits import LINGER_BYTES, NetworkLimits
from inventory_server.jsonserver.loop import Deadline, Loop
from inventory_server.jsonserver.outgoing import Outgoing, OutgoingOwner, TooMuchUnsent
from inventory_server.jsonserver.stream import ServerStream

log = logging.getLogger("tillwire.connection")


class Stage(enum.Enum):
    """How far a connection is."""

    first_byte = enum.auto()
    """It may become TLS or plain."""
    handshake = enum.auto()
    talking = enum.auto()
    closing = enum.auto()
    """It ends once what is left to send is sent."""
    lingering = enum.auto()
    """It ends once the client has closed: closing on unread bytes would discard the last reply."""
    over = enum.auto()


class BareConnection(ABC):
    """A connection without what is said on it.

    Every method belongs to the loop's thread, but `break_off`, `send`, `unsent_bytes` and those that say so.
    """

    __slots__ = (
        *("_cause", "_end_reason", "_events", "_hung_up_at", "_is_gone", "_is_reading", "_is_stopping"),
        *("_limits", "_lingered_bytes", "_lingers", "_loop", "_outgoing", "_send_until", "_since", "_stage", "_stream"),
        *("deadline", "is_closed", "peer"),
    )

    def __init__(
        self, stream: ServerStream, peer: Peer, loop: Loop, limits: NetworkLimits, unsent: ByteBudget[OutgoingOwner]
    ) -> None:
        self.peer = peer
        self.is_closed = False
        self.deadline = Deadline(self)
        self._stream = stream
        self._loop = loop
        self._limits = limits
        self._outgoing = Outgoing(stream, limits, self, unsent)
        self._stage = Stage.first_byte
        self._since = loop.now
        # What the loop watches for. Reading pauses while a frame is answered and more has arrived.
        self._events = 0
        self._is_reading = True
        self._hung_up_at: float | None = None
        self._is_gone = False
        self._is_stopping = False
        self._send_until = math.inf
        # How it ends, once that is decided.
        self._lingers = False
        self._lingered_bytes = 0
        self._end_reason = EndReason.client_closed
        self._cause = "-"

    def __repr__(self) -> str:
        return f"<connection of {self.peer.address}>"

    def break_off(self, reason: EndReason, cause: str) -> None:
        """End the connection now."""
        self._loop.call(partial(self._end, reason, cause), self)

    def send(self, data: bytes) -> bool:
        """Send messages, each a line, between replies without waiting; False where they can no longer be sent."""
        return self._outgoing.push(data)

    def unsent_bytes(self) -> int:
        """How much of these messages has not been sent yet."""
        return self._outgoing.unsent_bytes

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self._stream.fileno()

    @abstractmethod
    def on_event(self, events: int) -> None:
        """The socket is ready for `events`."""

    @abstractmethod
    def on_deadline(self) -> float:
        """End what took too long; return when to look again."""

    def go_on(self) -> None:
        """Read what the stream holds although its socket does not say so."""
        self.on_event(EPOLLIN)

    def on_failure(self, error: Exception) -> None:
        """The server itself has failed here, which is logged."""
        self._end(EndReason.connection_lost, f"{type(error).__name__} in the server")

    def close_by_force(self) -> None:
        """End the connection now, since the server's deadline has passed."""
        self._end(EndReason.closed_by_force, "the server stopped")

    def on_backlog(self) -> None:
        """Something waits for a slow reader; called by any thread."""
        self._loop.call(self._await_reader, self)

    def on_lost(self, error: Exception) -> None:
        """Nothing can be sent any more; called by any thread."""
        self._loop.call(partial(self._lose, error), self)

    def on_unsent_limit(self) -> None:
        """More waits for all clients together than may, and the most for this one; called by any thread."""
        self.break_off(EndReason.memory_limit_reached, "it did not read, and the most waited for it")

    @abstractmethod
    def _on_replied(self) -> None:
        """A reply that waited is sent."""

    @abstractmethod
    def _on_end(self) -> None:
        """The connection has ended."""

    def _look_in(self, seconds: float) -> None:
        """Have `on_deadline` called in so many seconds, unless it is earlier anyway."""
        self._loop.look_at(self, self._loop.now + seconds)

    def _watch(self, events: int | None = None) -> None:
        """Have the loop watch for `events`, or for what the connection waits for."""
        if events is None:
            if self._is_gone:
                events = 0  # it would say so for ever
            else:
                events = self._stream.wants
                if self._is_reading:
                    events |= EPOLLIN
                if self._stage is Stage.talking and self._hung_up_at is None and not self._is_stopping:
                    events |= EPOLLRDHUP
                if self._outgoing.waiting:
                    events |= EPOLLOUT
        if events != self._events:
            self._loop.watch(self, events, self._events)
            self._events = events

    def _await_reader(self) -> None:
        """Something waits for a slow reader: it has `send_seconds` for it."""
        if self._stage is Stage.over or not self._outgoing.waiting:
            return
        self._send_until = self._loop.now + self._limits.send_seconds
        self._look_in(self._limits.send_seconds)
        self._watch()

    def _send_waiting(self) -> None:
        went_out, replied = self._outgoing.send_waiting()
        if not self._outgoing.waiting:
            self._send_until = math.inf
        elif went_out:
            self._send_until = self._loop.now + self._limits.send_seconds
        self._watch()
        if replied:
            self._on_replied()
        if self._stage is Stage.closing:
            self._end_once_sent()

    def _close(self, reason: EndReason, lingers: bool) -> None:
        """End the connection once everything is sent; where it `lingers`, once the client has closed."""
        self._stage = Stage.closing
        self._end_reason, self._lingers = reason, lingers
        self._is_reading = False
        self._watch()
        self._end_once_sent()

    def _end_once_sent(self) -> None:
        if self._outgoing.waiting or self._stage is not Stage.closing:
            return
        if not self._lingers:
            self._end(self._end_reason, self._cause)
            return
        try:
            self._stream.stop_writing()
        except OSError:
            self._end(self._end_reason, self._cause)
            return
        self._stage = Stage.lingering
        self._is_reading, self._is_gone = True, False
        self._watch()
        self._loop.forget(self)
        self._look_in(self._limits.linger_seconds)

    def _read_to_end(self) -> None:
        """Drop what still comes."""
        size = self._stream.read_into(self._loop.buffer)
        self._lingered_bytes += size or 0
        if size == 0 or self._lingered_bytes > LINGER_BYTES:
            self._end(self._end_reason, self._cause)

    def _lose(self, error: Exception) -> None:
        if self._stage in (Stage.closing, Stage.lingering):
            self._end(self._end_reason, self._cause)
        elif isinstance(error, TooMuchUnsent):
            self._end(EndReason.reader_too_slow, str(error))
        elif self._stage is Stage.handshake:
            # What a TLS 1.3 client has sent already is read: a reset would discard the alert that says why.
            self._cause = str(error)
            self._close(EndReason.handshake_failed, lingers=True)
        else:
            self._end(EndReason.connection_lost, str(error))

    def _end(self, reason: EndReason, cause: str) -> None:
        """End the connection now, and have its handler finish as soon as it is not at work."""
        if self._stage is Stage.over:
            return
        is_orderly = self._stage is Stage.closing
        self._stage, self._end_reason, self.is_closed = Stage.over, reason, True
        self._watch(0)
        self._loop.forget(self)
        self._outgoing.end()
        level = logging.INFO if reason is EndReason.timed_out else logging.DEBUG
        event = "event=client_disconnected peer=%s reason=%s seconds=%.1f error=%s"
        log.log(level, event, self.peer.address, reason, self._loop.now - self._since, cause)
        if is_orderly:
            with contextlib.suppress(OSError, ValueError):  # lost already, or before its handshake
                self._stream.stop_writing()  # TLS: a client that reads on must not take it for a cut
        with contextlib.suppress(OSError):
            self._stream.close()
        self._on_end()
