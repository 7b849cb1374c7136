"""Reads a stock sheet: how much of each product was counted, where. What is wrong is reported with file and line."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pos_client.files.cells import code_reader, read_gtin, read_listed_sku
from pos_client.files.numbers import NumberReader
from pos_client.files.problems import FileError, Problem, TextError
from pos_client.files.records import Unread
from pos_client.files.table import Form, NoColumn, Table, TableRow, WrongWidth, no_column, open_table, places
from pos_client.protocol import gtin
from pos_client.protocol.nearest import nearest
from pos_client.protocol.units import scaled

FIELDS = ("sku", "barcode", "quantity", "location")
"""The fields of a stock sheet, by the names of their columns."""
LOCATION_LIKENESS = 0.8
"""From how alike a column and a location are taken for the same, of 1: one slip in five letters."""
Report = Callable[[Problem], None]


@dataclass(frozen=True, slots=True)
class Figure:
    """What one cell says was counted, in units of 10⁻⁵; `code` is a SKU, or the 14 digits of a barcode."""

    line: int
    location: str
    code: str
    is_barcode: bool
    quantity: int


@dataclass(slots=True)
class StockSheet:
    """What a stock sheet says. `blank` cells were not counted; `ignored` are the columns that are not used."""

    file: str
    figures: list[Figure] = field(default_factory=list)
    blank: int = 0
    ignored: list[str] = field(default_factory=list)


def read_stock_sheet(
    path: Path,
    columns: Mapping[str, str],
    location: str | None,
    known: Collection[str],
    report: Report,
    form: Form,
    decimal: str | None,
) -> StockSheet:
    """The figures in the file `path`; `columns` maps fields to columns of another name.

    They are of `location`, or of what the column `location` says, or each location has a column that is called like it.
    Every location must be one of `known`. `report` receives each row that cannot be used. FileError if the file cannot
    be read at all.
    """
    named = {name: columns.get(name, name) for name in FIELDS}
    wanted = list(dict.fromkeys([*columns.values(), _code_column(path, columns, form)]))
    with open_table(path, form, wanted) as (table, _):
        rows = _Rows(path, table, named, location, known, decimal)
        for line, row in table.rows():
            for wrong in rows.add(line, row):
                report(Problem(str(path), line, wrong))
        for question in rows.questions():
            report(Problem(str(path), table.header_line, question))
    return rows.sheet


def _code_column(path: Path, columns: Mapping[str, str], form: Form) -> str:
    """The column of SKUs, or that of barcodes where the file has only those."""
    named = [columns[name] for name in ("sku", "barcode") if name in columns]
    if named:
        return named[0]
    try:
        with open_table(path, form, ["sku"]):
            return "sku"
    except NoColumn as error:
        if "barcode" in error.header:
            return "barcode"
        raise FileError(f"{error} Name it: --column sku=COLUMN") from error


class _Rows:
    """The rows of a sheet read so far."""

    def __init__(
        self,
        path: Path,
        table: Table,
        named: Mapping[str, str],
        location: str | None,
        known: Collection[str],
        decimal: str | None,
    ) -> None:
        header = table.header
        self.sheet = StockSheet(str(path))
        self._known = known
        self._named = named
        at = places(path, header, [name for name in named.values() if name in header])
        self._at = {field: at[name] for field, name in named.items() if name in at}
        if location is not None:
            self._at.pop("location", None)
        self._location = location
        self._columns = self._quantity_columns(path, header)
        self._numbers = {at: NumberReader(decimal, None, ()) for at, _, _ in self._columns}
        used = {*self._at.values(), *self._numbers}
        self.sheet.ignored = [name for at, name in enumerate(header) if name and at not in used]

    def _quantity_columns(self, path: Path, header: Sequence[str]) -> list[tuple[int, str, str | None]]:
        """Where quantities are: the column, its name, and the location if all of it are of one."""
        if "quantity" in self._at:
            if self._location is None and "location" not in self._at:
                raise FileError(
                    f"{path} does not say where its quantities are: give --location, or name the column with "
                    "--column location=COLUMN."
                )
            return [(self._at["quantity"], self._named["quantity"], self._location)]
        if self._location is None and "location" not in self._at:
            found = [(at, name, name) for at, name in enumerate(header) if name in self._known]
            if twice := next((name for _, name, _ in found if header.count(name) > 1), None):
                raise FileError(f"{path} has {header.count(twice)} columns {twice!r}: expected one; rename the others.")
            for name in header:
                if name not in self._known and (near := _alike(name, self._known)) is not None:
                    raise FileError(
                        f"{path} has a column {name!r} and HQ knows a location {near!r}: call the column like the "
                        "location, or take it out of the file."
                    )
            if found:
                return [(at, name, name) for at, name, _ in found]
        message = str(no_column(path, self._named["quantity"], header))
        locations = ", ".join(sorted(self._known)) or "none"
        raise FileError(
            f"{message} Name it with --column quantity=COLUMN, or call columns like locations ({locations})."
        )

    def add(self, line: int, row: TableRow) -> list[str]:
        """Add a row; return what is wrong with it."""
        if isinstance(row, Unread):
            return [row.reason]
        if isinstance(row, WrongWidth):
            return [f"row: expected {row.expected} cells as in the header, got {len(row.cells)}"]
        cells = [cell.strip() for cell in row]
        if not any(cells):
            return []
        wrong: list[str] = []
        found = self._code(cells, wrong)
        for at, name, location in self._columns:
            where = self._where(cells, location, wrong)
            if not cells[at]:
                self.sheet.blank += 1
                continue
            quantity = _read(name, self._quantity(at), cells[at], wrong)
            if found is not None and where is not None and quantity is not None:
                self.sheet.figures.append(Figure(line, where, *found, quantity))
        return list(dict.fromkeys(wrong))

    def _code(self, cells: Sequence[str], wrong: list[str]) -> tuple[str, bool] | None:
        """The code of a row, and whether it is a barcode; of both, the SKU."""
        sku, barcode = (cells[self._at[name]] if name in self._at else "" for name in ("sku", "barcode"))
        if barcode and not sku:
            digits = _read(self._named["barcode"], code_reader(_read_scanned, keep_damaged=False), barcode, wrong)
            return None if digits is None else (gtin.padded(digits), True)
        code = _read(self._named["sku"], code_reader(read_listed_sku, keep_damaged=False), sku, wrong)
        return None if code is None else (code, False)

    def _where(self, cells: Sequence[str], location: str | None, wrong: list[str]) -> str | None:
        where = cells[self._at["location"]] if location is None else location
        if where in self._known:
            return where
        near = nearest(where, self._known)
        advice = f"is it {near!r}?" if near else "HQ learns of a new one by: inventory-server location set"
        wrong.append(f"{self._named['location']}: expected a location that HQ knows, got {where!r}; {advice}")
        return None

    def _quantity(self, at: int) -> Callable[[str], int]:
        def read(text: str) -> int:
            quantity = scaled(self._numbers[at](text))
            if quantity < 0:
                raise TextError("a quantity of at least 0", "count what is there; less than nothing never is")
            return quantity

        return read

    def questions(self) -> list[str]:
        """What the numbers leave open."""
        return [f"{name}: {each}" for at, name, _ in self._columns for each in self._numbers[at].questions()]


def _alike(name: str, known: Collection[str]) -> str | None:
    """The location whose name a column nearly has: its figures must not be left out for a slip."""
    by_folded = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), by_folded, 1, LOCATION_LIKENESS)
    return by_folded[near[0]] if near else None


def _read_scanned(text: str) -> str:
    return gtin.scanned(text) if gtin.is_own_code(text) else read_gtin(text)


def _read(column: str, read: Callable[[str], Any], text: str, wrong: list[str]) -> Any:
    """What `read` makes of a cell; None where it fails, and why is added to `wrong`."""
    try:
        return read(text)
    except ValueError as error:
        advice = getattr(error, "advice", "")
        wrong.append(f"{column}: expected {error}, got {text!r}{advice and f'; {advice}'}")
        return None
