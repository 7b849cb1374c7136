"""Opening a database so that it can be trusted: one writer, WAL, synchronous=FULL, the right schema."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool

from pos_client.errors import TillwireError

READERS_MAX = 8
"""Reading connections: reads take no lock from the writer, but each holds a page cache."""
BUSY_TIMEOUT_MS = 5_000
"""How long to wait for another process that holds the database before giving up."""
PRAGMAS: dict[str, int | str] = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
"""What every writing connection must run with; read back after it was set."""
CACHE_KIB = 65_536
CHECKPOINT_PAGES = 4_000
"""WAL pages between checkpoints: four times SQLite's default, since most pages change again before the next."""


class StoreError(TillwireError):
    """The database cannot be used as it is; the message says what to do."""


class StoreInUse(StoreError):
    """A server is running on this database and is its only writer."""


def sqlite_path(url: str) -> Path:
    """The file of an SQLite `url`; StoreError for any other dialect."""
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
    return Path(database)


def existing_path(url: str) -> Path:
    """The file of an SQLite `url`, which must be there."""
    path = sqlite_path(url)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreError(
            f"There is no database {path}; make one with: inventory-server db upgrade --db {url}"
        ) from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; check the path and the access rights.") from error
    return path


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite complains about, by its error code, into one sentence with the next step."""
    try:
        yield
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        advice = _ADVICE.get(code) or f"cannot be used ({error.orig}); restore a backup or install a newer SQLite."
        raise StoreError(f"{path} {advice}") from error
    except UnicodeDecodeError as error:  # sqlite3 cannot even read out what SQLite says of a damaged schema
        raise StoreError(f"{path} {_ADVICE[sqlite3.SQLITE_CORRUPT]}") from error


_ADVICE = {
    sqlite3.SQLITE_BUSY: "is locked by another program; end that program and try again.",
    sqlite3.SQLITE_READONLY: "is read-only; give this user write access to the file and its folder.",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check the path and the access rights of its folder.",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database; name another file or restore a backup.",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore the last backup and let the tills send again.",
    sqlite3.SQLITE_FULL: "has no room left on its disk; free some space and try again.",
    sqlite3.SQLITE_IOERR: "cannot be read or written; check the disk.",
}


class WriterLock:
    """The lock file beside an SQLite database: whoever holds it is the only process that writes."""

    def __init__(self, path: Path) -> None:
        name = path.with_name(path.name + ".lock")
        try:
            self._file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{name}: {error.strerror}; check the path and the access rights.") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise StoreInUse(f"{path} is in use by a running server; stop it first, or ask it.") from error

    def release(self) -> None:
        """Let another process write."""
        os.close(self._file)


def make_private(path: Path) -> None:
    """Make a database that is missing, so that only its owner may read it; SQLite gives its log the same mode."""
    with suppress(OSError):  # it is there already, or SQLite will say what is wrong
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def writing_engine(path: Path) -> Engine:
    """An engine of exactly one connection, which is the only one that writes or checkpoints.

    SQLite before 3.51.3 can corrupt a WAL database when two connections write or checkpoint at once.
    """
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        for name, wanted in PRAGMAS.items():
            connection.execute(f"PRAGMA {name} = {wanted}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def reading_engine(path: Path) -> Engine:
    """An engine of read-only connections; a transaction on one sees a single state of the ledger."""
    engine = create_engine(
        URL.create("sqlite", database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"}),
        poolclass=QueuePool,
        pool_size=READERS_MAX,
        max_overflow=0,
        connect_args={"check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def assert_pragmas(connection: Connection) -> None:
    """Refuse a connection whose settings would let an answered posting get lost."""
    for name, wanted in PRAGMAS.items():
        got = connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
        if got != wanted:
            raise StoreError(f"PRAGMA {name} is {got!r} where {wanted!r} is needed; move the database to a local disk.")
