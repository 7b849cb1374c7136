"""Rendered SQL: every statement of the write path and of the everyday questions is turned into text once, then reused.

- `Statement`: one statement with named parameters.
- `Insert`: many rows by one statement for a single row, which SQLite executes for each in half the time of a statement
  with many (whose rows pass through a coroutine).
- `Lookup`: many rows by few statements, of only a few sizes, so that every text stays compiled. PostgreSQL is given one
  array for each column to read and to write, so that one text serves any number of rows.
- `plain_rows`: a statement whose shape depends on the question (filters, page), composed for it.
- `pages`: a whole table, in pieces that fit into memory.

Everything else (administration, closing, verify) is rare enough to execute SQLAlchemy statements on the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    CompoundSelect,
    Connection,
    Executable,
    FromClause,
    Select,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    column,
    func,
    select,
    tuple_,
    union_all,
    values,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from inventory_server.config import PAGE_BYTES_MAX
from inventory_server.store.ledger.time_limit import asking, assert_left

SIZES = (512, 256, 128, 64, 32, 16)
"""Rows in a multi-row statement, largest first; the remainder goes into one more statement."""


def run(connection: Connection, text: str, parameters: tuple[Any, ...] | list[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Execute rendered SQL on the driver's own cursor and return its rows as plain tuples.

    A list of `parameters` has it executed for each of them, without rows.

    SQLAlchemy would describe the columns of every result again, which costs more than most of these statements.
    Driver errors are raised as SQLAlchemy's DBAPIError; RequestError once a question has taken too long.
    """
    driver: Any = connection.connection
    if asking.time_limit is not None:
        assert_left()
    try:
        if isinstance(parameters, list):
            driver.executemany(text, parameters)
            return []
        cursor = driver.execute(text, parameters)
        return cursor.fetchall() if cursor.description else []
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(text, None, error) from error


