"""The observer's threads: one watches the ledger, one delivers to each target, until they are told to stop."""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from inventory_server.clock import Clock
from inventory_server.config import Settings
from inventory_server.observer.deliveries import Deliverer
from inventory_server.observer.ledger import LedgerAway, ObservedLedger, ObserverReplaced
from inventory_server.observer.limits import (
    DELIVERY_POLL_SECONDS,
    ENDING_SECONDS,
    FEED_POLL_SECONDS,
    LEDGER_RETRY_SECONDS,
)
from inventory_server.observer.proof import BackgroundProof
from inventory_server.observer.sending import send
from inventory_server.observer.targets import AlertTarget
from inventory_server.observer.watch import AlertWatch

log = logging.getLogger("tillwire.observer")

Wait = Callable[[float], bool]
"""Waits for some seconds at most; True once the process is to end."""


def repeat(what: str, start: Callable[[], None], turn: Callable[[], bool], pause_seconds: float, wait: Wait) -> None:
    """Take turns until `wait` says that it is over, after one `start`; while the ledger is away, say so once.

    ObserverReplaced ends it.
    """
    is_away, has_started = False, False
    while True:
        try:
            if not has_started:
                start()
                has_started = True
            has_more = turn()
            if is_away:
                is_away = False
                log.info("event=ledger_back for=%s", what)
            pause = 0.0 if has_more else pause_seconds
        except LedgerAway as error:
            if not is_away:
                is_away = True
                log.warning("event=ledger_away for=%s reason=%s", what, error)
            pause = LEDGER_RETRY_SECONDS
        if wait(pause):
            return


class ObserverProcess:
    """Everything that observes one ledger, on threads of this process; `on_end` is called when it ends by itself."""

    def __init__(
        self, url: str, settings: Settings, clock: Clock, targets: Mapping[str, AlertTarget], on_end: Callable[[], None]
    ) -> None:
        owner = str(uuid.uuid4())
        self._ledger = ObservedLedger(url, settings, clock, owner)
        self._stopped = threading.Event()
        self._on_end = on_end
        self.failure: Exception | None = None
        chance = random.SystemRandom()
        watch = AlertWatch(self._ledger, owner, list(targets), clock, BackgroundProof(self._ledger, chance=chance))
        deliverers = [
            Deliverer(self._ledger, owner, name, partial(send, target), clock, chance.random)
            for name, target in targets.items()
        ]
        self._threads = [self._thread("watch", lambda: self._begin(watch, deliverers), watch.turn, FEED_POLL_SECONDS)]

    def start(self) -> None:
        """Start watching; nothing is delivered before this process is the one that observes."""
        self._threads[0].start()

    def stop(self) -> bool:
        """End them, each after its turn; False if one did not end in time."""
        self._stopped.set()
        deadline = time.monotonic() + ENDING_SECONDS
        for thread in self._threads:  # the first one starts no other once it has ended
            thread.join(max(0.0, deadline - time.monotonic()))
        has_ended = not any(thread.is_alive() for thread in self._threads)
        if has_ended:
            self._ledger.close()
        return has_ended

    def _begin(self, watch: AlertWatch, deliverers: Sequence[Deliverer]) -> None:
        watch.start()
        for each in deliverers:
            thread = self._thread(f"target {each.name}", _nothing, each.turn, DELIVERY_POLL_SECONDS)
            thread.start()
            self._threads.append(thread)

    def _thread(
        self, what: str, start: Callable[[], None], turn: Callable[[], bool], pause_seconds: float
    ) -> threading.Thread:
        def run() -> None:
            try:
                repeat(what, start, turn, pause_seconds, self._stopped.wait)
            except ObserverReplaced as error:
                self._end(error)
            except Exception as error:
                log.critical("event=observer_failed for=%s", what, exc_info=error)
                self._end(error)

        return threading.Thread(target=run, name=what, daemon=True)

    def _end(self, error: Exception) -> None:
        if self.failure is None:
            self.failure = error
        self._stopped.set()
        self._on_end()


def _nothing() -> None:
    """What a target's thread has to do before its first turn."""
