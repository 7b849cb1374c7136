"""HQ's database in memory: a real SQLite store whose connection can crash at named points of a commit.

What was not committed is lost with a crash, what was committed stays: an SQLite file in WAL with
synchronous=FULL, without the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
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
    common |= {"closed_at": 0}  # those that no device uses hold nothing back
    rows = [{"terminal": name, "role": role, "location": place} for name, role, place in terminals]
    connection.execute(t.terminal.insert(), [{**row, **common, "pending": 0, "dead": 0} for row in rows])


class _Handle(sqlite3.Connection):
    """Tells of each statement before it runs."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.before: Callable[[str], None] = nothing_happens

    def execute(self, text: str, parameters: Any = ()) -> sqlite3.Cursor:
        self.before(text)
        return super().execute(text, parameters)


class CrashingConnection:
    """Stands in for the writer's `Connection` and for the engine it comes from.

    While it `crashes` at all, `at_point` hears where in a commit HQ is and may raise to crash it there; `fault`
    names an error that the commit is to meet, if any. Whatever is not about transactions is left to SQLAlchemy.
    """

    def __init__(
        self, terminals: Sequence[tuple[str, Role, str]], skus: Sequence[str], unique_ids: bool = True
    ) -> None:
        """As the first server finds it: `terminals` (name, role, location) enrolled, `skus` listed.

        Without `unique_ids` an id may be stored twice: only planted bugs want that.
        """
        self.handle = sqlite3.connect(":memory:", isolation_level=None, cached_statements=1024, factory=_Handle)
        self._engine = create_engine("sqlite://", poolclass=StaticPool, creator=lambda: self.handle)
        self.real: Connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self.at_point: Callable[[str], None] = nothing_happens
        self.crashes: Callable[[], bool] = lambda: False
        self.fault: Callable[[], str | None] = lambda: None
        self._writing = False
        _fill(self.real, terminals, skus)
        if not unique_ids:
            self.handle.executescript("DROP TABLE identity; CREATE TABLE identity (id, position)")
        self._first = self.image()
        self.dialect = self.real.dialect

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    @property
    def connection(self) -> sqlite3.Connection:
        """The driver's connection, as of a `Connection`."""
        return self.handle

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
        before, self.handle.before = self.handle.before, nothing_happens
        before("")
        try:
            return self.real.execute(*arguments)
        finally:
            self.handle.before = before

    def begin(self) -> CrashingConnection:
        """Open a transaction, which is this object too."""
        self.handle.execute("BEGIN IMMEDIATE")
        self.handle.before = self._before if self.crashes() else nothing_happens
        self._writing = False
        return self

    def commit(self) -> None:
        """Make the transaction durable, unless something happens."""
        self.handle.before = nothing_happens
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
        self.handle.before = nothing_happens
        if self.handle.in_transaction:
            self.handle.execute("ROLLBACK")

    def _before(self, text: str) -> None:
        if self._writing:
            self.at_point("between two statements")
        elif text.startswith("INSERT"):
            self._writing = True
            self.at_point("after reading")
