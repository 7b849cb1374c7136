"""Connections to PostgreSQL that do not wait for ever.

A server that stands still keeps its sockets open, acknowledges all that is sent and takes no timeout of its own to
heart, so that only who asks can notice.
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
    """A kind of connection that raises OperationalError once a statement has gone unanswered for so long.

    It is of no use after that: the answer may still come.
    """

    class Hurried(psycopg.Connection[Any]):
        def wait(self, gen: PQGen[R], *arguments: Any, **named: Any) -> R:
            return super().wait(_until(gen, timer() + answer_seconds, timer), *arguments, **named)

    return Hurried


def _until(waiting: PQGen[R], end: float, timer: Callable[[], float]) -> PQGen[R]:
    """Go on with `waiting`, which psycopg resumes as data arrives, and several times a second where none does."""
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
