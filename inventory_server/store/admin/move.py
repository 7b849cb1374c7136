"""The mark of a ledger that was moved to another database: it is read, but no longer served."""

from __future__ import annotations

from sqlalchemy import Connection, select

from inventory_server.store.database.base import Database, LedgerMoved, StoreError
from inventory_server.store.ledger import tables as t


def moved_to(connection: Connection) -> str | None:
    """The URL of the database that the ledger was moved to; None if it was not."""
    to: str | None = connection.scalar(select(t.ledger.c.moved_to))
    return to


def assert_not_moved(connection: Connection, database: Database, to: str | None = None) -> None:
    """LedgerMoved if the ledger was moved, other than to the database of the URL `to`."""
    if (place := moved_to(connection)) not in (None, to):
        raise LedgerMoved(
            f"{database.shown} was moved to {place}; serve that one. "
            f"To undo the move: inventory-server db unmove --db {database.url}"
        )


def mark_moved(connection: Connection, database: Database, to: str) -> bool:
    """Mark the ledger as moved to the database of the URL `to`; False if it was marked so before."""
    assert_not_moved(connection, database, to)
    is_news = moved_to(connection) is None
    connection.execute(t.ledger.update().values(moved_to=to))
    return is_news


def unmark_moved(connection: Connection, database: Database) -> str:
    """Have the ledger served again; where it was moved to. StoreError if it was not moved."""
    if (place := moved_to(connection)) is None:
        raise StoreError(f"{database.shown} was not moved; it may be served.")
    connection.execute(t.ledger.update().values(moved_to=None))
    return place
