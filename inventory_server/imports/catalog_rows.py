"""Writes a catalogue as the rows of a file that `catalog_csv` reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inventory_server.domain.answers import Catalogue
from inventory_server.domain.product import FIELDS, OF_SUPPLIER, PER_LOCATION, Product, Ranged, Supplier
from pos_client.files.exporting import ExportCell
from pos_client.protocol.units import unscaled


def catalog_rows(catalogue: Catalogue) -> Iterator[list[ExportCell]]:
    """A row for each supplier, each product, each of its packs and locations; the columns are `FIELDS`."""
    for supplier in catalogue.suppliers:
        yield _row({"supplier": supplier.supplier, **_fields(supplier, OF_SUPPLIER)})
    for product in catalogue.products:
        own = _fields(product, ("sku", "name", "unit", *PER_LOCATION, *OF_SUPPLIER))
        single = [code for code in product.barcodes if code not in product.packs]
        yield _row({**own, "barcode": " ".join(single) or None})
        for code, units in product.packs.items():
            yield _row({"sku": product.sku, "barcode": code, "barcode_units": units})
        for place in product.ranged or ():
            yield _row({"sku": product.sku, **_fields(place, ("location", *PER_LOCATION))})


def _fields(one: Product | Ranged | Supplier, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(one, name) for name in names}


def _row(values: dict[str, Any]) -> list[ExportCell]:
    return [_cell(name, values.get(name)) for name in FIELDS]


def _cell(name: str, value: Any) -> ExportCell:
    if value is None:
        return ""
    if name in ("reorder_point", "pack_size", "minimum"):
        return unscaled(value)
    return value if isinstance(value, int) else str(value)
