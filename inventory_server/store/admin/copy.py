"""A ledger moved into another database, and the proof that two ledgers are equal.

Tables are read in the order of their keys, which every database sorts alike, so that a digest over the rows of a
table is the same wherever the same is in it. A row is digested as MessagePack: one encoding for each value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, Table, func, select, tuple_
from sqlalchemy.exc import DBAPIError

from inventory_server.config import PARTITION_POSITIONS, PARTITIONS_AHEAD
from inventory_server.store.database import partitions, schema
from inventory_server.store.database.base import Database, StoreError
from inventory_server.store.database.snapshot import snapshot
from inventory_server.store.database.url import database_of
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of, new_stamp
from inventory_server.store.ledger.sql import Insert, plain_rows

Progress = Callable[[int, int], None]
"""Called with (rows done, rows to do)."""

ROWS_AT_ONCE = 2_000
"""Rows read, written and digested at a time: what bounds the memory."""
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Content:
    """What a table holds: the number of its rows, and the SHA-256 of them in the order of their keys."""

    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Pair:
    """The same table of two ledgers."""

    table: str
    one: Content
    other: Content

    @property
    def is_equal(self) -> bool:
        """True where both hold the same rows."""
        return self.one == self.other


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two ledgers, named as people may see them, table by table."""

    one: str
    other: str
    pairs: list[Pair]

    @property
    def is_equal(self) -> bool:
        """True where every table holds the same rows."""
        return all(pair.is_equal for pair in self.pairs)


def copy(source_url: str, target_url: str, progress: Progress | None = None) -> Comparison:
    """Copy the ledger of one database into the empty ledger of another, and compare them before that is committed.

    Nobody else can post to either meanwhile. StoreError where that cannot be had, where the target is not empty,
    or where it does not hold the same in the end; then it is as empty as before.
    """
    with _held(database_of(source_url)) as source, _held(database_of(target_url)) as target:
        _assert_empty(target)
        target.make_room_for(source)
        count = _Counter(progress, 2 * source.rows())
        pairs = []
        for table in t.metadata.sorted_tables:
            read = _copy_table(table, source, target, count)
            pairs.append(Pair(str(table.name), read, target.content(table, count)))
        comparison = Comparison(source.shown, target.shown, pairs)
        if not comparison.is_equal:
            wrong = ", ".join(pair.table for pair in pairs if not pair.is_equal)
            raise StoreError(f"{target.shown} does not give back what was written to it ({wrong}); it keeps nothing.")
        return comparison


def compare(one_url: str, other_url: str, progress: Progress | None = None) -> Comparison:
    """Compare two ledgers, each in one snapshot, whether or not servers are running on them."""
    first, second = database_of(one_url), database_of(other_url)
    with snapshot(first) as one_connection, snapshot(second) as other_connection:
        one, other = _Side(first, one_connection), _Side(second, other_connection)
        count = _Counter(progress, one.rows() + other.rows())
        pairs = [
            Pair(str(table.name), one.content(table, count), other.content(table, count))
            for table in t.metadata.sorted_tables
        ]
        return Comparison(one.shown, other.shown, pairs)


class _Counter:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._done = 0
        self._total = total

    def __call__(self, rows: int) -> None:
        self._done += rows
        if self._progress is not None:
            self._progress(self._done, self._total)


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
    """One of two ledgers that are open at the same time: its complaints name it and not the other one."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self.connection = connection
        self.shown = database.shown
        self._explained = database.explained

    def rows(self) -> int:
        """The rows of all tables."""
        counts = (select(func.count()).select_from(table) for table in t.metadata.sorted_tables)
        with self._explained():
            return sum(self.connection.execute(count).scalar_one() for count in counts)

    def pages(self, table: Table) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a table in the order of its key, some at a time."""
        columns, keys = _columns(table), list(table.primary_key.columns)
        places = [columns.index(key) for key in keys]
        statement = select(*columns).order_by(*keys).limit(ROWS_AT_ONCE)
        page = self._read(statement)
        while page:
            yield page
            after = tuple(page[-1][place] for place in places)
            page = self._read(statement.where(tuple_(*keys) > after))

    def content(self, table: Table, count: _Counter) -> Content:
        """What a table holds."""
        digest = _Digest()
        for page in self.pages(table):
            digest.add(page)
            count(len(page))
        return digest.content()

    def make_room_for(self, source: _Side) -> None:
        """Have partitions, where there are any, for all that will come."""
        with self._explained():
            if partitions.is_partitioned(self.connection):
                upto = head_of(source.connection).position
                partitions.extend(self.connection, PARTITIONS_AHEAD, PARTITION_POSITIONS, upto)

    def _read(self, statement: Select[Any]) -> list[tuple[Any, ...]]:
        with self._explained():
            return plain_rows(self.connection, statement)


@contextmanager
def _held(database: Database) -> Iterator[_Side]:
    """A ledger that nobody else writes to; what was written is committed where the block ends well."""
    database.assert_exists()
    with database.explained(), database.writer(), ExitStack() as opened:
        writing = database.writing_engine()
        opened.callback(writing.dispose)
        with writing.begin() as connection:
            schema.assert_schema(connection, database)
            database.hold(connection)
            yield _Side(database, connection)


def _assert_empty(target: _Side) -> None:
    """The one row of an empty `ledger` stands at position 0; all other tables have none."""
    for table in t.metadata.sorted_tables:
        found = select(table).limit(1)
        if table is t.ledger:
            found = found.where(t.ledger.c.position > 0)
        if target.connection.execute(found).first() is not None:
            raise StoreError(
                f"{target.shown} holds a ledger already (there is something in {table.name}); name a database in which "
                "nothing has happened yet, or see what it lacks with: inventory-server db compare"
            )


def _columns(table: Table) -> list[Any]:
    """All columns but the stamp, which says nothing: writers only look whether it is still the same."""
    return [column for column in table.columns if column is not t.ledger.c.stamp]


def _copy_table(table: Table, source: _Side, target: _Side, count: _Counter) -> Content:
    """Copy the rows of a table; what is returned was read from the source."""
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
        said = " ".join(str(error.orig).split())[:200]
        raise StoreError(
            f"{source.shown} holds what {target.shown} cannot ({said}); find it with: inventory-server verify"
        ) from error
