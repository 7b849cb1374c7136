"""Listing and creating the partitions of a PostgreSQL ledger, while servers run on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from sqlalchemy import Connection, select, text

from inventory_server.config import PARTITION_RETRY_SECONDS
from inventory_server.domain.answers import Part
from inventory_server.store.database import partitions, schema
from inventory_server.store.database.base import Database, StoreError
from inventory_server.store.database.partitions import Partition
from inventory_server.store.database.transactions import Transactions
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import Head, head_of

_SIZES = """
    SELECT relname, pg_total_relation_size(oid), greatest(reltuples, 0)::bigint FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(:tables)
"""


def parts(database: Database, connection: Connection) -> list[Part]:
    """All partitions by position; StoreError if the ledger has none."""
    assert_partitioned(database)
    found, head = partitions.partitions(connection), head_of(connection)
    names = [each.name(table.name) for each in found for table in partitions.PARTITIONED]
    sizes = {name: (size, rows) for name, size, rows in connection.execute(text(_SIZES), {"tables": names})}
    return [_part(connection, each, head, sizes) for each in found]


def _part(connection: Connection, one: Partition, head: Head, sizes: dict[str, tuple[int, int]]) -> Part:
    first, last = max(one.first, head.archived_position + 1), None if one.end is None else one.end - 1
    filled = head.position if last is None else min(head.position, last)
    movements, postings = sizes[one.name(t.movement.name)], sizes[one.name(t.posting.name)]
    recorded = [_recorded_at(connection, position) for position in (first, filled) if first <= filled]
    return Part(
        one.first,
        last,
        max(0, filled - first + 1),
        movements[1],
        movements[0] + postings[0],
        *(recorded or (None, None)),
    )


def _recorded_at(connection: Connection, position: int) -> int:
    recorded = select(t.posting.c.recorded_at).where(t.posting.c.position == position)
    return int(connection.execute(recorded).scalar_one())


def make(database: Database, ahead: int, positions: int, finished: Callable[[Connection], None]) -> int:
    """Have `ahead` empty partitions of `positions` each in front of the ledger; return how many were made.

    `finished` is called in the same transaction.
    StoreError if the ledger has no partitions, or the exclusive lock is not available in time.
    """

    def extend(connection: Connection) -> int:
        made = partitions.extend(connection, ahead, positions)
        finished(connection)
        return len(made)

    with changing(database) as changes:
        return int(changes.alone(extend))


class MaintenanceTransactions:
    """Transactions that change a ledger's partitions; each is retried while the tables are locked."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database = database
        self._transactions = transactions

    def alone(self, job: Callable[[Connection], Any]) -> Any:
        """Run `job` with all postings blocked; return its result."""

        def held(connection: Connection) -> Any:
            self._database.hold(connection)
            return job(connection)

        return self.aside(held)

    def aside(self, job: Callable[[Connection], Any]) -> Any:
        """Run `job` while postings go on; return its result. OutcomeUnknown if it may be committed."""
        return self._transactions.run(job)


@contextmanager
def changing(database: Database) -> Iterator[MaintenanceTransactions]:
    """Open a ledger for changing its partitions; StoreError if it has none."""
    assert_partitioned(database)
    with database.explained(), ExitStack() as opened:
        writing = database.writing_engine()
        opened.callback(writing.dispose)
        transactions = Transactions(writing, database, lambda: None, PARTITION_RETRY_SECONDS)
        opened.callback(transactions.close)
        with writing.connect() as connection:
            schema.assert_schema(connection, database)
        yield MaintenanceTransactions(database, transactions)


def assert_partitioned(database: Database) -> None:
    """StoreError if the database does not support partitions."""
    if not database.has_partitions:
        raise StoreError(
            "A ledger in an SQLite file has no partitions; if it grows too large for one file, move it to PostgreSQL"
            " with: inventory-server db copy"
        )
