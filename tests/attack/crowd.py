"""How an attack is carried out: by many at a time, until its time is over, whatever the server does to each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.attack.target import Target

STOP_SECONDS = 10.0
"""How long those are waited for who are still in a call when the time is over."""


@dataclass(frozen=True)
class Attack:
    """`run` attacks a target for so many seconds, and returns what it did, in words."""

    run: Callable[[Target, float], str]
    does: str
    """What it does, for the table's reader."""


class Crowd:
    """Runs a function in many threads, again and again until the time is over; a lost connection is what it expects."""

    def __init__(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds
        self._lock = threading.Lock()  # guards all below
        self.done = 0
        self.lost = 0

    def goes_on(self) -> bool:
        """True until the time is over."""
        return time.monotonic() < self.until

    def count(self, number: int = 1) -> None:
        """Count what was done."""
        with self._lock:
            self.done += number

    def rest(self, seconds: float) -> None:
        """Do nothing for a while, at most until the time is over."""
        time.sleep(max(0.0, min(seconds, self.until - time.monotonic())))

    def run(self, members: int, act: Callable[[int], None]) -> str:
        """Have each of `members` call `act` with its number, again and again."""
        threads = [threading.Thread(target=self._repeat, args=(act, number), daemon=True) for number in range(members)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, self.until - time.monotonic()) + STOP_SECONDS)
        return f"{self.done:,} done, {self.lost:,} connections lost"

    def _repeat(self, act: Callable[[int], None], number: int) -> None:
        while self.goes_on():
            try:
                act(number)
            except (OSError, ValueError):  # refused, reset, timed out, or cut off inside a line
                with self._lock:
                    self.lost += 1
                self.rest(0.01)
