"""The SQLite file of an outbox: its schema, its locks between processes, and its errors as OutboxError."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pos_client.protocol.errors import OutboxError
from pos_client.till.file_lock import FileLock, make_private, outbox_error
from pos_client.till.policy import LOCK_POLL_SECONDS

SCHEMA_VERSION = 2

# A new row's seq is its place minus its lineage's base, so that a sale does not have to update a counter as well.
_SCHEMA = """
CREATE TABLE lineage (
    number INTEGER PRIMARY KEY,
    uuid BLOB NOT NULL UNIQUE,
    base INTEGER NOT NULL,
    count INTEGER NOT NULL DEFAULT 0,
    quantity INTEGER NOT NULL DEFAULT 0,
    head TEXT,
    terminal TEXT,
    location TEXT
);
CREATE TABLE posting (
    place INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    lineage INTEGER NOT NULL REFERENCES lineage,
    seq INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    reference TEXT,
    body BLOB NOT NULL,
    boot BLOB,
    tick_ms INTEGER,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'parked')),
    attempts INTEGER NOT NULL DEFAULT 0,
    result BLOB,
    settled_at INTEGER
);
CREATE INDEX posting_pending ON posting (lineage, seq, occurred_at, boot, tick_ms) WHERE state = 'pending';
CREATE INDEX posting_parked ON posting (place) WHERE state = 'parked';
CREATE INDEX posting_done ON posting (place) WHERE state = 'done';
CREATE TABLE refusal (code TEXT NOT NULL, message TEXT NOT NULL);
"""
_UPGRADES = {0: _SCHEMA, 1: "CREATE TABLE refusal (code TEXT NOT NULL, message TEXT NOT NULL);"}
"""What leads from each format to the present one; 0 is an empty file."""


class OutboxFile:
    """One SQLite connection, used by one thread at a time; its writes exclude those of other processes.

    SQLite before 3.51.3 can corrupt a WAL file when two connections write or checkpoint at the same time, so every
    write (checkpoints happen inside commits), opening and closing hold a lock between processes. A second lock,
    `sending`, is held by the one process that sends from the file.
    """

    def __init__(
        self,
        path: Path,
        busy_seconds: float,
        sleep: Callable[[float], None] = time.sleep,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._busy_seconds = busy_seconds
        self._sleep = sleep
        self._timer = timer
        # Guards the connection: one statement or transaction at a time, across all threads of the process.
        self._lock = threading.Lock()
        self._writing = FileLock(path.with_name(path.name + ".write-lock"))
        self.sending = FileLock(path.with_name(path.name + ".lock"))
        with ExitStack() as undo:
            undo.callback(self._writing.close)
            try:
                with self._exclusive():
                    self._connection = self._open()
            except sqlite3.Error as error:
                raise outbox_error(path, error) from error
            undo.pop_all()

    def _open(self) -> sqlite3.Connection:
        make_private(self.path)
        connection = sqlite3.connect(
            self.path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )
        with ExitStack() as undo:
            undo.callback(connection.close)
            self._check_version(connection)
            self._set_pragmas(connection)
            if (upgrade := _UPGRADES.get(_pragma(connection, "user_version"))) is not None:
                script = f"BEGIN IMMEDIATE; {upgrade} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                connection.executescript(script)
            _sync_folder(self.path)
            undo.pop_all()
        return connection

    def _check_version(self, connection: sqlite3.Connection) -> None:
        version = _pragma(connection, "user_version")
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if version == 0 and tables:
            raise OutboxError(f"{self.path} is a database but not an outbox: check the path.")
        if version > SCHEMA_VERSION:
            raise OutboxError(
                f"The outbox {self.path} was created by a newer version (format {version}, this program supports "
                f"{SCHEMA_VERSION}): update this program."
            )

    def _set_pragmas(self, connection: sqlite3.Connection) -> None:
        for name, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            connection.execute(f"PRAGMA {name} = {value}")
            if (found := _pragma(connection, name)) != value:
                raise OutboxError(
                    f"The outbox {self.path} needs {name}={value}, but its file system only allows "
                    f"{found}: move it to a local disk."
                )

    def _acquire(self) -> None:
        if self._writing.try_acquire():
            return
        deadline = self._timer() + self._busy_seconds
        while not self._writing.try_acquire():
            if self._timer() >= deadline:
                raise OutboxError(
                    f"The outbox {self.path} is locked by another process of this till: close or resume it."
                )
            self._sleep(LOCK_POLL_SECONDS)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        self._acquire()
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The connection, for reading."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise outbox_error(self.path, error) from error

    def rows(self, statement: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        """All rows of a query that returns few."""
        with self._lock:
            try:
                return self._connection.execute(statement, parameters).fetchall()
            except sqlite3.Error as error:
                raise outbox_error(self.path, error) from error

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: durable when the block ends, rolled back if it raises."""
        with self._lock, self._exclusive():
            connection = self._connection
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise outbox_error(self.path, error) from error
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def write_once(self, statement: str, row: tuple[object, ...]) -> int:
        """One statement in its own transaction: the fast path of a sale. Returns the number of rows changed."""
        with self._lock:
            self._acquire()
            try:
                return self._connection.execute(statement, row).rowcount
            except sqlite3.Error as error:
                raise outbox_error(self.path, error) from error
            finally:
                self._writing.release()

    def close(self) -> None:
        """Close the file and let another process send."""
        self.sending.close()
        with self._lock, self._exclusive():
            self._connection.close()
        self._writing.close()


def open_outbox_file(path: str | Path, busy_seconds: float) -> OutboxFile:
    """The file at `path`, symbolic links resolved: its locks must lie beside the file itself."""
    return OutboxFile(Path(path).resolve(), busy_seconds)


def _sync_folder(path: Path) -> None:
    """Make the directory entries of the file and its WAL durable: SQLite only syncs their contents."""
    try:
        if sys.platform != "win32":  # Windows cannot sync a folder: NTFS keeps a journal of its entries
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise OutboxError(
            f"The folder of the outbox {path} cannot be synced to disk: check the disk ({error})."
        ) from error


def _pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]
