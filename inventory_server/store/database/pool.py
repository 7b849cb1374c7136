"""Reading connections that stay open: a question takes one, asks within one snapshot and gives it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


class ConnectionPool:
    """At most `count` connections, each made by `connect` when it is first needed.

    SQLAlchemy's pool hands a connection over under a condition variable and resets it each time; with 64 askers
    that took longer than the questions. The queue of CPython waits and wakes in C.
    """

    def __init__(self, connect: Callable[[], Connection], count: int) -> None:
        self._connect = connect
        self._count = count
        self._idle: SimpleQueue[Connection | None] = SimpleQueue()
        for _ in range(self._count):
            self._idle.put(None)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection in no transaction, for one statement; one that met an error is not used again."""
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
        """A connection that sees one state of the ledger until the block ends."""
        with self.connection() as connection, connection.begin() as transaction:
            yield connection
            transaction.rollback()

    def renew(self) -> None:
        """Close the connections that nobody uses now; new ones take their places."""
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
        """Close every connection, once each has been given back."""
        for _ in range(self._count):
            connection = self._idle.get()
            if connection is not None:
                connection.close()
