"""Copies a ledger into another database, and checks that two ledgers are equal.

Tables are read in key order, which is the same on every database, so equal tables have equal digests. Rows are digested
as MessagePack, which has one encoding for each value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, func, select
from sqlalchemy.exc import DBAPIError

from inventory_server.config import COPY_ROWS, PARTITION_POSITIONS, PARTITIONS_AHEAD
from inventory_server.domain.answers import Comparison, Content, Pair
from inventory_server.domain.door import Progress, ProgressCounter, no_progress
from inventory_server.store.admin.move import assert_not_moved
from inventory_server.store.database import partitions, schema
from inventory_server.store.database.base import Database, StoreError, said_by
from inventory_server.store.database.snapshot import snapshot
from inventory_server.store.database.url import lasting
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of, new_stamp
from inventory_server.store.ledger.sql import Insert, pages

_encode = msgspec.msgpack.Encoder().encode


def copy(
    source_database: Database, database: Database, connection: Connection, progress: Progress = no_progress
) -> Comparison:
    """Copy a ledger into the empty one of `database`, in the transaction on `connection`, and compare the two.

    Both are locked against other writers. StoreError if that is not possible, if the target is not empty or if the
    copy differs; the caller then rolls back. `progress` counts rows.
    """
    database.hold(connection)
    target = _Side(database, connection)
    with _held(source_database, lasting(database)) as source:
        _assert_empty(target)
        target.make_room_for(source)
        count = ProgressCounter(progress, 2 * source.rows())
        read = {table: _copy_table(table, source, target, count) for table in t.metadata.sorted_tables}
        target.gather_statistics()
        pairs = [Pair(str(table.name), content, target.content(table, count)) for table, content in read.items()]
        comparison = Comparison(source.shown, target.shown, pairs)
        if not comparison.is_equal:
            wrong = ", ".join(pair.table for pair in pairs if not pair.is_equal)
            raise StoreError(
                f"{target.shown} does not return what was written to it ({wrong}); the copy was rolled back."
            )
        return comparison


def compare(
    database: Database, connection: Connection, other_database: Database, progress: Progress = no_progress
) -> Comparison:
    """Compare the ledger on `connection` with another one, whether or not servers are running on them.

    `progress` counts rows.
    """
    with snapshot(other_database) as other_connection:
        one, other = _Side(database, connection), _Side(other_database, other_connection)
        count = ProgressCounter(progress, one.rows() + other.rows())
        pairs = [
            Pair(str(table.name), one.content(table, count), other.content(table, count))
            for table in t.metadata.sorted_tables
        ]
        return Comparison(one.shown, other.shown, pairs)


class _Digest:
    def __init__(self) -> None:
        self._rows = 0
        self._sha256 = hashlib.sha256()

    def add(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows += len(rows)
        self._sha256.update(b"".join(map(_encode, rows)))

    def content(self) -> Content:
        return Content(self._rows, self._sha256.hexdigest())


class _Side:
    """One of two ledgers open at the same time; its errors name it, not the other."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self.connection = connection
        self.shown = database.shown
        self._database = database

    def rows(self) -> int:
        """The number of rows in all tables."""
        counts = (select(func.count()).select_from(table) for table in t.metadata.sorted_tables)
        with self._database.explained():
            return sum(self.connection.execute(count).scalar_one() for count in counts)

    def pages(self, table: Table) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a table in key order, at most `COPY_ROWS` at a time."""
        with self._database.explained():
            yield from pages(self.connection, _columns(table), list(table.primary_key.columns), COPY_ROWS)

    def content(self, table: Table, count: ProgressCounter) -> Content:
        """The row count and digest of a table."""
        digest = _Digest()
        for page in self.pages(table):
            digest.add(page)
            count(len(page))
        return digest.content()

    def make_room_for(self, source: _Side) -> None:
        """Create the partitions for what will be copied, on a database with partitions."""
        with self._database.explained():
            if self._database.has_partitions:
                upto = head_of(source.connection).position
                partitions.extend(self.connection, PARTITIONS_AHEAD, PARTITION_POSITIONS, upto)

    def gather_statistics(self) -> None:
        """Have the database plan its questions for what was copied, not for the empty tables of before."""
        with self._database.explained():
            self._database.gather_statistics(self.connection)


@contextmanager
def _held(database: Database, to: str) -> Iterator[_Side]:
    """A ledger locked against other writers while the block runs; it was not moved, but to the URL `to`."""
    database.assert_exists()
    with database.explained(), database.writer(), ExitStack() as opened:
        writing = database.writing_engine()
        opened.callback(writing.dispose)
        with writing.begin() as connection:
            schema.assert_schema(connection, database)
            database.hold(connection)
            assert_not_moved(connection, database, to)
            yield _Side(database, connection)


def _assert_empty(target: _Side) -> None:
    """The one row of an empty `ledger` stands at position 0; all other tables have none.

    What administrators did to the empty ledger, such as making partitions, gives way to the trail of the source.
    """
    target.connection.execute(t.audit.delete())
    for table in t.metadata.sorted_tables:
        found = select(table).limit(1)
        if table is t.ledger:
            found = found.where(t.ledger.c.position > 0)
        if target.connection.execute(found).first() is not None:
            raise StoreError(
                f"{target.shown} holds a ledger already (there is something in {table.name}); name an empty one, "
                "or see how it differs with: inventory-server db compare"
            )


def _columns(table: Table) -> list[Any]:
    """All columns but those about the database itself: the stamp that tells writers of changes, the mark of a move."""
    return [column for column in table.columns if column is not t.ledger.c.stamp and column is not t.ledger.c.moved_to]


def _copy_table(table: Table, source: _Side, target: _Side, count: ProgressCounter) -> Content:
    """Copy the rows of a table; return the row count and digest of the source."""
    digest, insert = _Digest(), Insert(table)
    for page in source.pages(table):
        if table is t.ledger:
            names = [column.name for column in _columns(table)]
            change = dict(zip(names, page[0], strict=True)) | {"stamp": new_stamp()}
            target.connection.execute(t.ledger.update().values(change))
        else:
            _insert(insert, page, source, target)
        digest.add(page)
        count(len(page))
    return digest.content()


def _insert(insert: Insert, page: list[tuple[Any, ...]], source: _Side, target: _Side) -> None:
    try:
        insert(target.connection, page)
    except DBAPIError as error:
        if not isinstance(error.orig, target.connection.dialect.loaded_dbapi.DataError):
            raise
        raise StoreError(
            f"{source.shown} has a value that {target.shown} cannot store ({said_by(error)}); "
            "find it with: inventory-server verify"
        ) from error
