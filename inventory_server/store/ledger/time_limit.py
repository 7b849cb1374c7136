"""How long a question may take, and whether anybody still waits for its answer: known to the thread that asks it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pos_client.protocol.errors import ErrorCode, RequestError


class TimeLimit:
    """The time that one question has. `timer` returns seconds."""

    def __init__(
        self, seconds: int, is_wanted: Callable[[], bool], timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._until = timer() + seconds
        self._is_wanted = is_wanted
        self._timer = timer

    @property
    def is_over(self) -> bool:
        """True if the answer takes too long, or nobody waits for it any more."""
        return self._timer() > self._until or not self._is_wanted()

    def error(self) -> RequestError:
        """What is answered then."""
        if not self._is_wanted():
            return RequestError(ErrorCode.busy, "Nobody waits for the answer any more.", retry_after_ms=0)
        message = (
            f"The answer takes more than {self._seconds} s of the database; ask for less at once: a smaller page "
            "(limit), fewer locations or products, or a shorter time."
        )
        return RequestError(ErrorCode.too_large, message, limit=self._seconds)


class _Thread(threading.local):
    time_limit: TimeLimit | None = None
    """That of the question which this thread asks; a default of the class costs no exception each time."""


asking = _Thread()


@contextmanager
def limited(time_limit: TimeLimit | None) -> Iterator[None]:
    """Have what this thread asks the database end with `time_limit`; None: it has all the time."""
    asking.time_limit = time_limit
    try:
        yield
    finally:
        asking.time_limit = None


def is_over() -> bool:
    """True if this thread's question is to end now."""
    time_limit = asking.time_limit
    return time_limit is not None and time_limit.is_over


def assert_left() -> None:
    """RequestError if this thread's question is to end now."""
    time_limit = asking.time_limit
    if time_limit is not None and time_limit.is_over:
        raise time_limit.error()