def plain_rows(connection: Connection, statement: Executable, **parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement composed for one question, as plain tuples from the driver."""
    assert_left()
    cursor: Any = connection.execute(statement, parameters).cursor
    try:
        return list(cursor.fetchall())
    except connection.dialect.loaded_dbapi.Error as error:  # SQLite finds rows as they are fetched
        raise DBAPIError(None, None, error) from error


def pages(
    connection: Connection, columns: Sequence[ColumnElement[Any]], keys: Sequence[ColumnElement[Any]], rows_max: int
) -> Iterator[list[tuple[Any, ...]]]:
    """All rows of a table in the order of its `keys`, which are among `columns`, at most `rows_max` at a time.

    A page with a column `body` holds at most `PAGE_BYTES_MAX` of them, or a single row.
    """
    places = [columns.index(key) for key in keys]
    weighs = [func.length(each) for each in columns if each.name == "body"]
    page = select(*columns).order_by(*keys)
    after: tuple[Any, ...] | None = None
    while True:
        beyond = () if after is None else (tuple_(*keys) > after,)
        rows = rows_max
        if weighs:
            weighed = plain_rows(connection, select(*weighs).where(*beyond).order_by(*keys).limit(rows_max))
            rows = _fitting([bytes_ for (bytes_,) in weighed])
        found = plain_rows(connection, page.where(*beyond).limit(rows)) if rows else []
        if not found:
            return
        yield found
        after = tuple(found[-1][place] for place in places)


def _fitting(sizes: Sequence[int]) -> int:
    """How many of the first `sizes`, in bytes, are together at most `PAGE_BYTES_MAX`; at least one, if there is one."""
    fitting = sum(total <= PAGE_BYTES_MAX for total in accumulate(sizes))
    return max(fitting, 1) if sizes else 0


class Statement:
    """A statement with named parameters, rendered once for each dialect."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._rendered: dict[str, tuple[str, Sequence[str], dict[str, Any]]] = {}

    def __call__(self, connection: Connection, **parameters: Any) -> list[tuple[Any, ...]]:
        """Execute the statement and return its rows."""
        text, names, constants = self._rendered.get(connection.dialect.name) or self._render(connection)
        given = constants | parameters if constants else parameters
        return run(connection, text, tuple([given[name] for name in names]))

    def _render(self, connection: Connection) -> tuple[str, Sequence[str], dict[str, Any]]:
        compiled = self._statement.compile(dialect=connection.dialect)  # type: ignore[attr-defined]
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        self._rendered[connection.dialect.name] = rendered = (str(compiled), compiled.positiontup or (), constants)
        return rendered


def _rendered(statement: Executable, connection: Connection) -> str:
    return str(statement.compile(dialect=connection.dialect))  # type: ignore[attr-defined]


def _repeated(text: str, columns: int, rows: int) -> str:
    """`text`, an SQLite statement with one row of parameters, with so many of them.

    SQLAlchemy would compile each parameter by itself: half a second for the texts that a server needs first.
    """
    row = f"({', '.join('?' * columns)})"
    before, after = text.split(row)
    return before + ", ".join([row] * rows) + after


def _takes_arrays(connection: Connection) -> bool:
    """Whether many values are passed as arrays (PostgreSQL) rather than as one parameter for each value."""
    return connection.dialect.name == "postgresql"


def chunks(rows: Sequence[Any], pad: Any = None) -> list[Sequence[Any]]:
    """Split `rows` into runs of the sizes in `SIZES`, plus the remainder.

    With `pad`, a row that matches nothing, more than half a run is filled up to a whole one: fewer statements.
    """
    if len(rows) < SIZES[-1]:
        return [rows] if rows else []
    cut: list[Sequence[Any]] = []
    at, left = 0, len(rows)
    for size in SIZES:
        while left >= size:
            cut.append(rows[at : at + size])
            at += size
            left -= size
        if pad is not None and size // 2 < left:
            return [*cut, [*rows[at:], *[pad] * (size - left)]]
    if left:
        cut.append(rows[at:])
    return cut


class Insert:
    """`INSERT` of many rows into `table`, given as tuples in column order; the key columns come first."""

    def __init__(self, table: Table, on_conflict: str = "fail") -> None:
        """`on_conflict` is `fail`, `ignore` or `replace` (every column but the key)."""
        self._table = table
        self._on_conflict = on_conflict
        self._row_text: str | None = None
        self._array_text: str | None = None

    def __call__(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Write `rows`."""
        if not rows:
            return
        if _takes_arrays(connection):
            run(connection, self._array_text or self._render_arrays(connection), arrays_of(self._unique(rows)))
        else:
            run(connection, self._row_text or self._render_row(connection), list(rows))

    def _unique(self, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """The last row of each key: PostgreSQL replaces a row only once per statement."""
        if self._on_conflict != "replace":
            return rows
        key = len(self._table.primary_key.columns)
        return list({tuple(row[:key]): row for row in rows}.values())

    def _render_row(self, connection: Connection) -> str:
        row: dict[str, Any] = {column.name: bindparam(column.name) for column in self._table.columns}
        self._row_text = _rendered(self._resolved(sqlite.insert(self._table).values(row)), connection)
        return self._row_text

    def _render_arrays(self, connection: Connection) -> str:
        columns = list(self._table.columns)
        names = [column.name for column in columns]
        statement = postgresql.insert(self._table).from_select(names, select(unnested(columns)))
        self._array_text = _rendered(self._resolved(statement), connection)
        return self._array_text

    def _resolved(self, statement: Any) -> Any:
        """`statement` with its ON CONFLICT clause; both dialects build it in the same way."""
        if self._on_conflict == "ignore":
            return statement.on_conflict_do_nothing()
        if self._on_conflict == "replace":
            keys = list(self._table.primary_key.columns)
            rest = {c.name: statement.excluded[c.name] for c in self._table.columns if c not in keys}
            return statement.on_conflict_do_update(index_elements=keys, set_=rest)
        return statement


class Lookup:
    """`SELECT` of the rows of `table` whose `keys` columns are among many given tuples, and for which `where` holds."""

    def __init__(
        self,
        table: FromClause,
        keys: Sequence[ColumnElement[Any]],
        *columns: ColumnElement[Any],
        prunes: bool = False,
        where: ColumnElement[bool] | None = None,
        also: Sequence[Lookup] = (),
    ) -> None:
        """With `prunes`, PostgreSQL sees the keys when it plans and skips all other partitions.

        It then compares each key by itself, so that one key must determine the others. `also` are further lookups of
        the same keys, made by the same statement.
        """
        self._table = table
        self._prunes = prunes
        statement = select(*(columns or table.columns))
        self._statement = statement if where is None else statement.where(where)
        self._also = also
        self._keys = keys
        self._nothing = (None,) * len(keys)
        self._texts: dict[int, str] = {}
        self._array_text: str | None = None

    def __call__(self, connection: Connection, keys: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Read the rows for `keys`, in no particular order."""
        if not keys:
            return []
        if _takes_arrays(connection):
            return run(connection, self._array_text or self._render_arrays(connection), arrays_of(keys))
        found: list[tuple[Any, ...]] = []
        for chunk in chunks(keys, pad=self._nothing):
            text = self._texts.get(len(chunk)) or self._render(connection, len(chunk))
            found += run(connection, text, tuple(chain.from_iterable(chunk)))
        return found

    def _render(self, connection: Connection, size: int) -> str:
        text = _rendered(self._among(_given(self._keys, 1)), connection)
        self._texts[size] = _repeated(text, len(self._keys), size)
        return self._texts[size]

    def _render_arrays(self, connection: Connection) -> str:
        wanted = unnested(self._keys)
        statement: Executable = self._among(select(wanted).cte() if self._also else wanted)
        if self._prunes:
            found = (key == any_(bindparam(key.name, type_=ARRAY(_plain(key)))) for key in self._keys)
            statement = self._statement.where(*found)
        self._array_text = _rendered(statement, connection)
        return self._array_text

    def _among(self, wanted: FromClause) -> Select[Any] | CompoundSelect[Any]:
        matches = [key == given for key, given in zip(self._keys, wanted.c, strict=True)]
        found = self._statement.select_from(wanted.join(self._table, and_(*matches)))
        return union_all(found, *(each._among(wanted) for each in self._also)) if self._also else found


class ForEach:
    """A statement about each of many given tuples, joined to it as rows of `columns`, with named parameters besides."""

    def __init__(
        self,
        columns: Sequence[ColumnElement[Any]],
        statement: Callable[[FromClause], Executable],
        in_order: bool = False,
    ) -> None:
        """With `in_order`, SQLite joins in the order written: its planner cannot know how many rows are given."""
        self._columns = columns
        self._statement = statement
        self._in_order = in_order
        self._texts: dict[int, tuple[str, Sequence[str]]] = {}

    def __call__(
        self, connection: Connection, rows: Sequence[Sequence[Any]], **parameters: Any
    ) -> list[tuple[Any, ...]]:
        """Execute the statement for `rows`, and return what it finds for each, in no particular order."""
        found: list[tuple[Any, ...]] = []
        arrays = _takes_arrays(connection)
        for chunk in [rows] if arrays else chunks(rows, pad=(None,) * len(self._columns)):
            size = 0 if arrays else len(chunk)
            text, names = self._texts.get(size) or self._render(connection, size)
            given = dict(parameters)
            if arrays:
                given |= zip((each.name for each in self._columns), arrays_of(chunk), strict=True)
            for number, row in enumerate(() if arrays else chunk):
                given |= {f"{each.name}_{number}": value for each, value in zip(self._columns, row, strict=True)}
            found += run(connection, text, tuple([given[name] for name in names])) if chunk else []
        return found

    def _render(self, connection: Connection, size: int) -> tuple[str, Sequence[str]]:
        wanted = unnested(self._columns) if not size else _given(self._columns, size)
        compiled = self._statement(wanted).compile(dialect=connection.dialect)  # type: ignore[attr-defined]
        text = str(compiled)
        if size and self._in_order:
            text = text.replace(" JOIN ", " CROSS JOIN ")
        self._texts[size] = rendered = (text, compiled.positiontup or ())
        return rendered


def _given(columns: Sequence[ColumnElement[Any]], size: int) -> FromClause:
    """`size` rows of parameters, as a table."""
    rows = [tuple(bindparam(f"{each.name}_{row}", type_=each.type) for each in columns) for row in range(size)]
    return values(*(column(each.name, each.type) for each in columns), name="wanted").data(rows).cte()


def among(connection: Connection, one: ColumnElement[Any], many: Sequence[Any]) -> ColumnElement[bool]:
    """`one IN many`, for any number of values: PostgreSQL allows at most 65,535 parameters."""
    if _takes_arrays(connection):
        return one == any_(bindparam(None, many, type_=ARRAY(_plain(one)), unique=True))
    return one.in_(many)


def arrays_of(rows: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    """`rows` as one array literal for each column, the parameters of `unnested`.

    psycopg can write these, too, but that took most of the processor time of a drained sale.
    """
    return tuple("{" + ",".join(map(_element, column)) + "}" for column in zip(*rows, strict=True))


def _element(value: str | int | bytes | None) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unnested(columns: Sequence[ColumnElement[Any]]) -> FromClause:
    """`unnest` of one array for each column: many rows in PostgreSQL, whatever their number."""
    types = [_plain(each) for each in columns]
    arrays = [bindparam(each.name, type_=ARRAY(kind)) for each, kind in zip(columns, types, strict=True)]
    named = [column(each.name, kind) for each, kind in zip(columns, types, strict=True)]
    return func.unnest(*arrays).table_valued(*named, name="wanted").render_derived()


def _plain(one: ColumnElement[Any]) -> TypeEngine[Any]:
    """The type of a parameter compared with `one`, without a collation of its own."""
    return Text() if isinstance(one.type, Text) else one.type
