"""Slots for large frames: decoding one holds the interpreter lock for long, and live tills need it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from inventory_server.jsonserver import WorkerPool

Owner = object
"""Whose frame it is; it has one at a time."""


class _Waiting(NamedTuple):
    """A frame without a slot; `until` is an instant of `time.monotonic`."""

    begin: Callable[[], None]
    give_up: Callable[[], None]
    until: float


class LargeFrames:
    """Handles at most `slots` large frames at a time, on `threads` threads. The others wait in order, on no thread."""

    def __init__(self, slots: int, threads: int, seconds: float) -> None:
        """A frame gives up once it has waited for `seconds`."""
        self._slots = slots
        self._seconds = seconds
        self._pool = WorkerPool(threads, "large")
        # Guards all below.
        self._lock = threading.Lock()
        self._holders: set[Owner] = set()
        self._waiting: dict[Owner, _Waiting] = {}  # in order of arrival
        self._timer: threading.Timer | None = None
        self._is_closed = False

    def enter(self, owner: Owner, begin: Callable[[], None], give_up: Callable[[], None]) -> None:
        """Call `begin` on a thread once there is a slot, which is the owner's until it leaves, or else `give_up`.

        RuntimeError where the machine has no thread left.
        """
        with self._lock:
            if len(self._holders) >= self._slots:
                until = time.monotonic() + self._seconds
                self._wake_at(until)
                self._waiting[owner] = _Waiting(begin, give_up, until)
                return
            self._holders.add(owner)
        self._pool.run(begin)

    def leave(self, owner: Owner) -> None:
        """Give the owner's slot to the next one, or its place in the queue up; nothing where it has neither."""
        with self._lock:
            if self._waiting.pop(owner, None) or owner not in self._holders:
                return
            self._holders.remove(owner)
            if not self._waiting:
                return
            following = next(iter(self._waiting))
            begin = self._waiting.pop(following).begin
            self._holders.add(following)
        self._pool.run(begin)

    def close(self) -> None:
        """End the threads, once they are idle."""
        with self._lock:
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()
        self._pool.close()

    def _wake_at(self, until: float) -> None:
        """Have those looked at that have waited too long; one timer is enough, since all wait equally long."""
        if self._timer is None and not self._is_closed:
            timer = threading.Timer(until - time.monotonic(), self._expire)
            timer.daemon = True
            timer.start()
            self._timer = timer

    def _expire(self) -> None:
        with self._lock:
            self._timer = None
            now = time.monotonic()
            late = [owner for owner, waiting in self._waiting.items() if waiting.until <= now]
            given_up = [self._waiting.pop(owner).give_up for owner in late]
            if self._waiting:
                self._wake_at(next(iter(self._waiting.values())).until)
        for give_up in given_up:
            give_up()
