"""Reads products from a CSV file; invalid rows are reported with file and line."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from inventory_server.domain.product import Product, Ranged
from pos_client.files.cells import read_quantity
from pos_client.files.csv_reader import Problem, no_column, numbered, open_text
from pos_client.files.limits import CELL_LENGTH_MAX
from pos_client.protocol import gtin
from pos_client.protocol.errors import TillwireError
from pos_client.protocol.fields import Location, Sku
from pos_client.protocol.limits import NAME_LENGTH_MAX, TEXT_LENGTH_MAX
from pos_client.protocol.units import scaled

FIELDS = ("sku", "name", "unit", "barcode", "reorder_point", "location")

_CODE_EXPECTED = f"1 to {NAME_LENGTH_MAX} characters, UTF-8, without control characters"


class CatalogError(TillwireError):
    """A catalogue file that cannot be read or has no SKU column."""


class _BadCell(Exception):
    """A row or cell that is invalid."""


def read_catalog(
    path: Path, columns: Mapping[str, str], report: Callable[[Problem], None], delimiter: str = ","
) -> list[Product]:
    """The products in the CSV file `path`; `columns` maps fields to columns of another name.

    Only `sku` is required. A barcode cell may contain several, separated by spaces: 8, 12, 13 or 14 digits with
    the right check digit. A row with a `location` ranges its product for it, with a reorder point of its own; a product
    may have one row for each. `delimiter` is one character.
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
) -> list[Product]:
    header = next(reader, None)
    if header is None:
        raise CatalogError(f"{path} is empty: expected a header row with the columns {', '.join(FIELDS)}.")
    places = _places(path, header, columns)
    lines: dict[tuple[str, str], int] = {}
    scanned: dict[str, str] = {}
    products: dict[str, Product] = {}
    for line, cells in numbered(reader):
        try:
            if cells == []:
                continue
            row = _product(cells, header, places)
            key = (row.sku, row.ranged[0].location if row.ranged else "")
            if key in lines:
                raise _BadCell(
                    f"sku: expected each sku once{_at(key)}, got {row.sku!r} again; it is also in line {lines[key]}"
                )
            for code in row.barcodes:
                if scanned.get(code, row.sku) != row.sku:
                    raise _BadCell(f"barcode: expected one sku for {code}, which {scanned[code]!r} has too")
            product = _joined(products[row.sku], row) if row.sku in products else row
        except _BadCell as error:
            report(Problem(str(path), line, str(error)))
        else:
            lines[key] = line
            scanned.update(dict.fromkeys(row.barcodes, row.sku))
            products[row.sku] = product
    return list(products.values())


def _at(key: tuple[str, str]) -> str:
    return f" at {key[1]!r}" if key[1] else ""


def _joined(product: Product, row: Product) -> Product:
    """`product` with what a further row, for another location, says of it."""
    for field in ("name", "unit"):
        here, there = getattr(row, field), getattr(product, field)
        if here is not None and there is not None and here != there:
            raise _BadCell(
                f"{field}: expected {there!r} as in the rows before of {row.sku!r}, or nothing, got {here!r}"
            )
    return Product(
        sku=row.sku,
        name=product.name or row.name,
        unit=product.unit or row.unit,
        reorder_point=row.reorder_point if product.reorder_point is None else product.reorder_point,
        barcodes=tuple(dict.fromkeys(product.barcodes + row.barcodes)),
        ranged=(product.ranged or ()) + (row.ranged or ()),
    )


def _places(path: Path, header: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    for name in columns.values():
        if name not in header:
            raise CatalogError(no_column(path, name, header))
    named = {field: columns.get(field, field) for field in FIELDS}
    places = {field: header.index(name) for field, name in named.items() if name in header}
    if "sku" not in places:
        complaint = no_column(path, "sku", header)
        advice = "" if "--delimiter" in complaint else f" Name it: --column sku={header[0]}"
        raise CatalogError(complaint + advice)
    return places


def _product(cells: list[str] | csv.Error, header: Sequence[str], places: Mapping[str, int]) -> Product:
    if isinstance(cells, csv.Error):
        raise _BadCell(f"row: expected CSV, got {cells}")
    if len(cells) != len(header):
        raise _BadCell(f"row: expected {len(header)} cells as in the header, got {len(cells)}")
    text = {field: cells[at] for field, at in places.items()}
    reorder_point = _reorder_point(text.get("reorder_point"))
    location = _location(text.get("location"))
    return Product(
        sku=_sku(text["sku"]),
        name=_words("name", text.get("name")),
        unit=_words("unit", text.get("unit")),
        reorder_point=None if location else reorder_point,
        barcodes=tuple(map(_barcode, text.get("barcode", "").split())),
        ranged=(Ranged(location, reorder_point),) if location else None if location is None else (),
    )


def _checked(field: str, text: str, kind: Any, expected: str) -> str:
    try:
        text.encode()
        return str(msgspec.convert(text, kind))
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise _BadCell(f"{field}: expected {expected}, got {text[:CELL_LENGTH_MAX]!a}") from error


def _sku(text: str) -> str:
    sku = _checked("sku", text, Sku, _CODE_EXPECTED)
    if sku.startswith(gtin.SUSPENSE_PREFIX):
        raise _BadCell(
            f"sku: expected one that does not begin with {gtin.SUSPENSE_PREFIX!r} (barcodes that no catalogue lists), "
            f"got {sku!r}"
        )
    return sku


def _location(text: str | None) -> str | None:
    """The location of a row; empty: none in particular, None: the file has no such column."""
    if not text:
        return text
    return _checked("location", text, Location, _CODE_EXPECTED)


def _barcode(text: str) -> str:
    try:
        return gtin.checked(text)
    except ValueError as error:
        raise _BadCell(f"barcode: expected {error}, got {text[:CELL_LENGTH_MAX]!a}") from error


def _words(field: str, text: str | None) -> str | None:
    if not text:
        return None
    if len(text) > TEXT_LENGTH_MAX or not text.isprintable():
        raise _BadCell(
            f"{field}: expected at most {TEXT_LENGTH_MAX} printable characters, got {text[:CELL_LENGTH_MAX]!a}"
        )
    return text


def _reorder_point(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return scaled(read_quantity(text))
    except ValueError as error:
        raise _BadCell(f"reorder_point: expected {error}, got {text[:CELL_LENGTH_MAX]!r}") from error
