"""Snapshot: a single transaction that reads one state of a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import Connection

from inventory_server.store.database import schema
from inventory_server.store.database.base import Database


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """Open a ledger for one reading transaction, while servers may run on it; StoreError if it cannot be read."""
    database.assert_exists()
    with database.explained(), ExitStack() as opened:
        reading = database.reading_engine()
        opened.callback(reading.dispose)
        with reading.begin() as connection:
            schema.assert_schema(connection, database)
            yield connection
