"""SQLite backend: one writing process, WAL, synchronous=FULL, error classification."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, Transaction, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, StaticPool

from inventory_server.config import (
    SQLITE_BUSY_MS,
    SQLITE_CACHE_KIB,
    SQLITE_CHECKPOINT_PAGES,
    SQLITE_STATEMENTS_MAX,
    SQLITE_STEPS,
)
from inventory_server.store.database.base import ErrorClass, StoreError, StoreInUse
from inventory_server.store.database.new_file import make_file
from inventory_server.store.ledger.sql import run
from inventory_server.store.ledger.time_limit import is_over

PRAGMAS: dict[str, int | str] = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
"""Settings of every writing connection; read back after they are set."""

_UNAVAILABLE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY}
"""Codes of conditions that fail every commit alike until they pass; a rollback leaves nothing written."""
_BAD_VALUES = {0, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE}
"""Codes of errors caused by the statement's values."""
_FATAL = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
"""Codes after which the store must stop: the kernel reports an fsync error only once."""


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
        """StoreError if the file does not exist."""
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StoreError(
                f"There is no database {self.path}; make one with: inventory-server db upgrade --db {self.url}"
            ) from error
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}; check the path and the access rights.") from error

    def make(self, fill: Callable[[Connection], None]) -> None:
        """Make a file that is missing, whole or not at all; SQLite gives its log the same access rights."""

        def write(path: Path) -> None:
            engine = writing_engine(path, PRAGMAS | {"journal_mode": "delete"})  # so that all is in the one file
            try:
                with engine.begin() as connection:
                    fill(connection)
            finally:
                engine.dispose()

        make_file(self.path, write)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn SQLite's errors, by result code, into one sentence with the next step."""
        try:
            yield
        except DBAPIError as error:
            advice = _ADVICE.get(_code(error))
            advice = advice or f"cannot be used ({error.orig}); restore a backup or install a newer SQLite."
            raise StoreError(f"{self.path} {advice}") from error
        except UnicodeDecodeError as error:  # sqlite3 cannot decode SQLite's message about a damaged schema
            raise StoreError(f"{self.path} {_ADVICE[sqlite3.SQLITE_CORRUPT]}") from error

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Hold the lock file beside the database, which only the writing process may hold; it contains the pid."""
        name = self.path.with_name(self.path.name + ".lock")
        try:
            file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{name}: {error.strerror}; check the path and the access rights.") from error
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreInUse(f"{self.path}: A server runs on this ledger{_holder(file)}. Stop it first.") from error
            _write_pid(file)
            yield
        finally:
            os.close(file)

    def assert_unused(self, connection: Connection) -> None:
        """Nothing to check: the lock file is exclusive."""

    def hold(self, connection: Connection) -> None:
        """Nothing to do: BEGIN IMMEDIATE blocks all other writers."""

    def writing_engine(self) -> Engine:
        """An engine of exactly one connection: the only one that writes or checkpoints."""
        return writing_engine(self.path)

    def reading_engine(self) -> Engine:
        """An engine of read-only connections; a transaction on one sees a single state of the ledger."""
        return reading_engine(self.path)

    def standby_engine(self) -> Engine:
        """The reading engine: a file has no standby."""
        return self.reading_engine()

    def assert_settings(self, connection: Connection) -> str | None:
        """StoreError if a setting of the connection could lose acknowledged postings."""
        for name, wanted in PRAGMAS.items():
            got = connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            if got != wanted:
                raise StoreError(
                    f"PRAGMA {name} is {got!r} where {wanted!r} is needed; move the database to a local disk."
                )
        return None

    def schema_difference(self, connection: Connection) -> str | None:
        """A trigger: the only addition that SQLAlchemy's comparison misses."""
        trigger = connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'trigger'").scalar()
        return None if trigger is None else f"trigger {trigger}"

    def check_files(self, connection: Connection) -> Iterator[str]:
        """What SQLite finds wrong with pages, rows and indexes."""
        for (what,) in connection.exec_driver_sql("PRAGMA integrity_check"):
            if what != "ok":
                yield f"the file is damaged: {what}"

    def gather_statistics(self, connection: Connection) -> None:
        """Nothing: SQLite plans by the indexes alone, and every ledger is to be planned alike."""

    def growth_warning(self, connection: Connection) -> str | None:
        """None: a file has no partitions to run out of."""

    def classify_error(self, error: Exception, committing: bool) -> ErrorClass:
        """By SQLite's primary result code; a COMMIT that failed otherwise leaves the state on disk unknown."""
        code = _code(error)
        if code in _UNAVAILABLE:
            return ErrorClass.UNAVAILABLE
        if committing or code in _FATAL:
            return ErrorClass.FATAL
        is_its_own = code in _BAD_VALUES or (code == sqlite3.SQLITE_ERROR and self._can_prepare(error))
        return ErrorClass.WORK_FAILED if is_its_own else ErrorClass.UNAVAILABLE

    def _can_prepare(self, error: Exception) -> bool:
        """Tell an overflow from a missing column, which share a result code: does the statement compile?"""
        statement = getattr(error, "statement", None)
        try:
            with closing(sqlite3.connect(f"{_uri(self.path)}?mode=ro", uri=True)) as connection:
                connection.execute(f"EXPLAIN {statement}")
        except sqlite3.ProgrammingError:  # it compiled, and lacks its parameters
            return True
        except sqlite3.Error:
            return False
        return True

    def commit(self, transaction: Transaction) -> None:
        """Commit; durable once this returns."""
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


def _write_pid(file: int) -> None:
    """Name this process in the lock file it holds; one that cannot be written (a full disk) locks all the same."""
    with suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, b"%d\n" % os.getpid(), 0)


def _holder(file: int) -> str:
    """The pid in a lock file as a message shows it; empty if there is none."""
    pid = os.pread(file, 20, 0).strip()
    return f" (pid {int(pid)})" if pid.isdigit() else ""


def _uri(path: Path) -> str:
    return f"file:{quote(str(path))}"


def _code(error: Exception) -> int:
    """SQLite's primary result code, 0 if `error` has none."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF if isinstance(error, DBAPIError) else 0


def writing_engine(path: Path, pragmas: Mapping[str, int | str] = PRAGMAS) -> Engine:
    """An engine of exactly one connection: the only one that writes or checkpoints.

    SQLite before 3.51.3 can corrupt a WAL database when two connections write or checkpoint at once.
    """
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=StaticPool,
        hide_parameters=True,  # bodies and token hashes stay out of the log
        connect_args={"check_same_thread": False, "isolation_level": None, "cached_statements": SQLITE_STATEMENTS_MAX},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_MS}")
        connection.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {SQLITE_CHECKPOINT_PAGES}")
        for name, wanted in pragmas.items():
            connection.execute(f"PRAGMA {name} = {wanted}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        run(connection, "BEGIN IMMEDIATE", ())

    return engine


def reading_engine(path: Path) -> Engine:
    """An engine of read-only connections; a transaction on one sees a single state of the ledger."""
    engine = create_engine(
        URL.create("sqlite", database=_uri(path), query={"mode": "ro", "uri": "true"}),
        poolclass=NullPool,  # `ConnectionPool` keeps them
        hide_parameters=True,
        connect_args={"check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_MS}")
        connection.set_progress_handler(is_over, SQLITE_STEPS)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        run(connection, "BEGIN", ())

    return engine
