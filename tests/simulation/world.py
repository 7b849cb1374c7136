"""Time, chance and order of a simulated world: one virtual clock, one seeded random source, one queue of events."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

import msgspec

MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_767_600_000 * SECOND
"""A Monday morning. All times are µs, those of the world are true: devices have their own, wrong clocks."""
SLOW_COMMIT = (1 * SECOND, 20 * SECOND)
"""How long a commit waits for a slow disk."""
EVENTS_MAX = 20_000
"""Far more than any honest run takes; a run that gets here spins, and must not pass for a clean one."""


class Violation(BaseException):
    """A promise was broken. `rule` is P1 … P10 of docs, or a rule of the simulator's own.

    Not an Exception: production code must not be able to catch it.
    """

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"{rule}: {what}")
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Weather:
    """What may go wrong for now; all are probabilities, `delay` is a range in µs."""

    delay: tuple[int, int] = (1 * MILLISECOND, 20 * MILLISECOND)
    lost: float = 0.0  # a frame never arrives
    doubled: float = 0.0  # a frame arrives twice
    late: float = 0.0  # a frame is held up, for seconds up to days
    cut: float = 0.0  # a connection ends as a frame is sent on it
    refused: float = 0.0  # a connection cannot be opened
    slow_disk: float = 0.0  # a commit waits for seconds, while work piles up
    hq_crash: float = 0.0  # at each named point
    till_crash: float = 0.0  # at each named point
    storage_error: float = 0.0  # a commit fails


CALM = Weather()


def nothing_happens(point: str) -> None:
    """What most named points come to."""


class World:
    """Runs events in the order of their time, the first planned first among equals."""

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = START
        self.weather = CALM
        self.events = 0
        self.sometimes: Counter[str] = Counter()
        self._queue: list[tuple[int, int, str, Callable[..., None], tuple[Any, ...]]] = []
        self._planned = 0
        self._notes: list[tuple[int, str]] = []
        self._trace = trace

    @property
    def trace_hash(self) -> str:
        """What happened, in 32 digits: the same seed and code give the same ones."""
        return hashlib.blake2b(msgspec.msgpack.encode(self._notes), digest_size=16).hexdigest()

    def clock(self) -> int:
        """The true time."""
        return self.now

    def at(self, delay: int, what: str, action: Callable[..., None], *args: Any) -> None:
        """Have `action` happen `delay` µs from now; `what` names it in the trace."""
        self._planned = number = self._planned + 1
        heappush(self._queue, (self.now + delay if delay > 0 else self.now, number, what, action, args))

    def run(self, enough: Callable[[], bool], deadline: int | None = None) -> bool:
        """Let events happen until it is `enough` or none is left before the `deadline`; return whether it was enough.

        That is asked at every eighth event only: it costs more than an event.
        """
        queue, note = self._queue, self.note
        while self.events % 8 or not enough():
            if not queue or (deadline is not None and queue[0][0] > deadline):
                return enough()
            self.now, _, what, action, args = heappop(queue)
            self.events += 1
            if self.events > EVENTS_MAX:
                raise Violation("quiescence", f"{EVENTS_MAX} events and no end")
            note(what)
            action(*args)
        return True

    def note(self, what: str) -> None:
        """Write down what happens; it becomes part of the run's hash."""
        self._notes.append((self.now, what))
        if self._trace is not None:
            self._trace(f"{(self.now - START) / SECOND:14.6f} {what}")

    def reached(self, situation: str) -> None:
        """Count an interesting situation: each must come up sometimes, or the tests prove less than they say."""
        self.sometimes[situation] += 1
        self.note(f"! {situation}")

    def happens(self, probability: float) -> bool:
        """Throw the dice."""
        return probability > 0 and self.random.random() < probability

    def between(self, span: tuple[int, int]) -> int:
        """A number within `span`, ends included."""
        first, last = span
        return first + int(self.random.random() * (last - first + 1))
