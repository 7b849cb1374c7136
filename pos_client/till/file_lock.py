"""`FileLock`: an exclusive lock between processes that works on every system that SQLite runs on."""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, suppress
from pathlib import Path

from pos_client.protocol.errors import OutboxError

_ADVICE = {
    sqlite3.SQLITE_FULL: "is on a full disk: free some space and try again; nothing was stored",
    sqlite3.SQLITE_READONLY: "cannot be written: make the file and its folder writable for this user",
    sqlite3.SQLITE_CORRUPT: "is corrupt: keep a copy for support, move it away and start with a new one",
    sqlite3.SQLITE_NOTADB: "is not an outbox file: check the path",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that its folder exists and is writable",
    sqlite3.SQLITE_BUSY: "is locked by another program: close the program that has it open",
    sqlite3.SQLITE_LOCKED: "is locked by another program: close the program that has it open",
    sqlite3.SQLITE_IOERR: "cannot be read or written: check the disk, its free space and its quota",
}


def outbox_error(path: Path, error: sqlite3.Error, what: str = "outbox") -> OutboxError:
    """SQLite's error as one sentence that says what to do; `what` is the file at `path`."""
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return OutboxError(f"The {what} {path} was closed by this program, and nothing was stored: open it again.")
    advice = _ADVICE.get(_code(error))
    return OutboxError(f"The {what} {path} {advice or 'failed'} ({error}).")


def make_private(path: Path) -> None:
    """Create a new file that only its owner may read; SQLite gives the WAL the same mode, and reports what is wrong."""
    with suppress(OSError):  # an existing file is not opened: closing it would release SQLite's own locks
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _code(error: sqlite3.Error) -> int:
    """The primary result code; 0 for an error of the module itself."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


class FileLock:
    """A lock on a file of its own, held as a transaction of SQLite; it ends with its holder, however that dies.

    SQLite locks files in the way of each system: what the tests exercise here is what runs on Windows. Nothing is ever
    written to the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._is_writable = False  # known once the lock was held

    def try_acquire(self) -> bool:
        """Take the lock if it is free or already held by this object; OutboxError if its file cannot be opened."""
        try:
            if self._connection is None:
                self._connection = self._open()
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN EXCLUSIVE")
                self._assert_exclusive(self._connection)
        except sqlite3.Error as error:
            if _code(error) == sqlite3.SQLITE_BUSY:
                return False
            self.close()
            raise outbox_error(self._path, error, "lock file") from error
        return True

    def _assert_exclusive(self, connection: sqlite3.Connection) -> None:
        """SQLite's error, once per connection, for a file that may not be written: it is only locked for reading."""
        if not self._is_writable:
            connection.execute("PRAGMA user_version = 1")  # goes with the transaction
            self._is_writable = True

    def _open(self) -> sqlite3.Connection:
        make_private(self._path)
        connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        with ExitStack() as undo:
            undo.callback(connection.close)
            connection.execute("PRAGMA journal_mode = memory")  # else a journal file would come and go with each lock
            undo.pop_all()
        return connection

    def release(self) -> None:
        """Release the lock and keep its file open."""
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Release the lock and close its file."""
        connection, self._connection, self._is_writable = self._connection, None, False
        if connection is not None:
            connection.close()
