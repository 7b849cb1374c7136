"""Client-side deadlines for PostgreSQL statements.

A hung server still acknowledges TCP segments and ignores its own `statement_timeout`: only the client can notice. Nor
does a server know whether anybody still waits for the answer to a question.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from inventory_server.config import POSTGRESQL_CONNECT_SECONDS
from inventory_server.store.ledger.time_limit import is_over

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


class PatientConnection(psycopg.Connection[Any]):
    """A connection that has the server cancel a statement once the question of its thread is to end."""

    def wait(self, gen: PQGen[R], *arguments: Any, **named: Any) -> R:
        """Wait for an answer; QueryCanceled if the question ended before."""
        return super().wait(self._while_wanted(gen), *arguments, **named)

    def _while_wanted(self, waiting: PQGen[R]) -> PQGen[R]:
        is_cancelled = False
        try:
            wanted = next(waiting)
            while True:
                ready = yield wanted
                if not ready and not is_cancelled and is_over():
                    self.cancel_safe(timeout=POSTGRESQL_CONNECT_SECONDS)
                    is_cancelled = True
                wanted = waiting.send(ready)
        except StopIteration as stop:
            answer: R = stop.value
            return answer


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
