"""What a connection sends: the reply to each frame, and messages of the server between replies, each of them whole."""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from inventory_server.jsonserver.budget import ByteBudget
from inventory_server.jsonserver.limits import WRITE_BYTES, NetworkLimits
from inventory_server.jsonserver.stream import ServerStream
from pos_client.protocol.framing import jsocket_frame


class TooMuchUnsent(Exception):
    """More messages wait for a client that does not read than `max_unsent_bytes`."""


class OutgoingOwner(Protocol):
    """The connection; each method may be called by any thread, and must not wait."""

    def on_backlog(self) -> None:
        """Something waits for a slow reader, where nothing did."""

    def on_lost(self, error: Exception) -> None:
        """Nothing can be sent any more: the stream is lost, or too much waits."""

    def on_unsent_limit(self) -> None:
        """Of what waits for all clients together, the most waits for this one, and it is too much."""


class Outgoing:
    """The sending side of a connection, for any thread: one queue, in which nothing overtakes anything.

    What fits is sent at once, by the thread that has it: waking the loop would cost more. What a slow reader does not
    take waits in the queue, and the loop sends it with `send_waiting`. The messages of the server (`push`) wait until
    the client's first bytes have shown its framing, if there is a choice.
    """

    __slots__ = (
        "_has_room",
        "_held",
        "_is_held",
        "_is_over",
        "_limits",
        "_lock",
        "_message_bytes",
        "_owner",
        "_unsent",
        "_unsent_bytes",
        "_uses_jsocket",
        "sent_bytes",
        "stream",
        "waiting",
    )

    def __init__(
        self,
        stream: ServerStream,
        limits: NetworkLimits,
        owner: OutgoingOwner,
        unsent: ByteBudget[OutgoingOwner],
    ) -> None:
        self.stream = stream
        self._limits = limits
        self._owner = owner
        self._unsent = unsent
        self.sent_bytes = 0
        # Guards all below, and the stream against being closed while something is sent.
        self._lock = threading.Lock()
        # What is left to send, if anything, each with whether it is a reply. Others only ask whether there is anything.
        self.waiting: deque[tuple[memoryview, bool]] | None = None
        self._unsent_bytes = 0
        self._message_bytes = 0
        self._has_room: threading.Condition | None = None
        self._is_over = False
        self._is_held = limits.jsocket_frames
        self._held: list[bytes] = []
        self._uses_jsocket = False

    def reply(self, data: bytes) -> bool:
        """Send a reply, or a refusal; False where some of it waits: `send_waiting` tells once all is sent."""
        if self._uses_jsocket:
            data = jsocket_frame(data)
        with self._lock:
            return self._is_over or self._send(data, is_reply=True)

    def notice(self, data: bytes, may_wait: bool) -> None:
        """Send a notice that comes before a reply; where `may_wait`, wait until a slow reader has left room for it."""
        data = self._framed(data)
        with self._lock:
            if may_wait and not self._is_over and not self._leaves_room(data):
                self._has_room = self._has_room or threading.Condition(self._lock)
                self._has_room.wait_for(lambda: self._is_over or self._leaves_room(data))
            self._send_message(data)

    def push(self, data: bytes) -> bool:
        """Send messages of the server, each a line, without waiting; False where the connection has ended or has to."""
        with self._lock:
            if not self._is_held:
                return self._send_message(self._framed(data))
            if self._is_over or not self._leaves_room(data):
                return self._send_message(data)
            self._held.append(data)
            self._message_bytes += len(data)
            return True

    @property
    def unsent_bytes(self) -> int:
        """How much of the messages of the server waits for a slow reader, or for the client's framing."""
        return self._message_bytes

    def release(self, uses_jsocket: bool) -> None:
        """The framing of the client is known: send the messages that have waited for that."""
        with self._lock:
            self._uses_jsocket = uses_jsocket
            self._send_held()

    def finish(self) -> None:
        """Send the messages that have waited for the framing: to a client that never spoke, as lines."""
        with self._lock:
            self._send_held()

    def send_waiting(self) -> tuple[bool, bool]:
        """Send what a slow reader takes by now; return whether anything went out whole, and whether a reply did."""
        with self._lock:
            went_out, replied, left, unsent = False, False, WRITE_BYTES, self._unsent_bytes
            waiting = self.waiting or deque()
            while waiting and left > 0:
                data, is_reply = waiting[0]
                sent = self.stream.try_write(data)
                left, unsent = left - sent, unsent - sent
                if not is_reply:
                    self._message_bytes -= sent
                if not sent:
                    break
                if sent < len(data):
                    waiting[0] = data[sent:], is_reply
                    continue
                waiting.popleft()
                went_out, replied = True, replied or is_reply
            self.waiting = waiting or None
            self._hold(unsent)
            if self._has_room is not None:
                self._has_room.notify_all()
            return went_out, replied

    def end(self) -> None:
        """The connection has ended: nothing is taken any more."""
        with self._lock:
            self._is_over = True
            self.waiting = None
            self._hold(0)
            self._held.clear()
            if self._has_room is not None:
                self._has_room.notify_all()

    def abandon(self) -> None:
        """A forked child sends nothing, and waits for no thread of its parent."""
        self._lock = threading.Lock()
        self._has_room = None
        self._is_over = True

    # ------------------------------------------------------------------ all below with `_lock` held

    def _framed(self, lines: bytes) -> bytes:
        return b"".join(map(jsocket_frame, lines.splitlines(keepends=True))) if self._uses_jsocket else lines

    def _leaves_room(self, data: bytes) -> bool:
        return not self._message_bytes or self._message_bytes + len(data) <= self._limits.max_unsent_bytes

    def _send_message(self, data: bytes) -> bool:
        if self._is_over:
            return False
        if not self._leaves_room(data):
            self._is_over = True
            cause = f"{self._message_bytes} bytes of messages wait for a client that does not read"
            self._owner.on_lost(TooMuchUnsent(cause))
            return False
        if not self._send(data, is_reply=False) and self.waiting:
            self._message_bytes += len(self.waiting[-1][0])
        return not self._is_over

    def _send_held(self) -> None:
        self._is_held = False
        held, self._held = self._held, []
        self._message_bytes -= sum(map(len, held))
        for data in held:
            self._send_message(self._framed(data))

    def _send(self, data: bytes, is_reply: bool) -> bool:
        """Send `data` after what waits; False where some of it has to wait too."""
        self.sent_bytes += len(data)
        sent = 0
        if not self.waiting:
            try:
                sent = self.stream.try_write(data)
            except OSError as error:
                self._is_over = True
                self._owner.on_lost(error)
                return True
        if sent == len(data):
            return True
        rest = memoryview(data)[sent:], is_reply
        self._hold(self._unsent_bytes + len(data) - sent)
        if self.waiting is None:
            self.waiting = deque([rest])
            self._owner.on_backlog()
        else:
            self.waiting.append(rest)
        return False

    def _hold(self, unsent_bytes: int) -> None:
        """Note how much waits, for this client and for all."""
        if unsent_bytes != self._unsent_bytes:
            self._unsent_bytes = unsent_bytes
            if (most := self._unsent.hold(self._owner, unsent_bytes)) is not None:
                most.on_unsent_limit()
