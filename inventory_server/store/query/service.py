"""Questions and their answers: from one database, each question in one snapshot of the ledger."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Engine, select, union_all
from sqlalchemy.exc import DBAPIError

from inventory_server.config import STORAGE_RETRY_MS, Settings
from inventory_server.domain.requests import History, Outcome, Question, Stock
from inventory_server.store.database.base import QUICK_READERS, READERS_MAX, Database, ErrorClass
from inventory_server.store.database.pool import ConnectionPool
from inventory_server.store.ledger import access
from inventory_server.store.ledger import tables as t
from inventory_server.store.query import history, stock, stock_now
from pos_client.protocol.errors import ErrorCode, RequestError


class QueryService:
    """Answers from a database, by the connections of `engine`; for many threads at once."""

    def __init__(self, database: Database, engine: Engine, settings: Settings, clock: Callable[[], int]) -> None:
        self._database = database
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._quick = ConnectionPool(self._connect, QUICK_READERS)
        self._readers = ConnectionPool(self._connect, READERS_MAX - QUICK_READERS)

    @property
    def shown(self) -> str:
        """How people are told of the database."""
        return self._database.shown

    def close(self) -> None:
        """Let go of the database, once every question has been answered."""
        self._quick.close()
        self._readers.close()
        self._engine.dispose()

    def id_at(self, position: int) -> bytes | None:
        """The id of the posting at `position`, None where there is none; StoreError where that cannot be read."""
        with self._database.explained(), self._readers.snapshot() as connection:
            ids = [select(table.c.id).where(table.c.position == position) for table in (t.posting, t.archived)]
            id_: bytes | None = connection.scalar(union_all(*ids))
            return id_

    def answer(self, work: Question) -> Outcome:
        """The answer to a question; RequestError for what the protocol has a name for."""
        try:
            return self._ask(work)
        except DBAPIError as error:
            return self._answer_after_all(work, error)

    def _connect(self) -> Connection:
        return self._engine.connect()

    def _ask(self, work: Question) -> Outcome:
        if isinstance(work, Stock) and stock_now.is_everyday(work):
            with self._quick.connection() as connection:
                answer = stock_now.ask(connection, self._settings, self._clock(), work)
            if answer is not None:
                return answer
        with self._readers.snapshot() as connection:
            if work.speaker is not None:
                access.assert_not_revoked(connection, work.speaker)
            if isinstance(work, Stock):
                return stock.stock(connection, self._settings, self._clock(), work)
            if isinstance(work, History):
                return history.history(connection, self._settings, work)
            return history.find_posting(connection, work)

    def _answer_after_all(self, work: Question, error: DBAPIError) -> Outcome:
        """The database may have hung up since the last question: ask again on new connections, once."""
        if not self._is_passing(error):
            raise error
        self._renew()
        try:
            return self._ask(work)
        except DBAPIError as second:
            if not self._is_passing(second):
                raise
            message = "HQ's database does not answer now; ask again later."
            raise RequestError(ErrorCode.busy, message, retry_after_ms=STORAGE_RETRY_MS) from second

    def _renew(self) -> None:
        self._quick.renew()
        self._readers.renew()

    def _is_passing(self, error: Exception) -> bool:
        return self._database.verdict(error, committing=False) not in (ErrorClass.WORK_FAILED, ErrorClass.FATAL)
