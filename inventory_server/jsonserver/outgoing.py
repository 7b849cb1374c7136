"""What a connection sends: the reply to each frame, and messages of the server between replies, each of them whole."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from inventory_server.jsonserver.handler import EndReason
from inventory_server.jsonserver.limits import NetworkLimits
from inventory_server.jsonserver.stream import ServerStream
from pos_client.protocol.framing import jsocket_frame

log = logging.getLogger("tillwire.connection")

BreakOff = Callable[[EndReason, str], None]
"""Ends the connection now, for a reason and, in words, its cause."""


class Outgoing:
    """The sending side of a connection: any thread may use it, one at a time sends.

    A reply is sent by the thread that has it ready: waking another one would cost more than sending. Only the
    connection's own thread waits for a slow reader (`write`); what others cannot send at once, a thread of its own
    sends. The messages of the server (`push`) wait in order while something is being sent, and until the client's first
    bytes have shown its framing, if there is a choice.
    """

    def __init__(self, stream: ServerStream, limits: NetworkLimits, name: str, break_off: BreakOff) -> None:
        self._stream = stream
        self._limits = limits
        self._name = name
        self._break_off = break_off
        self.sent_bytes = 0
        self.is_sending_rest = False
        # Held while bytes are sent. Whoever releases it looks for waiting messages afterwards.
        self._sending = threading.Lock()
        # Guards the two below.
        self._counting = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._is_over = False
        self._is_held = limits.jsocket_frames
        self._uses_jsocket = False

    def write(self, data: bytes) -> None:
        """Send `data`; waits for a slow reader. What cannot be sent ends the connection."""
        self.sent_bytes += len(data)
        self._sending.acquire()  # without `with`, which costs three times as much; `_lose` does not raise
        try:
            self._stream.write(data)
        except OSError as error:
            self._lose(error)
        self._sending.release()
        if self._waiting:
            self._send_waiting()

    def reply(self, data: bytes, done: Callable[[], None]) -> None:
        """Send `data` without waiting, on another thread than the connection's; `done` is called once it is sent."""
        if not self._sending.acquire(False):
            self.sent_bytes += len(data)
            self._send_later(memoryview(data), is_mine=False, done=done)
        elif rest := self._try_write(data):
            self._send_later(rest, is_mine=True, done=done)
        else:
            self._sending.release()
            done()
            if self._waiting:
                self._send_waiting()

    def release(self, uses_jsocket: bool) -> None:
        """The framing of the client is known: send the messages that have waited for that."""
        self._uses_jsocket, self._is_held = uses_jsocket, False
        self._send_waiting()

    def push(self, data: bytes) -> bool:
        """Send a message of the server, a line, without waiting; False where the connection has ended or has to."""
        with self._counting:
            if self._is_over:
                return False
            is_too_much = bool(self._waiting) and self._waiting_bytes + len(data) > self._limits.max_unsent_bytes
            if not is_too_much:
                self._waiting.append(data)
                self._waiting_bytes += len(data)
        if is_too_much:
            cause = f"{self._waiting_bytes} bytes of messages wait for a client that does not read"
            self._give_up(EndReason.reader_too_slow, cause)
            return False
        if not self._is_held:
            self._send_waiting()
        return not self._is_over

    def flush(self) -> None:
        """Wait until the messages that are waiting are sent; to a client that never spoke, as lines."""
        self._is_held = False
        with self._sending:
            self._write_waiting()

    def end(self) -> None:
        """The connection has ended: no message is taken any more."""
        with self._counting:
            self._is_over = True
            self._waiting.clear()

    def abandon(self) -> None:
        """A forked child sends nothing, and waits for no thread of its parent."""
        self._sending, self._counting = threading.Lock(), threading.Lock()
        self._is_over = True
        self._waiting.clear()

    def _send_waiting(self) -> None:
        """Send waiting messages, unless another thread is sending: that one looks for them when it is done."""
        while self._waiting and self._sending.acquire(blocking=False):
            rest = None
            while rest is None and (data := self._next()) is not None:
                rest = self._try_write(data)
            if rest is not None:
                self._send_later(rest, is_mine=True, done=lambda: None)
                return
            self._sending.release()

    def _next(self) -> bytes | None:
        with self._counting:
            if not self._waiting:
                return None
            data = self._waiting.popleft()
            self._waiting_bytes -= len(data)
        return jsocket_frame(data) if self._uses_jsocket else data

    def _try_write(self, data: bytes) -> memoryview | None:
        """Send what fits, and return the rest; None where there is none, or nobody to send it to."""
        try:
            sent = self._stream.try_write(data)
        except OSError:
            self.end()
            return None  # the connection's own thread notices when it reads
        self.sent_bytes += len(data)
        return memoryview(data)[sent:] if sent < len(data) else None

    def _send_later(self, rest: memoryview, is_mine: bool, done: Callable[[], None]) -> None:
        """Send `rest` to a slow reader on a thread of its own; `is_mine` says whether `_sending` is held for it."""
        self.is_sending_rest = True
        try:
            threading.Thread(
                target=self._send_rest, args=(rest, is_mine, done), name=f"answer {self._name}", daemon=True
            ).start()
        except RuntimeError as error:
            log.error("event=thread_start_failed peer=%s error=%s", self._name, error)
            self._break_off(EndReason.thread_start_failed, str(error))
            if is_mine:
                self._sending.release()
            done()

    def _send_rest(self, rest: memoryview, is_mine: bool, done: Callable[[], None]) -> None:
        if not is_mine:
            self._sending.acquire()
            self.is_sending_rest = True  # the thread that had `_sending` until now has reset it
        try:
            self._write(rest)
            self._write_waiting()
        finally:
            self.is_sending_rest = False
            self._sending.release()
            done()
        self._send_waiting()

    def _write_waiting(self) -> None:
        while (data := self._next()) is not None:
            self.sent_bytes += len(data)
            self._write(data)

    def _write(self, data: bytes | memoryview) -> None:
        try:
            self._stream.write(data)
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        late = isinstance(error, TimeoutError)
        self._give_up(EndReason.timed_out if late else EndReason.connection_lost, str(error))

    def _give_up(self, reason: EndReason, cause: str) -> None:
        self.end()
        self._break_off(reason, cause)
