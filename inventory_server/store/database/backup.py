"""Backup and restore of a ledger in an SQLite file, with SQLite's online backup: servers go on meanwhile."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from inventory_server.store.database.base import Database, StoreError
from inventory_server.store.database.new_file import make_file
from inventory_server.store.database.sqlite import Sqlite
from inventory_server.store.database.url import database_of


def back_up(url: str, target: Path) -> None:
    """Copy the ledger of `url`, as of one moment, to the new file `target`; StoreError if that fails."""
    database = database_of(url)
    if not isinstance(database, Sqlite):
        raise StoreError(
            "A PostgreSQL ledger is backed up by PostgreSQL's own programs, while servers run: "
            f"pg_dump --format=custom --file={target} '{_plain(database)}'; "
            "or pg_basebackup, to recover up to any instant."
        )
    database.assert_exists()
    _copy(database.path, target)


def assert_restorable(source: Path, url: str) -> None:
    """StoreError if `restore` would refuse, whatever is in `source`."""
    database = database_of(url)
    if not isinstance(database, Sqlite):
        raise StoreError(
            "A PostgreSQL ledger is restored by PostgreSQL's own programs, into a new database: "
            f"pg_restore --exit-on-error --single-transaction --dbname='{_plain(database)}' {source}"
        )
    with database.writer():
        _assert_new(database.path)


def restore(source: Path, url: str) -> None:
    """Make the ledger of `url`, which must not exist, from the backup `source`; StoreError if that fails."""
    assert_restorable(source, url)
    database = database_of(url)
    assert isinstance(database, Sqlite), "it is restorable"
    with database.writer():
        _copy(source, database.path)


def file_url(path: Path) -> str:
    """The URL of the ledger in the file `path`."""
    return f"sqlite:///{quote(str(path))}"


def _plain(database: Database) -> str:
    """The URL of a PostgreSQL database as its own programs take it, without a password."""
    return database.url.replace("+psycopg", "").replace(":***@", "@")


def _assert_new(target: Path) -> None:
    if os.path.lexists(target):
        raise StoreError(f"{target} exists already, and is not overwritten: move it away, or name another file.")


def _copy(source: Path, target: Path) -> None:
    _assert_new(target)
    made: list[int] = []

    def write(new: Path) -> None:
        made.append(new.stat().st_ino)
        try:
            with (
                closing(sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True)) as one,
                closing(sqlite3.connect(new)) as other,
            ):
                one.backup(other)
        except sqlite3.Error as error:
            raise StoreError(f"{source} cannot be copied to {target}: {error}; check the disk and the file.") from error

    make_file(target, write)
    if made != [target.stat().st_ino]:
        raise StoreError(f"{target} was made by another program meanwhile, and is not overwritten: name another file.")
