"""Reads a catalogue from a CSV file; whatever is wrong in it is reported with file, line and column."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inventory_server.domain.product import FIELDS, OF_SUPPLIER, PER_LOCATION, Product, Ranged, Supplier
from inventory_server.imports.catalog_cells import READERS, WrongCell
from pos_client.files.csv_reader import Problem, no_column, numbered, open_text
from pos_client.protocol.errors import TillwireError

_SAME_IN_ALL_ROWS = ("name", "unit", *OF_SUPPLIER)
"""What a product has only one of: its rows for several locations must agree."""


class CatalogError(TillwireError):
    """A catalogue file that cannot be read or has no SKU column."""


@dataclass
class Catalog:
    """What a catalogue file says; `columns` are the fields that it has, `ignored` its other columns.

    `scanned` has the line of each barcode.
    """

    products: list[Product] = field(default_factory=list)
    suppliers: list[Supplier] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    ignored: list[str] = field(default_factory=list)
    scanned: dict[str, int] = field(default_factory=dict)


def read_catalog(
    path: Path, columns: Mapping[str, str], report: Callable[[Problem], None], delimiter: str = ","
) -> Catalog:
    """The catalogue in the CSV file `path`; `columns` maps fields to columns of another name.

    Only `sku` is required. A barcode cell may contain several, separated by spaces: 8, 12, 13 or 14 digits with
    the right check digit. A row with a `location` ranges its product for it, with what differs there; a product may
    have one row for each. A row with a `supplier` and no `sku` is that supplier's. `delimiter` is one character.
    """
    try:
        with open_text(path) as (text, _):
            return _read(path, csv.reader(text, delimiter=delimiter), columns, report)
    except OSError as error:
        raise CatalogError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (EOFError, zlib.error) as error:
        raise CatalogError(f"{path} is cut short or damaged: {error}.") from error


def _read(
    path: Path, reader: Iterator[list[str]], columns: Mapping[str, str], report: Callable[[Problem], None]
) -> Catalog:
    header = next(reader, None)
    if header is None:
        raise CatalogError(f"{path} is empty: expected a header row with the columns {', '.join(FIELDS)}.")
    rows = _Rows(path, [name.strip() for name in header], columns)
    for line, cells in numbered(reader):
        for wrong in rows.add(line, cells):
            report(Problem(str(path), line, wrong))
    return rows.catalog()


class _Rows:
    """The rows of a file read so far."""

    def __init__(self, path: Path, header: Sequence[str], columns: Mapping[str, str]) -> None:
        self._width = len(header)
        self._names = {name: columns.get(name, name) for name in FIELDS}
        self._places = _places(path, header, columns, self._names)
        self._ignored = [name for at, name in enumerate(header) if name and at not in self._places.values()]
        self._lines: dict[tuple[str | None, str], int] = {}
        self._owners: dict[str, str] = {}
        self._scanned: dict[str, int] = {}
        self._products: dict[str, Product] = {}
        self._suppliers: list[Supplier] = []

    def catalog(self) -> Catalog:
        """What all rows say."""
        columns = tuple(name for name in FIELDS if name in self._places)
        return Catalog(list(self._products.values()), self._suppliers, columns, self._ignored, self._scanned)

    def add(self, line: int, cells: list[str] | csv.Error) -> list[str]:
        """Add a row; return what is wrong with it."""
        if isinstance(cells, csv.Error):
            return [f"row: expected CSV, got {cells}"]
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            return []
        if len(cells) != self._width:
            return [f"row: expected {self._width} cells as in the header, got {len(cells)}"]
        text = {name: cells[at] for name, at in self._places.items()}
        is_supplier = not text["sku"] and bool(text.get("supplier"))
        values, wrong = self._values(text, is_supplier)
        if not wrong:
            try:
                (self._add_supplier if is_supplier else self._add_product)(line, values)
            except _Contradiction as error:
                wrong.append(f"{self._names[error.field]}: {error}")
        return wrong

    def _values(self, text: Mapping[str, str], is_supplier: bool) -> tuple[dict[str, Any], list[str]]:
        values, wrong = {}, []
        for name, cell in text.items():
            try:
                if is_supplier and cell and name not in ("supplier", *OF_SUPPLIER):
                    raise WrongCell("nothing in the row of a supplier (it names no sku)", cell)
                is_read = bool(cell) or (name == "sku" and not is_supplier)
                values[name] = READERS[name](cell) if is_read else None
            except WrongCell as error:
                wrong.append(f"{self._names[name]}: {error}")
        return values, wrong

    def _add_supplier(self, line: int, values: Mapping[str, Any]) -> None:
        key = (None, values["supplier"])
        if key in self._lines:
            raise _Contradiction(
                "supplier", f"expected one row, got {key[1]!r} again; it is also in line {self._lines[key]}"
            )
        self._lines[key] = line
        self._suppliers.append(Supplier(values["supplier"], *(values.get(name) for name in OF_SUPPLIER)))

    def _add_product(self, line: int, values: Mapping[str, Any]) -> None:
        row = _product(values)
        key = (row.sku, values.get("location") or "")
        if key in self._lines:
            at = f" at {key[1]!r}" if key[1] else ""
            raise _Contradiction(
                "sku", f"expected each sku once{at}, got {row.sku!r} again; it is also in line {self._lines[key]}"
            )
        for code in row.barcodes:
            if self._owners.get(code, row.sku) != row.sku:
                raise _Contradiction("barcode", f"expected one sku for {code}, which {self._owners[code]!r} has too")
        self._products[row.sku] = _joined(self._products[row.sku], row) if row.sku in self._products else row
        self._lines[key] = line
        self._owners.update(dict.fromkeys(row.barcodes, row.sku))
        self._scanned.update(dict.fromkeys(row.barcodes, line))


class _Contradiction(Exception):
    """A field of a row that another row contradicts."""

    def __init__(self, field: str, said: str) -> None:
        super().__init__(said)
        self.field = field


def _product(values: Mapping[str, Any]) -> Product:
    """The product of one row."""
    location = values.get("location")
    here: dict[str, Any] = {name: values.get(name) for name in PER_LOCATION}
    everywhere: dict[str, Any] = {name: values.get(name) for name in _SAME_IN_ALL_ROWS}
    product = Product(values["sku"], barcodes=values.get("barcode") or (), **everywhere)
    if location is not None:
        return replace(product, ranged=(Ranged(location, **here),), has_own_row=False)
    return replace(product, ranged=() if "location" in values else None, **here)


def _joined(product: Product, row: Product) -> Product:
    """`product` with what a further row, for another location, says of it."""
    same = {}
    for name in _SAME_IN_ALL_ROWS:
        here, there = getattr(row, name), getattr(product, name)
        if here is not None and there is not None and here != there:
            raise _Contradiction(
                name, f"expected {there!r} as in the rows before of {row.sku!r}, or nothing, got {here!r}"
            )
        same[name] = here if there is None else there
    own = row if row.has_own_row else product
    return replace(
        own,
        **same,
        barcodes=tuple(dict.fromkeys(product.barcodes + row.barcodes)),
        ranged=(product.ranged or ()) + (row.ranged or ()),
    )


def _places(path: Path, header: Sequence[str], columns: Mapping[str, str], names: Mapping[str, str]) -> dict[str, int]:
    for name in columns.values():
        if name not in header:
            raise CatalogError(no_column(path, name, header))
    for name in names.values():
        if header.count(name) > 1:
            raise CatalogError(f"{path} has {header.count(name)} columns {name!r}: expected one.")
    places = {field: header.index(name) for field, name in names.items() if name in header}
    if "sku" not in places:
        complaint = no_column(path, "sku", header)
        advice = "" if "--delimiter" in complaint else f" Name it: --column sku={header[0]}"
        raise CatalogError(complaint + advice)
    return places
