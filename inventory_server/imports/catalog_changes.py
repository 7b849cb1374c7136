"""What an import of a catalogue file would change: products added, and fields changed or cleared. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from inventory_server.domain.answers import Catalogue
from inventory_server.domain.product import OF_SUPPLIER, PER_LOCATION, Product, Ranged, Supplier
from inventory_server.imports.catalog_csv import Catalog

_OF_PRODUCT = ("name", "unit", *PER_LOCATION, *OF_SUPPLIER)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of a product or supplier that changes, of a product at a `location` if that is given.

    Values are those of the catalogue: quantities in units of 10⁻⁵, barcodes and locations as tuples; None: nothing.
    """

    of: str
    field: str
    before: Any
    after: Any
    location: str | None = None

    @property
    def clears(self) -> bool:
        """True if there is nothing afterwards."""
        return self.after in (None, ())


@dataclass(slots=True)
class CatalogChanges:
    """What an import would do: `unchanged` products and suppliers of the file stay as they are."""

    added: list[str] = field(default_factory=list)
    changes: list[FieldChange] = field(default_factory=list)
    unchanged: int = 0


def changes_of(found: Catalog, listed: Catalogue) -> CatalogChanges:
    """How the catalogue `listed` differs once `found` is imported."""
    told = CatalogChanges()
    products = {product.sku: product for product in listed.products}
    suppliers = {supplier.supplier: supplier for supplier in listed.suppliers}
    for supplier in found.suppliers:
        _note(told, supplier.supplier, suppliers.get(supplier.supplier), _of_supplier(found, supplier, suppliers))
    for product in found.products:
        known = products.get(product.sku)
        _note(told, product.sku, known, () if known is None else _of_product(found, product, known))
    named = {code: product.sku for product in found.products for code in product.barcodes}
    skus = {product.sku for product in found.products}
    for other in listed.products:
        kept = tuple(code for code in other.barcodes if code not in named)
        if other.sku not in skus and kept != other.barcodes:
            told.changes.append(FieldChange(other.sku, "barcode", other.barcodes, kept))
    return told


def _note(told: CatalogChanges, name: str, known: object, differing: Iterator[FieldChange] | tuple[()]) -> None:
    changes = list(differing)
    told.changes += changes
    if known is None:
        told.added.append(name)
    elif not changes:
        told.unchanged += 1


def _of_supplier(
    found: Catalog, supplier: Supplier, suppliers: Mapping[str, Supplier]
) -> Iterator[FieldChange] | tuple[()]:
    known = suppliers.get(supplier.supplier)
    return () if known is None else _differing(found, supplier.supplier, known, supplier, OF_SUPPLIER)


def _of_product(found: Catalog, product: Product, known: Product) -> Iterator[FieldChange]:
    names = [name for name in _OF_PRODUCT if product.has_own_row or name not in PER_LOCATION]
    yield from _differing(found, product.sku, known, product, names)
    if "barcode" in found.columns and product.sku not in found.with_wrong_barcodes:
        packs = product.packs if "barcode_units" in found.columns else known.packs
        before, after = _codes(known.barcodes, known.packs), _codes(product.barcodes, packs)
        if before != after:
            yield FieldChange(product.sku, "barcode", before, after)
    if product.ranged is not None:
        yield from _of_places(found, product.sku, known.ranged or (), product.ranged)


def _codes(barcodes: tuple[str, ...], packs: Mapping[str, int]) -> tuple[str, ...]:
    """Barcodes, each with the units that it stands for if they are not one."""
    return tuple(f"{code}={packs[code]}" if code in packs else code for code in sorted(barcodes))


def _of_places(found: Catalog, sku: str, known: tuple[Ranged, ...], given: tuple[Ranged, ...]) -> Iterator[FieldChange]:
    before, after = (tuple(sorted(each.location for each in places)) for places in (known, given))
    if before != after:
        yield FieldChange(sku, "location", before, after)
    there = {each.location: each for each in known}
    for place in given:
        here = there.get(place.location, Ranged(place.location))
        yield from _differing(found, sku, here, place, PER_LOCATION, place.location)


def _differing(
    found: Catalog, of: str, known: Any, given: Any, names: Any, location: str | None = None
) -> Iterator[FieldChange]:
    for name in names:
        before, after = getattr(known, name), getattr(given, name)
        if name in found.columns and before != after:
            yield FieldChange(of, name, before, after, location)
