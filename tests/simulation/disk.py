"""A till's disk in memory: the production outbox on it can crash before and after each commit, and be copied."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

from pos_client.till import outbox_file
from pos_client.till.file_lock import FileLock
from pos_client.till.outbox_file import OutboxFile
from tests.simulation.world import nothing_happens

PATH = Path("simulated")
TABLES = ("lineage", "posting")
"""Of the outbox; what refers comes after what it refers to."""


class TillCrash(BaseException):
    """The till's process is gone, at once. Not an Exception: production code must not be able to catch it."""


_spare: list[sqlite3.Connection] = []
"""Handles of disks that no run needs any more: their statements are prepared already."""


@cache
def _commits(text: str) -> bool:
    """True for what makes something durable, given that no transaction is open."""
    return text == "COMMIT" or text.lstrip().startswith(("INSERT", "UPDATE", "DELETE"))


class Disk:
    """What the outbox writes on; `at_point` hears of each commit and may raise TillCrash."""

    def __init__(self) -> None:
        self._handle = _spare.pop() if _spare else _formatted()
        self.at_point: Callable[[str], None] = nothing_happens

    def copy(self) -> Disk:
        """Another disk with the same content."""
        disk = Disk()
        for table in TABLES:
            rows = self._handle.execute(f"SELECT * FROM {table}").fetchall()
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                disk._handle.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        return disk

    def scrap(self) -> None:
        """Nobody needs this disk any more."""
        self.close()
        for table in reversed(TABLES):
            self._handle.execute(f"DELETE FROM {table}")
        _spare.append(self._handle)

    def query(self, text: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """Look at the disk from outside."""
        return self._handle.execute(text, parameters).fetchall()

    @property
    def in_transaction(self) -> bool:
        """As of a `sqlite3.Connection`."""
        return self._handle.in_transaction

    def execute(self, text: str, parameters: Any = ()) -> sqlite3.Cursor:
        """As of a `sqlite3.Connection`."""
        if not _commits(text) or (text != "COMMIT" and self._handle.in_transaction):
            return self._handle.execute(text, parameters)
        self.at_point("before the outbox commits")
        cursor = self._handle.execute(text, parameters)
        self.at_point("after the outbox committed")
        return cursor

    def executemany(self, text: str, parameters: Any) -> sqlite3.Cursor:
        """As of a `sqlite3.Connection`."""
        return self._handle.executemany(text, parameters)

    def close(self) -> None:
        """Turn it off; what was committed stays."""
        if self._handle.in_transaction:
            self._handle.execute("ROLLBACK")


def _formatted() -> sqlite3.Connection:
    handle = sqlite3.connect(":memory:", isolation_level=None, cached_statements=512)
    handle.executescript(outbox_file._SCHEMA)
    return handle


class _NoLock(FileLock):
    """Nobody else is there."""

    def __init__(self) -> None:
        super().__init__(PATH)

    def try_acquire(self) -> bool:
        return True


class MemoryFile(OutboxFile):
    """The production outbox file, without a file."""

    def __init__(self, disk: Disk) -> None:
        self.path = PATH
        self._lock = threading.Lock()  # guards nothing here: there is one thread
        self._writing = _NoLock()
        self.sending = _NoLock()
        self._connection = cast(sqlite3.Connection, disk)
