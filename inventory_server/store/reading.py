"""Questions and their answers: from one database, each question in one snapshot of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from inventory_server.config import Settings
from inventory_server.store import everyday, history, schema, speakers, stock
from inventory_server.store import tables as t
from inventory_server.store.database import QUICK_READERS, READERS_MAX, Database, StoreError, Verdict
from inventory_server.store.readers import Readers
from inventory_server.store.writer import STORAGE_RETRY_MS
from inventory_server.work import History, Outcome, Read, Stock
from pos_client.errors import ErrorCode, RequestError


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """One state of a ledger, whether or not a server is running on it; StoreError where it cannot be read."""
    database.assert_exists()
    with database.explained(), ExitStack() as opened:
        reading = database.reading_engine()
        opened.callback(reading.dispose)
        with reading.begin() as connection:
            schema.assert_schema(connection, database)
            yield connection


class Reading:
    """Answers from a database that `Readers` connect to; for many threads at once."""

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], int]) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._engine = database.reading_engine()
        self._quick = Readers(self._engine, QUICK_READERS)
        self._readers = Readers(self._engine, READERS_MAX - QUICK_READERS)

    def close(self) -> None:
        """Let go of the database, once every question has been answered."""
        self._quick.close()
        self._readers.close()
        self._engine.dispose()

    def assert_same_ledger(self, primary: Connection, primary_name: str) -> None:
        """StoreError where this is not the ledger of `primary`, or an older state of it."""
        with self._database.explained(), self._readers.snapshot() as connection:
            schema.assert_schema(connection, self._database)
            newest = select(t.posting.c.position, t.posting.c.id).order_by(t.posting.c.position.desc()).limit(1)
            last = connection.execute(newest).first()
        if last is None:
            return
        known = {
            primary.execute(select(table.c.id).where(table.c.position == last.position)).scalar()
            for table in (t.posting, t.archived)
        }
        if last.id not in known:
            raise StoreError(
                f"{self._database.shown} does not hold the ledger of {primary_name}: its entry {last.position:,} is"
                " another one; name a standby of that very database."
            )

    def answer(self, work: Read) -> Outcome:
        """The answer to a question; RequestError for what the protocol has a name for."""
        try:
            return self._answer(work)
        except DBAPIError as error:
            return self._answer_after_all(work, error)

    def _answer(self, work: Read) -> Outcome:
        if isinstance(work, Stock) and everyday.is_everyday(work):
            with self._quick.connection() as connection:
                answer = everyday.ask(connection, self._settings, self._clock(), work)
            if answer is not None:
                return answer
        with self._readers.snapshot() as connection:
            if work.speaker is not None:
                speakers.assert_not_revoked(connection, work.speaker)
            if isinstance(work, Stock):
                return stock.stock(connection, self._settings, self._clock(), work)
            if isinstance(work, History):
                return history.history(connection, self._settings, work)
            return history.find_posting(connection, work)

    def _answer_after_all(self, work: Read, error: DBAPIError) -> Outcome:
        """The database may have hung up since the last question: ask again on new connections, once."""
        if not self._is_passing(error):
            raise error
        self._quick.renew()
        self._readers.renew()
        try:
            return self._answer(work)
        except DBAPIError as second:
            if not self._is_passing(second):
                raise
            message = "HQ's database does not answer now; ask again later."
            raise RequestError(ErrorCode.busy, message, retry_after_ms=STORAGE_RETRY_MS) from second

    def _is_passing(self, error: Exception) -> bool:
        return self._database.verdict(error, committing=False) not in (Verdict.OTHER, Verdict.UNTRUSTED)
