"""Query service: answers questions from one database, each from one snapshot of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, union_all
from sqlalchemy.exc import DBAPIError

from inventory_server.config import QUICK_READERS, READERS_MAX, STORAGE_RETRY_MS, Settings
from inventory_server.domain.door import IsWanted, Outcome, Progress, no_progress
from inventory_server.domain.requests import REQUESTS, Cost, Question
from inventory_server.domain.roles import Speaker
from inventory_server.store.database.base import Database, ErrorClass
from inventory_server.store.database.pool import ConnectionPool
from inventory_server.store.ledger import access
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.time_limit import TimeLimit, assert_left, limited
from pos_client.protocol.errors import ErrorCode, RequestError


@dataclass(frozen=True, slots=True)
class Asking:
    """What a question is answered from: one snapshot of the ledger on `connection`; `now` in microseconds."""

    connection: Connection
    database: Database
    settings: Settings
    now: int
    progress: Progress


Answer = Callable[[Asking, Any], Outcome]


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A faster answer to the questions of a type that it `fits`: one statement, on a connection without a transaction.

    `answer` returns None for a question that takes a snapshot after all.
    """

    fits: Callable[[Any], bool]
    answer: Answer


def time_limit_of(question: Question, settings: Settings, is_wanted: IsWanted) -> AbstractContextManager[None]:
    """How long this thread may work on a question: a terminal's for `question_seconds`, all others without a limit."""
    is_limited = isinstance(question.actor, Speaker)
    return limited(TimeLimit(settings.question_seconds, is_wanted) if is_limited else None)


def time_limit_by_cost(question: Question, settings: Settings, is_wanted: IsWanted) -> AbstractContextManager[None]:
    """As `time_limit_of`, whoever asks: `question_seconds` for all but what reads most of the ledger."""
    is_limited = REQUESTS[type(question)].cost is not Cost.LONG
    return limited(TimeLimit(settings.question_seconds, is_wanted) if is_limited else None)


class QueryService:
    """Answers from a database, by the connections that `connect` opens; for many threads at once.

    `answers` has a function for each type of question, `shortcuts` a faster one for some questions.
    """

    def __init__(
        self,
        database: Database,
        connect: Callable[[], Connection],
        settings: Settings,
        clock: Callable[[], int],
        answers: Mapping[type, Answer],
        shortcuts: Mapping[type, Shortcut],
    ) -> None:
        self._database = database
        self._connect = connect
        self._settings = settings
        self._clock = clock
        self.answers = answers
        self.shortcuts = shortcuts
        self._quick = ConnectionPool(connect, QUICK_READERS)
        self._readers = ConnectionPool(connect, READERS_MAX - QUICK_READERS)

    @property
    def shown(self) -> str:
        """The database's name in messages."""
        return self._database.shown

    def close(self) -> None:
        """Close all connections, once every question has been answered."""
        self._quick.close()
        self._readers.close()

    def renew(self) -> None:
        """Close the idle connections; new ones are opened when needed."""
        self._quick.renew()
        self._readers.renew()

    def id_at(self, position: int) -> bytes | None:
        """The id of the posting at `position`, None if there is none; StoreError if it cannot be read."""
        with self._database.explained(), self._readers.snapshot() as connection:
            ids = [select(table.c.id).where(table.c.position == position) for table in (t.posting, t.archived)]
            id_: bytes | None = connection.scalar(union_all(*ids))
            return id_

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection outside the pool that reads one snapshot of the ledger, for long questions."""
        with self._connect() as connection, connection.begin():
            yield connection

    def answer(self, question: Question, progress: Progress = no_progress) -> Outcome:
        """The answer to a question; RequestError for what the protocol has a name for.

        The database may have closed idle connections: a question that meets one is asked again, once, on a new one.
        """
        try:
            return self.ask(question, progress)
        except DBAPIError as error:
            return self._answer_after_all(question, progress, error)

    def ask(self, question: Question, progress: Progress = no_progress) -> Outcome:
        """The answer to a question, asked once; DBAPIError as the database raises it."""
        try:
            return self._ask(question, progress)
        except DBAPIError:
            assert_left()  # else it was ended because it has taken too long
            raise

    def _ask(self, question: Question, progress: Progress) -> Outcome:
        shortcut = self.shortcuts.get(type(question))
        if shortcut is not None and shortcut.fits(question):
            with self._quick.connection() as connection:
                answer = shortcut.answer(self._asking(connection, progress), question)
            if answer is not None:
                return answer
        is_long = REQUESTS[type(question)].cost is Cost.LONG
        with self.snapshot() if is_long else self._readers.snapshot() as connection:
            if isinstance(question.actor, Speaker):
                access.assert_not_revoked(connection, question.actor)
            return self.answers[type(question)](self._asking(connection, progress), question)

    def _asking(self, connection: Connection, progress: Progress) -> Asking:
        return Asking(connection, self._database, self._settings, self._clock(), progress)

    def _answer_after_all(self, question: Question, progress: Progress, error: DBAPIError) -> Outcome:
        if not self._is_passing(error):
            raise error
        self.renew()
        try:
            return self.ask(question, progress)
        except DBAPIError as second:
            if not self._is_passing(second):
                raise
            message = "HQ's database does not answer now; ask again later."
            raise RequestError(ErrorCode.busy, message, retry_after_ms=STORAGE_RETRY_MS) from second

    def _is_passing(self, error: Exception) -> bool:
        return self._database.classify_error(error, committing=False) not in (ErrorClass.WORK_FAILED, ErrorClass.FATAL)
