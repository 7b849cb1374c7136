"""The frames of one connection and the replies to them: one frame at a time, on whatever threads."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from inventory_server.jsonserver.handler import AnsweredTwice, EncodedReply, EndReason, JsonHandler, Notice, Peer
from inventory_server.jsonserver.limits import INCIDENT_BYTES
from inventory_server.jsonserver.loop import Loop
from inventory_server.jsonserver.outgoing import Outgoing
from inventory_server.jsonserver.turns import Turns

log = logging.getLogger("tillwire.connection")

FORK_STATUS = 70
"""Exit status of a process that a handler forked and that returned from the handler: an internal software error."""

_FREE, _RUNNING, _UNANSWERED = range(3)


class ExchangeOwner(Protocol):
    """The connection of an exchange; each method may be called by any thread."""

    def on_free(self) -> None:
        """The handler has done what it was called for, and its reply is sent."""

    def break_off(self, reason: EndReason, cause: str) -> None:
        """The connection has to end now."""

    def on_put_off(self, seconds: float) -> None:
        """A reply is to be sent only in so many seconds, by `send_put_off`."""


class FrameExchange:
    """Passes frames to a handler, each once the reply to the one before it is sent; the handler may reply later.

    It is free, or runs a turn, or waits for a reply: to be had from another thread, or to be sent to a slow reader.
    Only the loop starts a turn, when it is free.
    """

    __slots__ = (
        "_is_answered",
        "_lock",
        "_loop",
        "_outgoing",
        "_owner",
        "_peer",
        "_put_off",
        "_state",
        "_turns",
        "_unanswered",
        "active_at",
        "count",
        "frames",
        "handler",
        "is_stopped",
        "parting",
        "thread_id",
        "unanswered_in_a_row",
    )

    def __init__(self, owner: ExchangeOwner, peer: Peer, outgoing: Outgoing, loop: Loop, turns: Turns) -> None:
        self._owner = owner
        self._peer = peer
        self._outgoing = outgoing
        self._loop = loop
        self._turns = turns
        self.handler: JsonHandler | None = None
        self.frames: list[bytes] = []  # a few: an empty deque takes 760 bytes of each idle connection
        self.count = 0
        self.active_at = loop.now
        """When the exchange was last busy."""
        self.unanswered_in_a_row = 0
        """How many frames have earned no reply since the last one that did."""
        self.parting: EndReason | None = None
        """Why the handler or a reply ends the connection."""
        self.is_stopped = False
        """True once the handler gets no more frames, since the connection breaks off."""
        self.thread_id = 0
        """The thread that calls the handler, while one does."""
        # Guards the transitions of `_state`: a reply may come while the handler that is to give it still runs.
        self._lock = threading.Lock()
        self._state = _FREE
        self._unanswered = 0
        self._is_answered = False
        # A reply that is put off, and until when; the loop sends it.
        self._put_off: tuple[EncodedReply, float] | None = None

    def is_free(self) -> bool:
        """True where the next frame may be handled."""
        return self._state == _FREE

    def is_ready(self) -> bool:
        """True where nothing but a frame is missing for the handler, if the exchange is free."""
        return self.handler is not None and self.parting is None and not self.is_stopped

    def is_running(self) -> bool:
        """True while a turn runs, or is about to."""
        return self._state == _RUNNING

    def start(self, call: Callable[[JsonHandler | None], None]) -> None:
        """Have `call` use the handler: on the loop where handlers share it, else on the handler's thread."""
        self._state = _RUNNING
        turn = partial(self._run, call)
        if self._turns.shares_loop:
            turn()
        else:
            self._turns.run(turn)

    def answer_frames(self) -> None:
        """Have the handler answer `frames`, those that may wait in the pool where handlers share the loop."""
        self._state = _RUNNING
        if self._turns.shares_loop:
            self._answer_on_loop()
        else:
            self._turns.run(self._answer_here)

    def replied(self) -> None:
        """The reply to the last frame is sent, or dropped."""
        with self._lock:
            if self._state == _RUNNING:
                self._is_answered = True
                return
        self._be_free()

    def put_off_until(self) -> float | None:
        """Until when the reply is put off; None where it is not."""
        return None if self._put_off is None else self._put_off[1]

    def send_put_off(self) -> None:
        """Send the reply that was put off; on the loop's thread."""
        if self._put_off is not None:
            reply, self._put_off = self._put_off[0], None
            self._send(reply)

    def fail(self, error: BaseException) -> None:
        """End the connection because its handler failed, and log `error` under an incident id; from any thread."""
        self.is_stopped = True
        incident = secrets.token_hex(INCIDENT_BYTES)
        log.error("event=handler_failed peer=%s incident=%s", self._peer.address, incident, exc_info=error)
        self._owner.break_off(EndReason.handler_failed, type(error).__name__)

    def end(self) -> None:
        """The handler is done with."""
        self._turns.end()

    def abandon(self) -> None:
        """A forked child waits for no thread of its parent."""
        self._lock = threading.Lock()
        self.is_stopped = True

    def _run(self, call: Callable[[JsonHandler | None], None]) -> None:
        self.thread_id = threading.get_ident()
        try:
            call(self.handler)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (what a handler raises ends its connection only)
            self.fail(error)
        self.thread_id = 0
        if self._loop.is_fork:
            self._end_fork()
        self._be_free()

    def _answer_on_loop(self) -> None:
        frames = self.frames
        while frames and not (self.parting or self.is_stopped):
            if (may_block := self._may_block(frames[0])) is None:
                break
            if may_block:
                try:
                    self._turns.run(self._answer_here)
                except RuntimeError as error:
                    self._owner.break_off(EndReason.thread_start_failed, str(error))
                    break
                return
            if not self._answer_one(frames.pop(0)):
                return
        self._be_free()

    def _answer_here(self) -> None:
        frames = self.frames
        while frames and not (self.parting or self.is_stopped):
            if not self._answer_one(frames.pop(0)):
                return
        self._be_free()

    def _may_block(self, frame: bytes) -> bool | None:
        """What the handler says of `frame`; None where it fails, and the connection ends."""
        assert self.handler is not None, "frames come once the handler stands"
        try:
            return self.handler.may_block(frame)
        except Exception as error:  # noqa: BLE001 (as in `_run`)
            self.fail(error)
            return None

    def _answer_one(self, frame: bytes) -> bool:
        """Have the handler answer a frame; False where it is answered later, and the next one has to wait."""
        assert self.handler is not None, "frames come once the handler stands"
        self.count = self._unanswered = number = self.count + 1
        self._is_answered = False
        self.thread_id = threading.get_ident()
        try:
            self.handler.handle_frame(frame, partial(self._answer, number))
        except (Exception, SystemExit) as error:  # noqa: BLE001 (as in `_run`)
            self.fail(error)
        self.thread_id = 0
        if self._loop.is_fork:
            self._end_fork()
        with self._lock:
            if self._is_answered:
                return True
            self._state = _UNANSWERED
        if self.is_stopped:
            self._owner.on_free()
        return False

    def _answer(self, number: int, reply: EncodedReply | Notice | None) -> None:
        if number != self._unanswered:
            raise AnsweredTwice(f"frame {number} of {self._peer.address} is answered already")
        if isinstance(reply, Notice):
            self._outgoing.notice(reply.data, may_wait=threading.get_ident() != self._loop.thread_id)
            return
        self._unanswered = 0
        if reply is not None and reply.delay_seconds:
            self._put_off = reply, time.monotonic() + reply.delay_seconds
            self._owner.on_put_off(reply.delay_seconds)
        else:
            self._send(reply)

    def _send(self, reply: EncodedReply | None) -> None:
        if reply is None or not reply.data:
            self.unanswered_in_a_row += 1
        else:
            self.unanswered_in_a_row = 0
        if reply is not None:
            if reply.close:
                self.parting = self.parting or EndReason.handler_closed
            if reply.data and not self._outgoing.reply(reply.data):
                return  # the loop says when it is sent
        self.replied()

    def _end_fork(self) -> None:
        """The handler has returned in a process that it has forked, which it must not."""
        log.error("event=handler_forked peer=%s error=%s", self._peer.address, "the child must end with os._exit")
        os._exit(FORK_STATUS)

    def _be_free(self) -> None:
        self.active_at = time.monotonic()
        self._state = _FREE
        self._owner.on_free()
