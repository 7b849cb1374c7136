"""HQ's database in memory: a real SQLite store whose connection can crash at named points of a commit.

What was not committed is lost with a crash, what was committed stays: an SQLite file in WAL with
synchronous=FULL, without the disk. Statements as text go straight to `sqlite3`, for speed; the rest goes
through SQLAlchemy as in production.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from inventory_server.lineage import FIRST_HEAD
from inventory_server.store import tables as t
from inventory_server.store.speakers import token_hash
from pos_client.messages import Role
from tests.simulation.world import nothing_happens

Image = dict[str, list[tuple[Any, ...]]]
"""The rows of every table."""

TOKEN = "sesame"
_SQLITE_ERRORS = {"full": sqlite3.SQLITE_FULL, "io": sqlite3.SQLITE_IOERR}


def _fill(connection: Connection, terminals: Sequence[tuple[str, Role, str]], skus: Sequence[str]) -> None:
    t.metadata.create_all(connection)
    connection.execute(t.ledger.insert().values(book=1, position=0, recorded_at=0))
    connection.execute(t.product.insert(), [{"sku": sku} for sku in skus])
    places = sorted({location for _, _, location in terminals})
    connection.execute(t.location.insert(), [{"location": location} for location in places])
    common = {"token_hash": token_hash(TOKEN), "enrolled_at": 0, "epoch": 0, "head": FIRST_HEAD}
    rows = [{"terminal": name, "role": role, "location": place} for name, role, place in terminals]
    connection.execute(t.terminal.insert(), [{**row, **common, "pending": 0, "dead": 0} for row in rows])


class Rows:
    """The rows of a statement given as text, with their columns as attributes. Read at once: none stays open."""

    def __init__(self, cursor: sqlite3.Cursor, make: Callable[[Any], Any]) -> None:
        self._rows = [make(row) for row in cursor.fetchall()]
        self.rowcount = cursor.rowcount

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> list[Any]:
        """All rows."""
        return self._rows

    def one(self) -> Any:
        """The only row."""
        (row,) = self._rows
        return row


class CrashingConnection:
    """Stands in for the writer's `Connection` and for the engine it comes from.

    `at_point` hears where in a commit HQ is, and raises to crash it there; `fault` names an error that the
    commit is to meet, if any.
    """

    def __init__(
        self, terminals: Sequence[tuple[str, Role, str]], skus: Sequence[str], unique_ids: bool = True
    ) -> None:
        """As the first server finds it: `terminals` (name, role, location) enrolled, `skus` listed.

        Without `unique_ids` an id may be stored twice: only planted bugs want that.
        """
        self.handle = sqlite3.connect(":memory:", isolation_level=None, cached_statements=1024)
        self._engine = create_engine("sqlite://", poolclass=StaticPool, creator=lambda: self.handle)
        self.real: Connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self.at_point: Callable[[str], None] = nothing_happens
        self.fault: Callable[[], str | None] = lambda: None
        self._row_types: dict[str, Callable[[Any], Any]] = {}
        self._reading = True
        _fill(self.real, terminals, skus)
        if not unique_ids:
            (index,) = (index for index in t.posting.indexes if index.unique)
            self.handle.execute(f'DROP INDEX "{index.name}"')
        self._first = self.image()

    def image(self) -> Image:
        """A backup."""
        return {name: self.handle.execute(f'SELECT * FROM "{name}"').fetchall() for name in t.metadata.tables}

    def restore(self, image: Image) -> None:
        """Go back to a backup."""
        self.rollback()
        for name, rows in image.items():
            self.handle.execute(f'DELETE FROM "{name}"')
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                self.handle.executemany(f'INSERT INTO "{name}" VALUES ({marks})', rows)

    def reset(self) -> None:
        """Go back to how it was at first; prepared statements stay so, unlike after a copy of the pages."""
        self.restore(self._first)

    def connect(self) -> CrashingConnection:
        """The one connection of this engine."""
        return self

    def begin(self) -> CrashingConnection:
        """Open a transaction, which is this object too."""
        self.handle.execute("BEGIN IMMEDIATE")
        self._reading = True
        return self

    def commit(self) -> None:
        """Make the transaction durable, unless something happens."""
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
        if self.handle.in_transaction:
            self.handle.execute("ROLLBACK")

    def exec_driver_sql(self, text: str, parameters: Any = ()) -> Rows:
        """Run a statement given as text."""
        if self._reading and text.startswith("INSERT"):
            self._reading = False
            self.at_point("after reading")
        elif not self._reading:
            self.at_point("between two statements")
        cursor = self.handle.execute(text, parameters)
        make = self._row_types.get(text)
        if make is None:
            names = [column[0] for column in cursor.description or ()]
            make = self._row_types[text] = getattr(namedtuple("Row", names, rename=True), "_make")  # noqa: B009
        return Rows(cursor, make)

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Run any other statement."""
        return self.real.execute(statement, parameters)
