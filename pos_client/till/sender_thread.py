"""The thread that drives a `Sender` over a real connection, and makes other threads' requests to HQ."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, NamedTuple

from pos_client.protocol.address import Address
from pos_client.protocol.errors import ConnectionLost, HqRefused, OutboxInUse, RequestError
from pos_client.protocol.units import SECOND_MICROS
from pos_client.till.actions import Connect, Idle, SendHello, SendPing, SendPost
from pos_client.till.clock import monotonic
from pos_client.till.policy import ERROR_PAUSE_SECONDS, POLL_SECONDS, STOP_SECONDS
from pos_client.till.sender import Sender
from pos_client.transport.connection import Connection
from pos_client.transport.limits import CONNECT_SECONDS, REPLY_SECONDS
from pos_client.transport.tls_stream import Tls

log = logging.getLogger("tillwire.till")

ConnectionTask = Callable[[Connection, float], Any]
"""A request to make on the till's connection, within so many seconds."""


class _Call(NamedTuple):
    task: ConnectionTask
    deadline: float
    outcome: Future[Any]


class SenderThread:
    """Runs a `Sender` in its own thread, the only user of the connection.

    `on_standby` is called repeatedly while another process sends, and once when this process takes over; `on_refusal`
    whenever HQ refuses this till, and with None when it no longer does.
    """

    def __init__(
        self,
        sender: Sender,
        address: Address,
        *,
        on_standby: Callable[[], None],
        on_refusal: Callable[[HqRefused | None], None],
        connect_seconds: float = CONNECT_SECONDS,
        reply_seconds: float = REPLY_SECONDS,
        tls: Tls = False,
    ) -> None:
        self.sender = sender
        self.is_sending = False  # True while this process holds the outbox's sending lock
        self._address = address
        self._on_standby = on_standby
        self._on_refusal = on_refusal
        self.refusal: HqRefused | None = None  # why HQ refuses this till, as `on_refusal` was told last
        self._connect_seconds = connect_seconds
        self._reply_seconds = reply_seconds
        self._tls = tls
        self._connection: Connection | None = None
        self._calls: deque[_Call] = deque()  # any thread appends, only this one removes
        self._connecting_for: _Call | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tillwire-sender", daemon=True)

    @property
    def is_hopeful(self) -> bool:
        """True while this process sends and the last attempt did not fail."""
        return self.is_sending and self.sender.last_error is None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop at once; a frame in flight is sent again next time."""
        self._stopping.set()
        self._wake.set()
        if (connection := self._connection) is not None:
            connection.interrupt()
        self._thread.join(STOP_SECONDS)  # a thread left behind is only waiting to connect

    def wake(self) -> None:
        """Tell the thread that the outbox has a new posting."""
        if self.sender.awaits_work:  # during a back-off, waking the thread would only slow down the sale
            self._wake.set()

    def ask(self, task: ConnectionTask, timeout_seconds: float) -> Any:
        """Run `task` on the till's connection and return its result; ConnectionLost if the timeout passes first."""
        call = _Call(task, time.monotonic() + timeout_seconds, Future())
        self._calls.append(call)
        self._wake.set()
        try:
            return call.outcome.result(timeout_seconds)
        except (TimeoutError, CancelledError) as error:
            call.outcome.cancel()
            raise ConnectionLost(f"No answer from HQ: {self.sender.last_error or 'the request timed out'}") from error

    # ------------------------------------------------------------------ in the thread

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._wake.wait(self._step_logging_errors())
                self._wake.clear()
        finally:
            self._hang_up()
            self._refuse_calls(ConnectionLost("The client was closed."))

    def _step_logging_errors(self) -> float:
        try:
            return self._step()
        except Exception:  # a defect: without this thread nothing would be delivered any more
            log.exception("event=sender_error address=%s", self._address)
            self._lose("Unexpected error in the sender; see the log.")
            return ERROR_PAUSE_SECONDS

    def _step(self) -> float:
        if not self._may_send():
            return POLL_SECONDS
        if self._connection is not None and self._connection.is_dropped():
            self._lose("HQ closed the connection.")
        self._serve_calls()
        self._connect_for_calls()
        action = self.sender.next_action()
        if not isinstance(action, Idle):
            self._carry_out(action)
        if not self.sender.is_connected:
            self._hang_up()
        self._tell_refusal(self.sender.refusal)
        if not isinstance(action, Idle):
            return 0.0
        return min(POLL_SECONDS, max(0.0, (action.until - monotonic()) / SECOND_MICROS))

    def _may_send(self) -> bool:
        if self.is_sending:
            return True
        self.is_sending = self.sender.outbox.acquire_sending()
        self._on_standby()
        self._tell_refusal(None if self.is_sending else self.sender.outbox.refusal)
        if not self.is_sending:
            self._refuse_calls(
                OutboxInUse(
                    "Another process sends from this outbox and owns the till's connection: make the request there, "
                    "or use request_once() with a reader's token."
                )
            )
        return self.is_sending

    def _carry_out(self, action: Connect | SendHello | SendPost | SendPing) -> None:
        sender = self.sender
        try:
            if isinstance(action, Connect):
                self._hang_up()
                self._connection = Connection.open(self._address, self._connect_seconds, self._reply_seconds, self._tls)
                sender.on_connected()
            elif isinstance(action, SendHello):
                sender.on_hello(self._open_connection.hello(action.params, self._reply_seconds))
            elif isinstance(action, SendPost):
                sender.on_post(self._open_connection.request("post", action.params, self._reply_seconds))
            else:
                sender.on_pong(self._open_connection.request("ping", action.params, self._reply_seconds))
        except RequestError as error:
            sender.on_error(error)
        except ConnectionLost as error:
            self._lose(str(error))

    def _tell_refusal(self, refusal: HqRefused | None) -> None:
        if str(refusal) != str(self.refusal):
            self.refusal = refusal
            if refusal is not None and self.is_sending:
                log.warning("event=hq_refused address=%s reason=%s", self._address, refusal.message)
            self._on_refusal(refusal)
        if refusal is not None and self.is_sending:
            self._refuse_calls(refusal)

    def _serve_calls(self) -> None:
        while self._calls and self.sender.hello is not None and self._connection is not None:
            call = self._calls.popleft()
            if not call.outcome.set_running_or_notify_cancel():
                continue
            try:
                call.outcome.set_result(call.task(self._connection, max(0.0, call.deadline - time.monotonic())))
            except RequestError as error:
                call.outcome.set_exception(error)
            except ConnectionLost as error:
                call.outcome.set_exception(error)
                self._lose(str(error))
            except Exception as error:  # a defect in the task: without this, its caller would wait for the timeout
                call.outcome.set_exception(error)
                raise

    def _connect_for_calls(self) -> None:
        """Connect for a waiting call, once per call: more often would flood an HQ that is unreachable."""
        while self._calls and self._calls[0].outcome.cancelled():
            self._calls.popleft()
        if self._calls and (self.sender.is_resting or self._calls[-1] is not self._connecting_for):
            self._connecting_for = self._calls[-1]
            self.sender.connect_now()

    def _refuse_calls(self, error: Exception) -> None:
        while self._calls:
            call = self._calls.popleft()
            if call.outcome.set_running_or_notify_cancel():
                call.outcome.set_exception(error)

    @property
    def _open_connection(self) -> Connection:
        if self._connection is None:
            raise ConnectionLost("There is no connection.")
        return self._connection

    def _lose(self, reason: str) -> None:
        self._hang_up()
        self.sender.on_lost(reason)

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
