"""A bounded pool of threads for work that may wait."""

from __future__ import annotations

import logging
import math
import queue
import threading
from collections.abc import Callable

log = logging.getLogger("tillwire.jsonserver")

PoolWork = Callable[[], None]


class WorkerPool:
    """At most `threads` threads, started when they are needed, which run what is passed to `run` in its order."""

    def __init__(self, threads: int, name: str, most_waiting: float = math.inf) -> None:
        """`most_waiting` is how much work may wait for a thread."""
        self._name = name
        self._most = threads
        self._most_waiting = most_waiting
        self._work: queue.SimpleQueue[PoolWork | None] = queue.SimpleQueue()
        # Guards the two below.
        self._lock = threading.Lock()
        self._started = 0
        # Threads that wait for work, less the work that is queued for them.
        self._idle = 0

    def run(self, work: PoolWork) -> bool:
        """Have `work` run as soon as a thread is free; False, and it does not run, where too much waits already.

        RuntimeError where the machine has no thread for the first.
        """
        with self._lock:
            if self._started == self._most and -self._idle >= self._most_waiting:
                return False
            self._idle -= 1
            if self._idle < 0 and self._started < self._most:
                self._start_another()
        self._work.put(work)
        return True

    def close(self) -> None:
        """End the threads once they have run what is queued; does not wait for that."""
        with self._lock:
            for _ in range(self._started):
                self._work.put(None)

    def _start_another(self) -> None:
        number = self._started + 1
        thread = threading.Thread(target=self._run_queued, name=f"{self._name} {number}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            log.error("event=thread_start_failed pool=%s error=%s", self._name, error)
            if not self._started:
                self._idle += 1
                raise
            return
        self._started = number
        self._idle += 1

    def _run_queued(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:
                log.exception("event=work_failed pool=%s", self._name)
            with self._lock:
                self._idle += 1
