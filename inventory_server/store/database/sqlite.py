"""SQLite, opened so that it can be trusted: one writer, WAL, synchronous=FULL."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, Transaction, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, StaticPool

from inventory_server.config import SQLITE_BUSY_MS, SQLITE_CACHE_KIB, SQLITE_CHECKPOINT_PAGES, SQLITE_STATEMENTS_MAX
from inventory_server.store.database.base import ErrorClass, StoreError, StoreInUse
from inventory_server.store.ledger.sql import run

PRAGMAS: dict[str, int | str] = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
"""What every writing connection must run with; read back after it was set."""


_NOT_NOW = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY}
"""Primary codes that hit every commit alike, pass by, and leave nothing written after a rollback."""
_ITS_OWN = {0, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE}
"""Codes of complaints about the values that were given, which are no trouble of the database."""
_UNTRUSTED = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
"""Codes after which no further answer may be given: an fsync error is reported once and then forgotten."""


class Sqlite:
    """A ledger in the file `path`; see `Database`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def has_partitions(self) -> bool:
        """A file has none."""
        return False

    @property
    def shown(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def url(self) -> str:
        """As `--db` takes it."""
        return f"sqlite:///{self.path}"

    def assert_exists(self) -> None:
        """StoreError where the file is not there."""
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StoreError(
                f"There is no database {self.path}; make one with: inventory-server db upgrade --db {self.url}"
            ) from error
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}; check the path and the access rights.") from error

    def make(self) -> None:
        """Make a file that is missing, so that only its owner may read it; SQLite gives its log the same mode."""
        with suppress(OSError):  # it is there already, or SQLite will say what is wrong
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what SQLite complains about, by its error code, into one sentence with the next step."""
        try:
            yield
        except DBAPIError as error:
            advice = _ADVICE.get(_code(error))
            advice = advice or f"cannot be used ({error.orig}); restore a backup or install a newer SQLite."
            raise StoreError(f"{self.path} {advice}") from error
        except UnicodeDecodeError as error:  # sqlite3 cannot even read out what SQLite says of a damaged schema
            raise StoreError(f"{self.path} {_ADVICE[sqlite3.SQLITE_CORRUPT]}") from error

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Hold the lock file beside the database: whoever does is the only process that writes."""
        name = self.path.with_name(self.path.name + ".lock")
        try:
            file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{name}: {error.strerror}; check the path and the access rights.") from error
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreInUse(f"{self.path} is in use by a running server; stop it first, or ask it.") from error
            yield
        finally:
            os.close(file)

    def assert_unused(self, connection: Connection) -> None:
        """Whoever holds the lock file is alone."""

    def hold(self, connection: Connection) -> None:
        """Every transaction of a writing connection does."""

    def writing_engine(self) -> Engine:
        """An engine of exactly one connection, which is the only one that writes or checkpoints."""
        return writing_engine(self.path)

    def reading_engine(self) -> Engine:
        """An engine of read-only connections; a transaction on one sees a single state of the ledger."""
        return reading_engine(self.path)

    def standby_engine(self) -> Engine:
        """The same: a file answers."""
        return self.reading_engine()

    def assert_settings(self, connection: Connection) -> str | None:
        """Refuse a connection whose settings would let an answered posting get lost."""
        for name, wanted in PRAGMAS.items():
            got = connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            if got != wanted:
                raise StoreError(
                    f"PRAGMA {name} is {got!r} where {wanted!r} is needed; move the database to a local disk."
                )
        return None

    def schema_difference(self, connection: Connection) -> str | None:
        """A trigger: nothing else can be added that SQLAlchemy's comparison does not see."""
        trigger = connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'trigger'").scalar()
        return None if trigger is None else f"trigger {trigger}"

    @staticmethod
    def check_files(connection: Connection) -> Iterator[str]:
        """What SQLite finds wrong with pages, rows and indexes."""
        for (what,) in connection.exec_driver_sql("PRAGMA integrity_check"):
            if what != "ok":
                yield f"the file is damaged: {what}"

    def classify_error(self, error: Exception, committing: bool) -> ErrorClass:
        """By SQLite's primary result code; an unknown commit leaves SQLite's own state unknown."""
        code = _code(error)
        if code in _NOT_NOW:
            return ErrorClass.UNAVAILABLE
        if committing or code in _UNTRUSTED:
            return ErrorClass.FATAL
        is_its_own = code in _ITS_OWN or (code == sqlite3.SQLITE_ERROR and self._can_prepare(error))
        return ErrorClass.WORK_FAILED if is_its_own else ErrorClass.UNAVAILABLE

    def _can_prepare(self, error: Exception) -> bool:
        """Tell an overflow from a missing column, which share a code: would the statement do for other values?"""
        statement = getattr(error, "statement", None)
        try:
            with closing(sqlite3.connect(f"{_uri(self.path)}?mode=ro", uri=True)) as connection:
                connection.execute(f"EXPLAIN {statement}")
        except sqlite3.ProgrammingError:  # it was prepared, and lacks its values
            return True
        except sqlite3.Error:
            return False
        return True

    def commit(self, transaction: Transaction) -> None:
        """Make a transaction durable."""
        transaction.commit()


_ADVICE = {
    sqlite3.SQLITE_BUSY: "is locked by another program; end that program and try again.",
    sqlite3.SQLITE_READONLY: "is read-only; give this user write access to the file and its folder.",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check the path and the access rights of its folder.",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database; name another file or restore a backup.",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore the last backup and let the tills send again.",
    sqlite3.SQLITE_FULL: "has no room left on its disk; free some space and try again.",
    sqlite3.SQLITE_IOERR: "cannot be read or written; check the disk.",
}


def _uri(path: Path) -> str:
    return f"file:{quote(str(path))}"


def _code(error: Exception) -> int:
    """SQLite's primary result code of `error`, 0 where it has none."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF if isinstance(error, DBAPIError) else 0


def writing_engine(path: Path) -> Engine:
    """An engine of exactly one connection, which is the only one that writes or checkpoints.

    SQLite before 3.51.3 can corrupt a WAL database when two connections write or checkpoint at once.
    """
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "isolation_level": None, "cached_statements": SQLITE_STATEMENTS_MAX},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_MS}")
        connection.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {SQLITE_CHECKPOINT_PAGES}")
        for name, wanted in PRAGMAS.items():
            connection.execute(f"PRAGMA {name} = {wanted}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        run(connection, "BEGIN IMMEDIATE", ())

    return engine


def reading_engine(path: Path) -> Engine:
    """An engine of read-only connections; a transaction on one sees a single state of the ledger."""
    engine = create_engine(
        URL.create("sqlite", database=_uri(path), query={"mode": "ro", "uri": "true"}),
        poolclass=NullPool,  # the readers keep theirs themselves
        connect_args={"check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_MS}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        run(connection, "BEGIN", ())

    return engine
