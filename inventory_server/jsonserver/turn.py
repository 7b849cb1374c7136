"""Turns at the interpreter, which runs one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from inventory_server.jsonserver.limits import TURN_SECONDS_MAX


class InterpreterTurn:
    """A turn at the interpreter: `with turn:` around what computes for long, by threads that would do so side by side.

    Without turns each of them loses the interpreter lock at every system call and waits until the other one makes
    its next: that costs more than the calls themselves. A thread waits `TURN_SECONDS_MAX` for its turn at most, and
    works all the same then. Nothing but speed depends on it.
    """

    __slots__ = ("_holder", "_lock", "afterwards")

    def __init__(self) -> None:
        self.afterwards: Callable[[], None] = _nothing
        """What the loop's thread calls whenever its own turn has ended; it raises nothing."""
        self._lock = threading.Lock()
        self._holder = 0  # the thread whose turn it is; others see that it is not theirs

    def __enter__(self) -> None:
        caller = threading.get_ident()
        if self._holder != caller and self._lock.acquire(timeout=TURN_SECONDS_MAX):
            self._holder = caller

    def __exit__(self, *_: object) -> None:
        if self._holder == threading.get_ident():
            self._holder = 0
            self._lock.release()

    def is_callers(self) -> bool:
        """True where it is the turn of the thread that asks."""
        return self._holder == threading.get_ident()


def _nothing() -> None:
    """There is nothing to do afterwards."""
