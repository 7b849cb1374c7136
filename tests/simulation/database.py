"""HQ's database in memory: a real SQLite store whose connection can crash at named points of a commit.

What was not committed is lost with a crash, what was committed stays: an SQLite file in WAL with
synchronous=FULL, without the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from inventory_server.domain.lineage import FIRST_HEAD
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import token_hash
from pos_client.protocol.fields import Role
from tests.simulation.world import nothing_happens

Image = dict[str, list[tuple[Any, ...]]]
"""The rows of every table."""

TOKEN = "sesame"
_SQLITE_ERRORS = {"full": sqlite3.SQLITE_FULL, "io": sqlite3.SQLITE_IOERR}


def _fill(
    connection: Connection,
    terminals: Sequence[tuple[str, Role, str]],
    locations: Sequence[str],
    skus: Sequence[str],
    barcodes: Mapping[str, str],
) -> None:
    t.metadata.create_all(connection)
    connection.execute(t.ledger.insert().values(book=1, position=0, recorded_at=0))
    connection.execute(t.product.insert(), [{"sku": sku} for sku in skus])
    connection.execute(t.barcode.insert(), [{"gtin": gtin, "sku": sku, "units": 1} for gtin, sku in barcodes.items()])
    connection.execute(t.location.insert(), [{"location": location} for location in locations])
    common = {"token_hash": token_hash(TOKEN), "enrolled_at": 0, "epoch": 0, "head": FIRST_HEAD}
    common |= {"closed_at": 0}  # those that no device uses hold nothing back
    rows = [{"terminal": name, "role": role, "location": place} for name, role, place in terminals]
    connection.execute(t.terminal.insert(), [{**row, **common, "pending": 0, "dead": 0} for row in rows])


class _Watched:
    """A driver's connection that tells of each statement before it runs."""

    def __init__(self, handle: sqlite3.Connection, before: Callable[[str], None]) -> None:
        self._execute, self._executemany = handle.execute, handle.executemany
        self._before = before

    def execute(self, text: str, parameters: Any = ()) -> sqlite3.Cursor:
        """As of a `sqlite3.Connection`."""
        self._before(text)
        return self._execute(text, parameters)

    def executemany(self, text: str, rows: Any) -> sqlite3.Cursor:
        """As of a `sqlite3.Connection`."""
        self._before(text)
        return self._executemany(text, rows)


class CrashingConnection:
    """Stands in for the writer's `Connection` and for the engine it comes from.

    While it `crashes` at all, `at_point` hears where in a commit HQ is and may raise to crash it there; `fault`
    names an error that the commit is to meet, if any. Whatever is not about transactions is left to SQLAlchemy.
    """

    def __init__(
        self,
        terminals: Sequence[tuple[str, Role, str]],
        locations: Sequence[str],
        skus: Sequence[str],
        barcodes: Mapping[str, str],
        unique_ids: bool = True,
    ) -> None:
        """As the first server finds it: `terminals` (name, role, location) enrolled, `skus` and `barcodes` listed.

        Without `unique_ids` an id may be stored twice: only planted bugs want that.
        """
        self.handle = sqlite3.connect(":memory:", isolation_level=None, cached_statements=1024)
        self._engine = create_engine("sqlite://", poolclass=StaticPool, creator=lambda: self.handle)
        self.real: Connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self.at_point: Callable[[str], None] = nothing_happens
        self.crashes: Callable[[], bool] = lambda: False
        self.fault: Callable[[], str | None] = lambda: None
        self._writing = False
        self._watched = _Watched(self.handle, self._before)
        self.connection: sqlite3.Connection | _Watched = self.handle
        """The driver's connection, as of a `Connection`; while HQ may crash, it hears of each statement."""
        _fill(self.real, terminals, locations, skus, barcodes)
        if not unique_ids:
            self.handle.executescript("DROP TABLE identity; CREATE TABLE identity (id, position)")
        self._first = self.image()
        self.dialect = self.real.dialect

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def image(self) -> Image:
        """A backup."""
        return {name: self.handle.execute(f'SELECT * FROM "{name}"').fetchall() for name in t.metadata.tables}

    def restore(self, image: Image) -> None:
        """Go back to a backup."""
        self.rollback()
        self.handle.execute("BEGIN")
        for name, rows in image.items():
            self.handle.execute(f'DELETE FROM "{name}"')
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                self.handle.executemany(f'INSERT INTO "{name}" VALUES ({marks})', rows)
        self.handle.execute("COMMIT")

    def reset(self) -> None:
        """Go back to how it was at first; prepared statements stay so, unlike after a copy of the pages."""
        self.restore(self._first)

    def connect(self) -> CrashingConnection:
        """The one connection of this engine."""
        return self

    def execute(self, *arguments: Any) -> Any:
        """Through SQLAlchemy. HQ may crash before it, but not inside, where SQLAlchemy would close the connection."""
        if self.connection is self._watched:
            self._before("")
        return self.real.execute(*arguments)

    def begin(self) -> CrashingConnection:
        """Open a transaction, which is this object too."""
        self.handle.execute("BEGIN IMMEDIATE")
        self.connection = self._watched if self.crashes() else self.handle
        self._writing = False
        return self

    def commit(self) -> None:
        """Make the transaction durable, unless something happens."""
        self.connection = self.handle
        self.at_point("before commit")
        fault = self.fault()
        if fault is not None:
            error = sqlite3.OperationalError(f"simulated: {fault}")
            error.sqlite_errorcode = _SQLITE_ERRORS[fault]
            raise OperationalError("COMMIT", None, error)
        self.handle.execute("COMMIT")
        self.at_point("after commit")

    def rollback(self) -> None:
        """Undo the transaction."""
        self.connection = self.handle
        if self.handle.in_transaction:
            self.handle.execute("ROLLBACK")

    def _before(self, text: str) -> None:
        if self._writing:
            self.at_point("between two statements")
        elif text.startswith("INSERT"):
            self._writing = True
            self.at_point("after reading")
