"""Connection pool for reading: bounded, and its connections stay open between questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


class ConnectionPool:
    """At most `count` connections, each opened by `connect` when it is first needed.

    SQLAlchemy's pool hands connections over under a condition variable and resets each one; with 64 threads that took
    longer than the questions. CPython's `SimpleQueue` waits and wakes in C.
    """

    def __init__(self, connect: Callable[[], Connection], count: int) -> None:
        self._connect = connect
        self._count = count
        self._idle: SimpleQueue[Connection | None] = SimpleQueue()
        for _ in range(self._count):
            self._idle.put(None)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection without a transaction, for a single statement; one that failed is closed, not reused."""
        connection = self._idle.get()
        try:
            if connection is None:
                connection = self._connect()
            yield connection
        except DBAPIError:
            if connection is not None:
                connection.invalidate()
                connection.close()
                connection = None
            raise
        finally:
            self._idle.put(connection)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection in a transaction that reads one snapshot of the ledger."""
        with self.connection() as connection, connection.begin() as transaction:
            yield connection
            transaction.rollback()

    def renew(self) -> None:
        """Close idle connections; new ones are opened when needed."""
        for _ in range(self._count):
            try:
                connection = self._idle.get_nowait()
            except Empty:
                return
            if connection is not None:
                connection.invalidate()
                connection.close()
            self._idle.put(None)

    def close(self) -> None:
        """Close every connection; waits until all have been returned."""
        for _ in range(self._count):
            connection = self._idle.get()
            if connection is not None:
                connection.close()
