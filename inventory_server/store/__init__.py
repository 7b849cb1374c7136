"""The store: the only place that knows SQLAlchemy. Its door is `open_store`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar

from sqlalchemy import Connection

from inventory_server.clock import Clock
from inventory_server.config import Settings
from inventory_server.domain.requests import (
    Change,
    FindPosting,
    History,
    OnOutcome,
    Outcome,
    OutcomeUnknown,
    Stock,
    StoreRequest,
)
from inventory_server.store.database import schema
from inventory_server.store.database.base import StoreError, StoreInUse
from inventory_server.store.database.snapshot import snapshot
from inventory_server.store.database.url import database_of, shown, sqlite_path
from inventory_server.store.query.service import QueryService
from inventory_server.store.query.standby import FallbackReader
from inventory_server.store.write.judge import CommitJudge
from inventory_server.store.write.writer import Writer
from pos_client.protocol.errors import RequestError

log = logging.getLogger("tillwire.store")
R = TypeVar("R", bound=QueryService)

__all__ = [
    "Connection",
    "OutcomeUnknown",
    "Store",
    "StoreError",
    "StoreInUse",
    "open_store",
    "read_store",
    "shown",
    "sqlite_path",
    "upgrade",
]


class Store:
    """A ledger open for posting: one writer thread, several readers."""

    def __init__(
        self,
        url: str,
        settings: Settings,
        clock: Clock,
        on_fatal: Callable[[Exception], None] | None,
        read_url: str | None,
    ) -> None:
        self._database = database = database_of(url)
        database.assert_exists()
        with ExitStack() as opened, database.explained():
            opened.enter_context(database.writer())
            writing = database.writing_engine()
            opened.callback(writing.dispose)
            primary = _opened(QueryService(database, database.reading_engine(), settings, clock), opened)
            self._reading = primary
            with writing.connect() as connection:
                _assert_durable(database.assert_settings(connection), settings)
                schema.assert_schema(connection, database)
                schema.assert_writable(connection)
            if read_url is not None:
                self._reading = standby = _opened(
                    FallbackReader(database_of(read_url), settings, clock, primary), opened
                )
                standby.start()
            self._writer = Writer(writing, database, CommitJudge(settings, clock), settings, on_fatal)
            self._writer.start()
            self._opened = opened.pop_all()

    def perform(self, work: StoreRequest) -> Outcome:
        """Carry out one piece of work and return its outcome; writes only once they are durable.

        Raises RequestError for what the protocol has a name for, OutcomeUnknown where nothing may be answered.
        """
        if isinstance(work, (Stock, History, FindPosting)):
            return self._reading.answer(work)
        outcome: Outcome = self._writer.perform(work)
        return outcome

    def submit(self, work: Change, then: OnOutcome) -> None:
        """Carry out `work`; call `then` once, on the writer's thread or, where it is refused at once, on this one."""
        try:
            self._writer.submit(work, then)
        except (RequestError, OutcomeUnknown) as error:
            then(None, error)

    def administer(self, job: Callable[[Connection], Any]) -> Any:
        """Run `job` in a writing transaction of its own, between two commits of postings."""
        with self._database.explained():
            return self._writer.perform(job)

    def close(self) -> None:
        """Commit what waits, then let go of the database."""
        self._writer.close()
        self._opened.close()


def open_store(
    url: str,
    settings: Settings,
    clock: Clock,
    on_fatal: Callable[[Exception], None] | None = None,
    read_url: str | None = None,
) -> Store:
    """Open a ledger for posting; StoreError says in one sentence what is wrong with it, and what to do.

    `on_fatal` is called once, by the writer's thread, when the store can no longer be trusted. Questions are answered
    from the database of `read_url`, a standby that may be a little behind, while it is well.
    """
    return Store(url, settings, clock, on_fatal, read_url)


def _opened(reading: R, opened: ExitStack) -> R:
    opened.callback(reading.close)
    return reading


def _assert_durable(weakness: str | None, settings: Settings) -> None:
    if weakness is None:
        return
    if not settings.accept_weak_durability:
        raise StoreError(f"{weakness}; set that right, or set accept_weak_durability where nothing is at stake.")
    log.warning("event=weak_durability %s", weakness)


def read_store(url: str, question: Callable[[Connection], Any]) -> Any:
    """Ask a ledger something, in one snapshot, whether or not a server is running on it."""
    with snapshot(database_of(url)) as connection:
        return question(connection)


def upgrade(url: str) -> None:
    """Make the database, or bring its schema to what this program needs; StoreInUse where a server is seen on it.

    On PostgreSQL none is seen that starts at the same moment, or whose URL gives its connections a name.
    """
    database = database_of(url)
    with database.explained(), database.writer(), ExitStack() as opened:
        database.make()
        writing = database.writing_engine()
        opened.callback(writing.dispose)
        with writing.begin() as connection:
            database.assert_settings(connection)
            schema.upgrade_schema(connection, database)
