"""Which database a URL names, and what is to be known of a connection's database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import ArgumentError

from inventory_server.store import sqlite
from inventory_server.store.database import Database, StoreError
from inventory_server.store.sqlite import Sqlite


def database_of(url: str) -> Database:
    """The database that `url` names; StoreError where it names none that can hold a ledger."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(f"{url!r} is no database URL; expected something like sqlite:///tillwire.db.") from error
    database = parsed.database
    if parsed.get_backend_name() != "sqlite" or not database or database == ":memory:" or "\0" in database:
        raise StoreError(
            f"Cannot keep a ledger in {parsed.render_as_string()!r}; expected a file, as in sqlite:///tillwire.db."
        )
    if "?" in url:
        raise StoreError(f"{url!r} has options after its ?, and a ledger takes none; write %3F for a ? in a name.")
    return Sqlite(Path(database))


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite `url`, None for a database that has no file here; StoreError where it names neither."""
    database = database_of(url)
    return database.path if isinstance(database, Sqlite) else None


def difference(connection: Connection) -> str | None:
    """What differs from the schema needed and is the database's own: triggers and the like; None where all is well."""
    return sqlite.difference(connection)


def damage(connection: Connection) -> Iterator[str]:
    """What the database itself finds wrong with its files."""
    return sqlite.damage(connection)
