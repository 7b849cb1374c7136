"""Client-side deadline for PostgreSQL statements.

A hung server still acknowledges TCP segments and ignores its own `statement_timeout`: only the client can notice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

R = TypeVar("R")


def with_answer_timeout(
    answer_seconds: float, timer: Callable[[], float] = time.monotonic
) -> type[psycopg.Connection[Any]]:
    """A connection class that raises OperationalError when a statement is not answered within `answer_seconds`.

    The connection must be closed then: the answer may still arrive.
    """

    class AnswerTimeoutConnection(psycopg.Connection[Any]):
        def wait(self, gen: PQGen[R], *arguments: Any, **named: Any) -> R:
            return super().wait(_until(gen, timer() + answer_seconds, timer), *arguments, **named)

    return AnswerTimeoutConnection


def _until(waiting: PQGen[R], end: float, timer: Callable[[], float]) -> PQGen[R]:
    """Wrap psycopg's generator, which is resumed whenever data arrives and a few times a second without data."""
    try:
        wanted = next(waiting)
        while True:
            ready = yield wanted
            if not ready and timer() >= end:
                raise psycopg.OperationalError("no answer in time")
            wanted = waiting.send(ready)
    except StopIteration as stop:
        answer: R = stop.value
        return answer
