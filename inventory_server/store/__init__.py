"""The store, the only place that uses SQLAlchemy. `open_store` opens a ledger; `open_reader` opens it read-only."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack, closing

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from inventory_server.clock import Clock
from inventory_server.config import OPENING_ATTEMPTS, RETRY_FIRST_SECONDS, Settings
from inventory_server.domain.door import (
    IsWanted,
    OnOutcome,
    Outcome,
    OutcomeUnknown,
    Pending,
    Progress,
    SharedTurn,
    always,
    no_progress,
)
from inventory_server.domain.metrics import WriterCounters
from inventory_server.domain.requests import REQUESTS, Change, Question, assert_allowed
from inventory_server.store.admin.move import assert_not_moved
from inventory_server.store.administration import Administration, Settled
from inventory_server.store.database import schema
from inventory_server.store.database.backup import assert_restorable, back_up, file_url, restore
from inventory_server.store.database.base import Database, ErrorClass, StoreError, StoreInUse
from inventory_server.store.database.url import database_key, database_of, lasting, shown, sqlite_path
from inventory_server.store.dispatch import ANSWERS, SHORTCUTS
from inventory_server.store.query.service import QueryService, time_limit_by_cost, time_limit_of
from inventory_server.store.query.standby import FallbackReader
from inventory_server.store.write.judge import CommitJudge
from inventory_server.store.write.writer import Writer
from pos_client.protocol.errors import RequestError

log = logging.getLogger("tillwire.store")

__all__ = [
    "LedgerReader",
    "LedgerStore",
    "OutcomeUnknown",
    "StoreError",
    "StoreInUse",
    "assert_restorable",
    "back_up",
    "database_key",
    "file_url",
    "lasting_url",
    "open_reader",
    "open_store",
    "restore",
    "shown",
    "sqlite_path",
    "upgrade",
]


class LedgerReader:
    """A ledger opened read-only, whether or not servers are running on it."""

    def __init__(self, url: str, settings: Settings, clock: Clock) -> None:
        self._database = database = database_of(url)
        self._settings = settings
        database.assert_exists()
        with database.explained(), ExitStack() as opened:
            self._queries = _opened_queries(database, settings, clock, opened)
            with self._queries.snapshot() as connection:
                schema.assert_schema(connection, database)
            self._opened = opened.pop_all()

    def __enter__(self) -> LedgerReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, question: Question, progress: Progress = no_progress) -> Outcome:
        """The answer to a question; RequestError or StoreError where there is none."""
        assert_allowed(question)
        with self._database.explained():
            return self._queries.ask(question, progress)

    def answer(self, question: Question, is_wanted: IsWanted = always) -> Outcome:
        """As `ask`, for a process that stays: a database that has closed idle connections is asked once more.

        Whoever asks, it ends after `question_seconds`, unless it reads most of the ledger.
        """
        assert_allowed(question)
        with self._database.explained(), time_limit_by_cost(question, self._settings, is_wanted):
            return self._queries.answer(question)

    def close(self) -> None:
        """Close the database."""
        self._opened.close()


class LedgerStore:
    """A ledger open for queries and changes: one writer thread, several reading connections."""

    def __init__(
        self,
        url: str,
        settings: Settings,
        clock: Clock,
        on_fatal: Callable[[Exception], None] | None,
        read_url: str | None,
        even_if_moved: bool,
        turn: SharedTurn | None,
        preload: bool,
    ) -> None:
        self._database = database = database_of(url)
        database.assert_exists()
        if database.path is None:
            turn = None  # a database server computes elsewhere: nobody here has to wait for that
        with ExitStack() as opened, database.explained():
            opened.enter_context(database.writer())
            writing = database.writing_engine()
            opened.callback(writing.dispose)
            primary = _opened_queries(database, settings, clock, opened)
            self._settings = settings
            self._queries: QueryService | FallbackReader = primary
            with writing.connect() as connection:
                weakness = database.assert_settings(connection)
                schema.assert_schema(connection, database)
                if not even_if_moved:
                    assert_not_moved(connection, database)
                _assert_durable(weakness, settings)
            _assert_writable(database, writing)
            if read_url is not None:
                standby = FallbackReader(database_of(read_url), settings, clock, primary)
                self._queries = opened.enter_context(closing(standby))
                standby.start()
            judge = CommitJudge(settings, clock)
            self._writer = Writer(writing, database, judge, settings, on_fatal, turn)
            self._administration = Administration(database, self._writer, judge, primary, clock)
            if preload and database.path is not None:  # on a database server other processes change it soon
                with writing.begin() as connection:
                    judge.preload(connection)
            self._writer.start()
            self._opened = opened.pop_all()

    def ask(self, question: Question, progress: Progress = no_progress, is_wanted: IsWanted = always) -> Outcome:
        """The answer to a question; RequestError for what the protocol has a name for.

        That of a terminal ends after `question_seconds`, or once it `is_wanted` no more.
        """
        assert_allowed(question)
        try:
            with time_limit_of(question, self._settings, is_wanted):
                return self._queries.answer(question, progress)
        except DBAPIError:
            with self._database.explained():
                raise

    @property
    def counters(self) -> WriterCounters:
        """What the writer has done since the store was opened."""
        return self._writer.counters

    def submit(self, change: Change, then: OnOutcome | None = None, progress: Progress = no_progress) -> Pending:
        """Submit `change`; its outcome is available once it is durable.

        `then`, if given, is called once, on the thread that committed or refused it; without it, an immediate refusal
        is raised. A change of many transactions runs on the calling thread.
        """
        assert_allowed(change)
        if not REQUESTS[type(change)].is_grouped:
            return self._administration.carry_out(change, then, progress)  # type: ignore[arg-type]
        try:
            return self._writer.submit(change, then)  # type: ignore[arg-type]
        except (RequestError, OutcomeUnknown) as error:
            if then is None:
                raise
            then(None, error)
            return Settled(None, error)

    def close(self) -> None:
        """Commit what is queued, then close the database."""
        self._writer.close()
        self._opened.close()


def open_reader(url: str, settings: Settings, clock: Clock) -> LedgerReader:
    """Open a ledger read-only; StoreError with the reason and the remedy if that fails."""
    return LedgerReader(url, settings, clock)


def open_store(
    url: str,
    settings: Settings,
    clock: Clock,
    on_fatal: Callable[[Exception], None] | None = None,
    read_url: str | None = None,
    even_if_moved: bool = False,
    turn: SharedTurn | None = None,
    preload: bool = False,
) -> LedgerStore:
    """Open a ledger for posting; StoreError with the reason and the remedy if that fails, or if it was moved.

    `on_fatal` is called once, by the thread that commits, when the store can no longer be trusted. Queries are answered
    from the standby `read_url`, which may lag a little, while it is available. The writer computes in `turn`; whoever
    hands in a few live frames in it commits them, too, where commits are swift. With `preload` the writer finds levels
    and catalogue in memory from the first sale on.
    """
    return LedgerStore(url, settings, clock, on_fatal, read_url, even_if_moved, turn, preload)


def _opened_queries(database: Database, settings: Settings, clock: Clock, opened: ExitStack) -> QueryService:
    engine = database.reading_engine()
    opened.callback(engine.dispose)
    return opened.enter_context(closing(QueryService(database, engine.connect, settings, clock, ANSWERS, SHORTCUTS)))


def _assert_durable(weakness: str | None, settings: Settings) -> None:
    if weakness is None:
        return
    if not settings.accept_weak_durability:
        raise StoreError(f"{weakness}; correct that, or set accept_weak_durability for a trial.")
    log.warning("event=weak_durability %s", weakness)


def _assert_writable(database: Database, writing: Engine) -> None:
    """StoreError at once for what would be refused at the first posting; servers may be committing meanwhile."""
    for attempt in range(1, OPENING_ATTEMPTS + 1):
        try:
            with writing.connect() as connection:
                schema.assert_writable(connection)
        except DBAPIError as error:
            is_passing = database.classify_error(error, committing=False) is ErrorClass.RETRY
            if not is_passing or attempt == OPENING_ATTEMPTS:
                raise
            time.sleep(RETRY_FIRST_SECONDS)
        else:
            return


def lasting_url(url: str) -> str:
    """`url` without a password, valid in every folder."""
    return lasting(database_of(url))


def upgrade(url: str) -> None:
    """Create the database, or migrate its schema to this version; StoreInUse if a server is running on it.

    On PostgreSQL, a server that starts at the same moment or whose URL names its connections is not detected.
    """
    database = database_of(url)
    with database.explained(), database.writer(), ExitStack() as opened:
        database.make(lambda connection: schema.upgrade_schema(connection, database))
        writing = database.writing_engine()
        opened.callback(writing.dispose)
        with writing.begin() as connection:
            database.assert_settings(connection)
            schema.upgrade_schema(connection, database)
