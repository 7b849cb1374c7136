"""The I/O loop: one thread that waits for all sockets of a server, and for the deadlines of its connections.

Whatever a peer does to a socket arrives here as an event, and whatever it fails to do as a deadline. Other threads
touch no descriptor that the loop watches, but for sending; they ask the loop for the rest with `call`.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from inventory_server.jsonserver.limits import EVENTS_AT_ONCE, READ_BYTES, STALE_DEADLINES_MIN, WAIT_SECONDS_MAX
from inventory_server.jsonserver.turn import InterpreterTurn

log = logging.getLogger("tillwire.jsonserver")

OnEnd = Callable[[Exception | None], None]
"""Told of the end of a loop's thread, and of the error that has ended it, if one has."""
Scheduled = tuple[float, int, "Deadline"]


class Source(Protocol):
    """What the loop watches: a connection or a listening socket."""

    is_closed: bool
    deadline: Deadline

    def fileno(self) -> int:
        """The descriptor."""

    def on_event(self, events: int) -> None:
        """The descriptor is ready for `events`."""

    def on_deadline(self) -> float:
        """The deadline has passed, unless it was put off; return the next one, infinite if there is none."""

    def go_on(self) -> None:
        """It is this source's turn again; see `Loop.again`."""

    def on_failure(self, error: Exception) -> None:
        """One of the above has raised `error`, which is logged."""


class Deadline:
    """When the loop next looks at a source. Putting it off costs nothing: the source says so when asked."""

    __slots__ = ("at", "source")

    def __init__(self, source: Source) -> None:
        self.at = math.inf
        self.source: Source | None = source


