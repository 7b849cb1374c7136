"""Set-based statements: many rows in a few large statements, rendered once per size.

`sqlite3` lets go of the interpreter lock at every row of an `executemany`, and each waiting thread may
take it; a multi-row statement keeps it. Sizes are few so that every statement is compiled once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    Table,
    and_,
    bindparam,
    column,
    select,
    values,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError

SIZES = (256, 64, 16, 4, 1)
_dialect = sqlite.dialect(paramstyle="qmark")


def rendered(statement: Executable) -> str:
    """The text of `statement`, for one that is executed so often that composing it would cost more than running it."""
    return str(statement.compile(dialect=_dialect))  # type: ignore[attr-defined]


def run(connection: Connection, text: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Execute a rendered statement on the driver's own cursor and return its rows as plain tuples.

    SQLAlchemy would describe the columns of every result anew, which costs more than most of these statements.
    The driver's errors come out as SQLAlchemy's, like everybody else's.
    """
    cursor = connection.connection.cursor()
    try:
        cursor.execute(text, parameters)
        return list(cursor.fetchall())
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(text, None, error) from error
    finally:
        cursor.close()


class Prepared:
    """A statement with named parameters, rendered once."""

    def __init__(self, statement: Executable) -> None:
        compiled = statement.compile(dialect=_dialect)  # type: ignore[attr-defined]
        self._text = str(compiled)
        self._names: Sequence[str] = compiled.positiontup or ()
        self._fixed: dict[str, Any] = {name: value for name, value in compiled.params.items() if value is not None}

    def __call__(self, connection: Connection, **parameters: Any) -> list[tuple[Any, ...]]:
        """Execute it and return its rows."""
        given = {**self._fixed, **parameters}
        return run(connection, self._text, tuple(given[name] for name in self._names))


def chunks(rows: Sequence[Any]) -> list[Sequence[Any]]:
    """Cut `rows` into runs of the sizes for which statements are kept."""
    if len(rows) < 2:  # most of what a small commit reads and writes
        return [rows] if rows else []
    cut: list[Sequence[Any]] = []
    at = 0
    for size in SIZES:
        while len(rows) - at >= size:
            cut.append(rows[at : at + size])
            at += size
    return cut


class Insert:
    """`INSERT` of many rows of `table`, given as tuples in the order of its columns."""

    def __init__(self, table: Table, on_conflict: str = "fail") -> None:
        """`on_conflict` is `fail`, `ignore` or `replace` (every column but the key)."""
        self._table = table
        self._on_conflict = on_conflict
        self._texts: dict[int, str] = {}

    def __call__(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Write `rows`."""
        for chunk in chunks(rows):
            text = self._texts.get(len(chunk)) or self._render(len(chunk))
            run(connection, text, tuple(chain.from_iterable(chunk)))

    def _render(self, size: int) -> str:
        names = [column.name for column in self._table.columns]
        rows: list[dict[str, Any]] = [{name: bindparam(f"{name}_{row}") for name in names} for row in range(size)]
        statement = insert(self._table).values(rows)
        if self._on_conflict == "ignore":
            statement = statement.on_conflict_do_nothing()
        elif self._on_conflict == "replace":
            keys = list(self._table.primary_key.columns)
            rest = {c.name: statement.excluded[c.name] for c in self._table.columns if c not in keys}
            statement = statement.on_conflict_do_update(index_elements=keys, set_=rest)
        self._texts[size] = rendered(statement)
        return self._texts[size]


class Lookup:
    """`SELECT` of the rows of `table` whose `keys` columns are among many given tuples."""

    def __init__(self, table: FromClause, keys: Sequence[ColumnElement[Any]], *columns: ColumnElement[Any]) -> None:
        self._table = table
        self._statement = select(*(columns or table.columns))
        self._keys = keys
        self._texts: dict[int, str] = {}

    def __call__(self, connection: Connection, keys: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Read the rows for `keys`, in no particular order."""
        found: list[tuple[Any, ...]] = []
        for chunk in chunks(keys):
            text = self._texts.get(len(chunk)) or self._render(len(chunk))
            found += run(connection, text, tuple(chain.from_iterable(chunk)))
        return found

    def _render(self, size: int) -> str:
        rows = [tuple(bindparam(f"{key.name}_{row}", type_=key.type) for key in self._keys) for row in range(size)]
        wanted = values(*(column(key.name, key.type) for key in self._keys), name="wanted").data(rows).cte()
        matches = [key == wanted.c[key.name] for key in self._keys]
        statement = self._statement.select_from(wanted.join(self._table, and_(*matches)))
        self._texts[size] = rendered(statement)
        return self._texts[size]
