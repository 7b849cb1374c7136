"""Pings that have been answered and wait to be written: a sign of life is worth no commit of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from inventory_server.config import PINGS_SECONDS, PINGS_TOGETHER
from inventory_server.domain.door import OnOutcome, Outcome
from inventory_server.domain.requests import Ping
from pos_client.protocol.errors import ErrorCode, RequestError

log = logging.getLogger("tillwire.server")

_OVER = frozenset((ErrorCode.fenced, ErrorCode.unauthenticated))
"""What a ping that is written later may hear: the connection speaks for its terminal no longer."""

_Held = tuple[Ping, Callable[[], None]]


class Heartbeats:
    """Holds the latest ping of each terminal, until the terminal's next commit, or for `PINGS_SECONDS`.

    `submit` hands one to the store. A server that is killed loses what it holds: then a terminal counts as heard of,
    and its location as complete, for a few seconds less than was true.
    """

    def __init__(self, submit: Callable[[Ping, OnOutcome], object]) -> None:
        self._submit = submit
        # Guards `_held`, by terminal, each with what is called where its connection is over.
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._holds_some = threading.Event()
        self._closing = threading.Event()
        self._places = threading.Semaphore(PINGS_TOGETHER)  # in the writer's queue, beside the sales
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="tillwire-pings", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Have all that is held written, and end the thread."""
        self._closing.set()
        self._holds_some.set()
        if self._thread.is_alive():
            self._thread.join()
        self._write_all()

    def hold(self, ping: Ping, hang_up: Callable[[], None]) -> None:
        """Keep `ping` in place of the one before; `hang_up` is called if its connection turns out to be over."""
        with self._lock:
            before = self._held.get(ping.actor.terminal)
            self._held[ping.actor.terminal] = ping, hang_up
        if before is not None and before[0].actor.epoch != ping.actor.epoch:
            self._hand_in(before)
        self._holds_some.set()

    def write(self, terminal: str) -> None:
        """Have what is held of `terminal` written before whatever it does next."""
        if terminal in self._held and (held := self._take(terminal)) is not None:
            self._hand_in(held)

    def _write_all(self) -> None:
        for terminal in list(self._held):
            if (held := self._take(terminal)) is not None:
                self._places.acquire()
                self._hand_in(held, self._places.release)

    def _take(self, terminal: str) -> _Held | None:
        with self._lock:
            return self._held.pop(terminal, None)

    def _hand_in(self, held: _Held, finished: Callable[[], None] | None = None) -> None:
        ping, hang_up = held

        def then(_: Outcome, error: Exception | None) -> None:
            if finished is not None:
                finished()
            if isinstance(error, RequestError) and error.code in _OVER:
                log.info("event=ping_refused terminal=%s error=%s", ping.actor.terminal, error)
                hang_up()
            elif error is not None and not self._is_failing:  # the next ping tells it again
                log.warning("event=pings_not_written error=%s", error)
            self._is_failing = error is not None

        self._submit(ping, then)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._holds_some.wait()
            self._holds_some.clear()
            self._closing.wait(PINGS_SECONDS)
            self._write_all()