class Loop:
    """Waits for events, deadlines and calls of other threads, and passes each to its source, on one thread.

    That thread is one of its own after `start`, or the caller of `run_until`. A source's method that runs on it may
    call `run_until` itself. It works in turns with whatever else in the process takes `turn`.
    """

    def __init__(self, turn: InterpreterTurn) -> None:
        self._turn = turn
        self.now = time.monotonic()
        self.is_fork = False
        self.buffer = memoryview(bytearray(READ_BYTES))
        """For a source to read into: what it holds is taken out before the source returns."""
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._sources: dict[int, Source] = {}
        self._calls: deque[tuple[Callable[[], None], Source | None]] = deque()
        self._ready: deque[Source] = deque()
        # The deadlines, the next one first; those that were replaced stay until they are due, without a source.
        self._deadlines: list[Scheduled] = []
        self._numbers = itertools.count()
        self._stale = 0
        # True from a wake-up until the loop has seen it: the answers of a whole commit cost one.
        self._is_woken = False
        # Guards the two descriptors against being closed, and given to somebody else, while a thread wakes the loop.
        self._waking = threading.Lock()
        self._is_over = False
        self.thread_id = 0

    # ------------------------------------------------------------------ for any thread

    def call(self, run: Callable[[], None], source: Source | None = None) -> None:
        """Have `run` called on the loop's thread soon, for `source`; dropped where the loop has ended."""
        self._calls.append((run, source))
        if not self._is_woken and threading.get_ident() != self.thread_id:
            self._is_woken = True
            with self._waking:
                if not self._is_over:
                    os.eventfd_write(self._wake, 1)

    def is_running(self) -> bool:
        """True where some thread runs the loop."""
        return self.thread_id != 0

    def start(self, is_done: Callable[[], bool], name: str, on_end: OnEnd = lambda _: None) -> None:
        """Run on a thread of its own until `is_done`, which is asked after every step; then close.

        `on_end` is called there in the end, with the error if the loop itself has failed, which is logged.
        """
        thread = threading.Thread(target=self._run, args=(is_done, on_end), name=name, daemon=True)
        self.thread_id = -1  # from now on nobody else runs it
        try:
            thread.start()
        except RuntimeError:
            self.thread_id = 0
            raise

    # ------------------------------------------------------------------ for the loop's thread

    def watch(self, source: Source, events: int, before: int) -> None:
        """Pass `events` of `source` to it from now on; `before` are those until now. Nothing is none."""
        fd = source.fileno()
        if not before:
            self._sources[fd] = source
            self._epoll.register(fd, events)
        elif events:
            self._epoll.modify(fd, events)
        else:
            del self._sources[fd]
            self._epoll.unregister(fd)

    def look_at(self, source: Source, at: float) -> None:
        """Call `on_deadline` of `source` at the instant `at` (of `time.monotonic`), unless it is due earlier anyway."""
        deadline = source.deadline
        if at >= deadline.at:
            return
        if deadline.at != math.inf:
            deadline.source = None
            self._drop_stale()
            deadline = source.deadline = Deadline(source)
        deadline.at = at
        heapq.heappush(self._deadlines, (at, next(self._numbers), deadline))

    def forget(self, source: Source) -> None:
        """Drop the deadline of a source that is closed."""
        if source.deadline.at != math.inf:
            source.deadline.source = None
            self._drop_stale()
        source.deadline = Deadline(source)

    def again(self, source: Source) -> None:
        """Call `go_on` of `source` once all others that are ready have had their turn."""
        self._ready.append(source)

    def run_until(self, is_done: Callable[[], bool], deadline: float = math.inf) -> bool:
        """Run on the calling thread until `is_done`; False where `deadline` passes first."""
        outer, self.thread_id = self.thread_id, threading.get_ident()
        try:
            while not is_done():
                self.now = time.monotonic()
                if self.now >= deadline:
                    return False
                self._step(deadline)
        finally:
            self.thread_id = outer
        return True

    def close(self) -> None:
        """Close the descriptors; the loop does not run any more."""
        with self._waking:
            if not self._is_over:
                self._is_over = True
                self._epoll.close()
                os.close(self._wake)

    def abandon(self) -> None:
        """Close a forked child's copies: it must not change what the parent's epoll watches."""
        self.is_fork = True
        self._waking = threading.Lock()
        self.close()

    def _run(self, is_done: Callable[[], bool], on_end: OnEnd) -> None:
        failure = None
        try:
            self.run_until(is_done)
        except Exception as error:
            log.critical("event=loop_failed", exc_info=error)
            failure = error
        try:
            on_end(failure)
        finally:
            self.thread_id = 0
            self.close()

    def _step(self, deadline: float) -> None:
        """Wait for something to do, and do it."""
        until = min(self._deadlines[0][0], deadline) if self._deadlines else deadline
        wait = 0.0 if self._ready or self._calls else min(max(0.0, until - self.now), WAIT_SECONDS_MAX)
        events = self._epoll.poll(wait, EVENTS_AT_ONCE)
        with self._turn:
            self._work_on(events)
        self._turn.afterwards()

    def _work_on(self, events: list[tuple[int, int]]) -> None:
        self.now = time.monotonic()
        # Looked up first: a descriptor may be closed, and given to another source, in between.
        for source, mask in [(self._sources.get(fd), mask) for fd, mask in events]:
            if source is None:
                self._see_wake_up()
            elif not source.is_closed:
                try:
                    source.on_event(mask)
                except Exception as error:  # noqa: BLE001 (it is logged)
                    self._note_failure(source, error)
        for _ in range(len(self._calls)):
            self._guard(*self._calls.popleft())
        for _ in range(len(self._ready)):
            source = self._ready.popleft()
            if not source.is_closed:
                self._guard(source.go_on, source)
        while self._deadlines and self._deadlines[0][0] <= self.now:
            self._meet(heapq.heappop(self._deadlines)[2])

    def _see_wake_up(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the event was that of a source which is closed by now
            os.eventfd_read(self._wake)
        self._is_woken = False  # after reading: whoever calls from here on wakes the loop again

    def _meet(self, deadline: Deadline) -> None:
        source = deadline.source
        if source is None:
            self._stale -= 1
            return
        deadline.at = math.inf

        def meet() -> None:
            if (at := source.on_deadline()) != math.inf:
                self.look_at(source, at)

        self._guard(meet, source)

    def _drop_stale(self) -> None:
        """Count a deadline that nobody waits for; once most are such, drop them."""
        self._stale += 1
        if self._stale > STALE_DEADLINES_MIN and self._stale * 2 > len(self._deadlines):
            self._deadlines = [entry for entry in self._deadlines if entry[2].source is not None]
            heapq.heapify(self._deadlines)
            self._stale = 0

    def _guard(self, run: Callable[[], None], source: Source | None) -> None:
        """Have what goes wrong with one source end that source alone."""
        try:
            run()
        except Exception as error:  # noqa: BLE001 (as above)
            self._note_failure(source, error)

    def _note_failure(self, source: Source | None, error: Exception) -> None:
        log.error("event=source_failed source=%s", source, exc_info=error)
        if source is not None:
            source.on_failure(error)
