"""The server side of one connection: from its first byte to the end of its handler, all on the loop's thread."""

from __future__ import annotations

import logging
import math
import time
from functools import partial
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLRDHUP

from inventory_server.jsonserver.bare_connection import Stage
from inventory_server.jsonserver.exchange import FrameExchange
from inventory_server.jsonserver.handler import EndReason, JsonHandler, Peer, ServerRefusal
from inventory_server.jsonserver.limits import FRAMES_AT_ONCE, UNANSWERED_FRAMES, UNANSWERED_REST_SECONDS
from inventory_server.jsonserver.receiving_connection import ReceivingConnection
from inventory_server.jsonserver.service import ClientInfo, Service
from inventory_server.jsonserver.stream import ServerStream
from pos_client.protocol.framing import FrameTooLong

log = logging.getLogger("tillwire.connection")


class ServerConnection(ReceivingConnection):
    """An accepted connection. Every method belongs to the loop's thread, but for those that say otherwise."""

    __slots__ = ("_exchange", "_has_more", "_is_due", "_is_finishing", "_rest_until")

    def __init__(
        self,
        stream: ServerStream,
        peer: Peer,
        service: Service[ServerConnection],
        turned_away: ServerRefusal | None = None,
    ) -> None:
        """`turned_away` says why the client is refused, if it is."""
        super().__init__(stream, peer, service, turned_away)
        self._exchange: FrameExchange | None = None
        # Until when a client whose frames earn no reply has to wait; 0: it need not.
        self._rest_until = 0.0
        # True where there is something to do for the loop once the exchange is free.
        self._has_more = False
        # True while the loop is to call `_advance`: several calls on their way would multiply this peer's share of it.
        self._is_due = False
        self._is_finishing = False

    # ------------------------------------------------------------------ for any thread

    def info(self) -> ClientInfo:
        """Who is connected, and what went each way so far."""
        seconds = time.monotonic() - self._since
        frames = self._exchange.count if self._exchange else 0
        return ClientInfo(self.peer.address, seconds, frames, self._incoming.received_bytes, self._outgoing.sent_bytes)

    def end(self, reason: EndReason) -> None:
        """End the connection after the reply that is due and what is being sent."""
        assert self._exchange is not None, "only handlers call it"
        self._exchange.parting = self._exchange.parting or reason
        self._advance_soon()

    def fail(self, error: BaseException) -> None:
        """End the connection because its handler failed, and log `error`."""
        assert self._exchange is not None, "only handlers call it"
        self._exchange.fail(error)

    def on_put_off(self, seconds: float) -> None:
        """The reply is due in so many seconds only."""
        self._loop.call(partial(self._look_in, seconds), self)

    def on_free(self) -> None:
        """The handler is free again; the loop is told if it has something to do."""
        exchange = self._exchange
        assert exchange is not None, "it calls this"
        if self._has_more or exchange.frames or exchange.parting or self.is_closed or self._arriving_bytes:
            self._advance_soon()

    def on_lost(self, error: Exception) -> None:
        """Nothing can be sent any more: the handler gets no more frames."""
        if self._exchange is not None:
            self._exchange.is_stopped = True
        super().on_lost(error)

    def is_idle(self) -> bool:
        """True unless a request of the client is being answered; a reply that is put off does not count."""
        exchange = self._exchange
        return exchange is None or exchange.is_free() or exchange.put_off_until() is not None

    def is_served_by(self, thread_id: int) -> bool:
        """True where that thread calls the handler at this moment."""
        return self._exchange is not None and self._exchange.thread_id == thread_id

    def abandon(self) -> None:
        """Close a forked child's copy of the socket; the child uses the connection no more."""
        self._outgoing.abandon()
        if self._exchange is not None:
            self._exchange.abandon()
        self._stream.abandon()

    # ------------------------------------------------------------------ the loop's events

    def on_event(self, events: int) -> None:
        """Do what the socket is ready for."""
        try:
            if self._stage is Stage.talking:
                self._exchange_bytes(events)
            elif self._stage is Stage.first_byte:
                self._choose_stream()
            elif self._stage is Stage.handshake:
                self._shake_hands()
            elif self._stage is Stage.lingering:
                self._read_to_end()
            else:
                self._send_waiting()
        except OSError as error:
            self._lose(error)

    def on_deadline(self) -> float:
        """End what took too long; return when to look again."""
        now, exchange = self._loop.now, self._exchange
        if self._stage is Stage.lingering:
            self._end(self._end_reason, self._cause)
        elif self._stage in (Stage.first_byte, Stage.handshake):
            what = "nothing received" if self._stage is Stage.first_byte else "no TLS handshake"
            self._end(EndReason.timed_out, f"{what} in time")
        elif self._outgoing.waiting:
            if self._is_newcomer and not self._newcomer_seconds_left():
                self._end(EndReason.not_identified, "not identified in time, and a reply not taken")
            elif now < self._send_until:
                return self._send_until
            self._end(EndReason.timed_out, "not taken in time")
        elif exchange is not None and self._stage is Stage.talking:
            return self._await_client(exchange)
        return math.inf

    def _await_client(self, exchange: FrameExchange) -> float:
        """End a client that took too long, or send what was put off; return when to look again."""
        limits, now = self._limits, self._loop.now
        if not exchange.is_free() and (at := self._await_reply(exchange)):
            return at
        if self._rest_until and now >= self._rest_until:
            self._advance()
        if self._stage is not Stage.talking or not exchange.is_free():
            return now + limits.idle_seconds
        if self._is_newcomer and not self._newcomer_seconds_left():
            self._refuse_newcomer()
            return math.inf
        since, seconds = exchange.active_at, limits.idle_seconds
        if self._frame_since is not None:
            since, seconds = self._frame_since, limits.frame_seconds
        if self._is_newcomer:
            since, seconds = min((since, seconds), (self._since, limits.newcomer_seconds), key=sum)
        if now < since + seconds:
            return since + seconds
        if self._frame_since is not None:
            self._end(EndReason.timed_out, "nothing received in time")
            return math.inf
        self._has_more = True
        exchange.start(_time_out)
        return now + limits.idle_seconds

    def stop_reading(self) -> None:
        """Have the connection end once what has arrived is answered."""
        self._is_stopping = True
        if self._stage in (Stage.first_byte, Stage.handshake):
            self._end(EndReason.server_stopped, "-")
        elif self._stage in (Stage.talking, Stage.lingering):
            self._stream.stop_reading()
            self._watch()
            if self._exchange is not None:
                self._exchange.send_put_off()

    # ------------------------------------------------------------------ its beginning

    def _stand(self) -> None:
        """Bytes can be exchanged: have the handler made, or the client turned away."""
        if self._turned_away is not None:
            self._refuse(self._turned_away, EndReason.connection_limit_reached)
            return
        log.debug("event=client_connected peer=%s", self.peer.address)
        service = self._service
        try:
            turns = service.turns(self.peer)
        except RuntimeError as error:
            log.error("event=thread_start_failed peer=%s error=%s", self.peer.address, error)
            self._end(EndReason.thread_start_failed, str(error))
            return
        self._stage = Stage.talking
        exchange = self._exchange = FrameExchange(self, self.peer, self._outgoing, service.loop, turns)
        self._has_more = True

        def open_handler(_: JsonHandler | None) -> None:
            exchange.handler = service.open_handler(self)

        exchange.start(open_handler)
        self._look_in(self._newcomer_seconds_left() if self._is_newcomer else self._limits.idle_seconds)

    # ------------------------------------------------------------------ its talk

    def _exchange_bytes(self, events: int) -> None:
        """Send what waits, read what has come, and note a client that has hung up while it is answered."""
        exchange = self._exchange
        assert exchange is not None, "it stands"
        if self._outgoing.waiting:
            self._send_waiting()
        if self._is_reading and (events & EPOLLIN or self._stream.wants & events):
            if exchange.is_free() and not self._is_behind(exchange):
                self._read(exchange)
                return
            self._has_more = True  # before the exchange is asked again: it may have become free meanwhile
            self._is_reading = False
            self._watch()
        if events & EPOLLERR:
            self._end(EndReason.connection_lost, "the client has reset it, or its machine does not answer")
            return
        if events & (EPOLLRDHUP | EPOLLHUP):
            self._note_hang_up(events)
        if exchange.is_free() and not self._is_behind(exchange):
            self._advance()

    def _is_behind(self, exchange: FrameExchange) -> bool:
        """True where frames that have been read are to be answered; `_advance` takes a few of them at each turn."""
        return bool(exchange.frames) or self._incoming.has_more

    def _read(self, exchange: FrameExchange) -> None:
        buffer, incoming = self._loop.buffer, self._incoming
        if self._is_newcomer:
            buffer = buffer[: self._limits.newcomer_bytes - incoming.pending_bytes]
        size = self._stream.read_into(buffer)
        if size is None:
            self._watch()
            return
        data = bytes(buffer[:size])
        if (frame := incoming.whole(data)) is None:
            self._feed(data)
            self._advance()
            return
        exchange.active_at = self._loop.now
        exchange.frames.append(frame)
        if exchange.is_ready() and exchange.unanswered_in_a_row < UNANSWERED_FRAMES:
            exchange.answer_frames()
        else:
            self._advance()

    def _advance_soon(self) -> None:
        """Have the loop call `_advance`; for any thread."""
        if not self._is_due:
            self._is_due = True
            self._loop.call(self._advance_now, self)

    def _advance_now(self) -> None:
        self._is_due = False  # first: what happens from here on is worth another call
        self._advance()

    def _advance(self) -> None:
        """Do what comes next, unless the handler is at work or its reply is due."""
        exchange = self._exchange
        assert exchange is not None, "nobody calls this before there is one"
        if self._stage is Stage.over:
            self._finish(exchange)
            return
        if self._stage is not Stage.talking or not exchange.is_free() or exchange.is_stopped:
            return  # where it is stopped, the loop has been called to end the connection, and knows why
        incoming = self._incoming
        self._has_more = False
        if exchange.parting is not None:
            self._outgoing.finish()
            self._close(exchange.parting, lingers=exchange.parting is not EndReason.timed_out)
        elif exchange.handler is None:
            self._close(EndReason.not_verified, lingers=False)
        elif exchange.frames or self._take_frames(exchange):
            self._frame_since = None
            exchange.active_at = self._loop.now
            self._has_more = incoming.has_more or incoming.pending_bytes > 0 or not self._is_reading
            if not self._has_to_rest(exchange):
                exchange.answer_frames()
        elif incoming.refusal is not None:
            is_long = isinstance(incoming.refusal, FrameTooLong)
            self._refuse(incoming.refusal, EndReason.frame_too_long if is_long else EndReason.frame_invalid)
        elif incoming.is_at_end:
            reason = EndReason.server_stopped if self._is_stopping else EndReason.client_closed
            self._close(reason, lingers=False)
        else:
            self._read_on()

    def _take_frames(self, exchange: FrameExchange) -> bool:
        exchange.frames.extend(self._incoming.take(FRAMES_AT_ONCE))
        return bool(exchange.frames)

    def _read_on(self) -> None:
        """Everything that has arrived is answered, but for the beginning of a frame."""
        pending = self._incoming.pending_bytes
        if pending or self._arriving_bytes:
            self._await_rest_of_frame(pending)
            if self._stage is not Stage.talking:
                return
        if not self._is_reading:
            self._is_reading, self._is_gone, self._hung_up_at = True, False, None
            self._watch()
        if self._stream.pending():
            self._loop.again(self)

    def _has_to_rest(self, exchange: FrameExchange) -> bool:
        """True for a moment where one frame after the other earned no reply, which would hold their sender back."""
        if exchange.unanswered_in_a_row < UNANSWERED_FRAMES:
            return False
        now = self._loop.now
        if not self._rest_until:
            self._rest_until = now + UNANSWERED_REST_SECONDS
        if now < self._rest_until:
            self._look_in(self._rest_until - now)
            return True
        self._rest_until, exchange.unanswered_in_a_row = 0.0, 0
        return False

    def _note_hang_up(self, events: int) -> None:
        """The client sends no more; it may still be reading, or be gone: TCP does not tell which.

        A client that is gone must not hold a descriptor for as long as a database hangs.
        """
        is_gone = bool(events & EPOLLHUP)
        if self._hung_up_at is None and not self._is_stopping:
            self._hung_up_at = self._loop.now
            self._look_in(self._limits.half_closed_seconds)
        elif not is_gone:
            return
        self._is_gone = is_gone
        self._has_more = True
        self._is_reading = False
        self._watch()

    def _await_reply(self, exchange: FrameExchange) -> float:
        """When to look again for the reply that is due; 0 where it was put off, and is sent now."""
        limits, now = self._limits, self._loop.now
        if (put_off_until := exchange.put_off_until()) is not None:
            if now < put_off_until:
                return put_off_until
            exchange.send_put_off()
            return 0.0
        if self._hung_up_at is None or self._is_stopping:
            return now + (limits.newcomer_seconds if self._is_newcomer else limits.idle_seconds)
        at = max(self._hung_up_at, exchange.active_at) + limits.half_closed_seconds
        if now < at:
            return at
        self._end(EndReason.timed_out, "no reply in time for a client that may be gone")
        return math.inf

    # ------------------------------------------------------------------ its end

    def _on_replied(self) -> None:
        if self._exchange is not None:
            self._exchange.replied()

    def _on_end(self) -> None:
        self._service.handshakes.end(self)
        self._hold(0)
        if self._exchange is None:
            self._service.on_left(self)
        else:
            self._exchange.is_stopped = True
            self._finish(self._exchange)

    def _finish(self, exchange: FrameExchange) -> None:
        """Have the handler finish, once."""
        if exchange.is_running() or self._is_finishing:
            return
        self._is_finishing = True

        def finish(handler: JsonHandler | None) -> None:
            try:
                if handler is not None:
                    handler.end_reason = self._end_reason
                    handler.finish()
            finally:
                exchange.end()
                self._service.on_left(self)

        exchange.start(finish)


def _time_out(handler: JsonHandler | None) -> None:
    if handler is not None:
        handler.handle_timeout()
