"""Reads a catalogue from a CSV file; whatever is wrong in it is reported with file, line and column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inventory_server.domain.product import FIELDS, OF_SUPPLIER, PER_LOCATION, Product, Ranged, Supplier
from inventory_server.imports.catalog_cells import NUMBERS, WrongBarcode, WrongCell, readers
from pos_client.files.numbers import NumberReader
from pos_client.files.problems import FileError, Problem
from pos_client.files.records import Unread
from pos_client.files.table import Form, NoColumn, Table, TableRow, WrongWidth, no_column, open_table

_SAME_IN_ALL_ROWS = ("name", "unit", *OF_SUPPLIER)
"""What a product has only one of: its rows for several locations must agree."""


@dataclass
class Catalog:
    """What a catalogue file says; `columns` are the fields that it has, `ignored` its other columns.

    `scanned` has the line of each barcode. The products of `with_wrong_barcodes` keep the barcodes they have, because
    not all that the file says of them can be read.
    """

    products: list[Product] = field(default_factory=list)
    suppliers: list[Supplier] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    ignored: list[str] = field(default_factory=list)
    scanned: dict[str, int] = field(default_factory=dict)
    with_wrong_barcodes: set[str] = field(default_factory=set)
    wrong_barcodes: list[Problem] = field(default_factory=list)


def read_catalog(
    path: Path,
    columns: Mapping[str, str],
    report: Callable[[Problem], None],
    form: Form | None = None,
    decimal: str | None = None,
) -> Catalog:
    """The catalogue in the file `path`; `columns` maps fields to columns of another name.

    Only `sku` is required. A barcode is 8, 12, 13 or 14 digits with the right check digit; a product may have
    several, in one cell, in rows or in columns of their own; those of a row with `barcode_units` stand for so many
    units. A row with a `location` ranges its product for it, with what differs there; a product may have one row
    for each. A row with a `supplier` and no `sku` is that supplier's.
    `report` receives what keeps the file from being imported. FileError if it cannot be read at all.
    """
    numbers = {name: NumberReader(decimal, None, ()) for name in NUMBERS}
    try:
        with open_table(path, form or Form(), [columns.get("sku", "sku")]) as (table, _):
            rows = _Rows(path, table, columns, numbers)
            for line, row in table.rows():
                for wrong in rows.add(line, row):
                    report(Problem(str(path), line, wrong))
    except NoColumn as error:
        if "sku" in columns or "--delimiter" in str(error):
            raise
        raise FileError(f"{error} Name it: --column sku={error.header[0]}") from error
    for name, reader in numbers.items():
        for question in reader.questions():
            report(Problem(str(path), table.header_line, f"{columns.get(name, name)}: {question}"))
    return rows.catalog()


class _Rows:
    """The rows of a file read so far."""

    def __init__(
        self, path: Path, table: Table, columns: Mapping[str, str], numbers: Mapping[str, NumberReader]
    ) -> None:
        header = table.header
        self._path = path
        self._readers = readers(numbers)
        self._names = {name: columns.get(name, name) for name in FIELDS}
        self._places = _places(path, header, columns, self._names)
        used = {at for places in self._places.values() for at in places}
        self._ignored = [name for at, name in enumerate(header) if name and at not in used]
        self._lines: dict[tuple[str | None, str], tuple[int, Product | None]] = {}
        self._owners: dict[str, str] = {}
        self._scanned: dict[str, int] = {}
        self._products: dict[str, Product] = {}
        self._suppliers: list[Supplier] = []
        self._wrong_barcodes: list[Problem] = []
        self._with_wrong_barcodes: set[str] = set()

    def catalog(self) -> Catalog:
        """What all rows say."""
        columns = tuple(name for name in FIELDS if name in self._places)
        return Catalog(
            list(self._products.values()),
            self._suppliers,
            columns,
            self._ignored,
            self._scanned,
            self._with_wrong_barcodes,
            self._wrong_barcodes,
        )

    def add(self, line: int, row: TableRow) -> list[str]:
        """Add a row; return what is wrong with it."""
        if isinstance(row, Unread):
            return [row.reason]
        if isinstance(row, WrongWidth):
            return [f"row: expected {row.expected} cells as in the header, got {len(row.cells)}"]
        text = {
            name: " ".join(filter(None, (row[at].strip() for at in at_all))) for name, at_all in self._places.items()
        }
        if not any(text.values()):
            return []
        is_supplier = not text["sku"] and bool(text.get("supplier"))
        values, wrong = self._values(line, text, is_supplier)
        if not wrong:
            try:
                (self._add_supplier if is_supplier else self._add_product)(line, values)
            except _Contradiction as error:
                wrong.append(f"{self._names[error.field]}: {error}")
        return wrong

    def _values(self, line: int, text: Mapping[str, str], is_supplier: bool) -> tuple[dict[str, Any], list[str]]:
        values, wrong = {}, []
        for name, cell in text.items():
            try:
                if is_supplier and cell and name not in ("supplier", *OF_SUPPLIER):
                    raise WrongCell("nothing in the row of a supplier (it names no sku)", cell)
                is_read = bool(cell) or (name == "sku" and not is_supplier)
                values[name] = self._readers[name](cell) if is_read else None
            except WrongBarcode as error:
                values[name] = None
                self._with_wrong_barcodes.add(text["sku"])
                self._wrong_barcodes.append(Problem(str(self._path), line, f"{self._names[name]}: {error}"))
            except WrongCell as error:
                wrong.append(f"{self._names[name]}: {error}")
        return values, wrong

    def _add_supplier(self, line: int, values: Mapping[str, Any]) -> None:
        key = (None, values["supplier"])
        if key in self._lines:
            raise _Contradiction(
                "supplier", f"expected one row, got {key[1]!r} again; it is also in line {self._lines[key][0]}"
            )
        self._lines[key] = (line, None)
        self._suppliers.append(Supplier(values["supplier"], *(values.get(name) for name in OF_SUPPLIER)))

    def _add_product(self, line: int, values: Mapping[str, Any]) -> None:
        row = _product(values)
        key = (row.sku, values.get("location") or "")
        before = self._lines.get(key)
        if before is not None and not _is_another_barcode(before[1], row):
            at = f" at {key[1]!r}" if key[1] else ""
            raise _Contradiction(
                "sku", f"expected each sku once{at}, got {row.sku!r} again; it is also in line {before[0]}"
            )
        for code in row.barcodes:
            if self._owners.get(code, row.sku) != row.sku:
                raise _Contradiction(
                    "barcode", f"expected one sku for {code}, got {self._owners[code]!r} and {row.sku!r}"
                )
        if before is not None:
            product = self._products[row.sku]
            self._products[row.sku] = replace(product, **_codes(product, row))
        else:
            self._products[row.sku] = _joined(self._products[row.sku], row) if row.sku in self._products else row
            self._lines[key] = (line, row)
        self._owners.update(dict.fromkeys(row.barcodes, row.sku))
        self._scanned.update(dict.fromkeys(row.barcodes, line))


def _is_another_barcode(before: Product | None, row: Product) -> bool:
    """True if `row` repeats the row `before`, or says nothing, but for barcodes of its own."""
    if before is None or not row.barcodes:
        return False
    plain = replace(row, barcodes=before.barcodes, packs=before.packs)
    return set(row.barcodes).isdisjoint(before.barcodes) and plain in (
        before,
        Product(row.sku, barcodes=before.barcodes, packs=before.packs, ranged=row.ranged, has_own_row=row.has_own_row),
    )


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
    barcodes, units = values.get("barcode") or (), values.get("barcode_units") or 1
    if units != 1 and not barcodes:
        raise _Contradiction("barcode_units", f"expected nothing where the row has no barcode, got {units}")
    packs = dict.fromkeys(barcodes, units) if units != 1 else {}
    product = Product(values["sku"], barcodes=barcodes, packs=packs, **everywhere)
    if location is not None:
        return replace(product, ranged=(Ranged(location, **here),), has_own_row=False)
    return replace(product, ranged=() if "location" in values else None, **here)


def _codes(product: Product, row: Product) -> dict[str, Any]:
    """The barcodes of a product with those of a further row."""
    for code in row.barcodes:
        here, there = row.packs.get(code, 1), product.packs.get(code, 1)
        if code in product.barcodes and here != there:
            raise _Contradiction(
                "barcode_units", f"expected {there} for {code} as in the rows before of {row.sku!r}, got {here}"
            )
    return {
        "barcodes": tuple(dict.fromkeys(product.barcodes + row.barcodes)),
        "packs": {**product.packs, **row.packs},
    }


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
        **_codes(product, row),
        ranged=(product.ranged or ()) + (row.ranged or ()),
    )


def _places(
    path: Path, header: Sequence[str], columns: Mapping[str, str], names: Mapping[str, str]
) -> dict[str, list[int]]:
    """Where each field is in `header`: in one column, and barcodes in several of the same name, too."""
    for name in columns.values():
        if name not in header:
            raise no_column(path, name, header)
    for field_name, name in names.items():
        if header.count(name) > 1 and field_name != "barcode":
            raise FileError(f"{path} has {header.count(name)} columns {name!r}: expected one; rename the others.")
    return {
        field_name: [at for at, each in enumerate(header) if each == name]
        for field_name, name in names.items()
        if name in header
    }
