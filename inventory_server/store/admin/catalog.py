"""The catalogue: products with their units, barcodes, reorder points and locations, and their suppliers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, or_, select, update

from inventory_server.domain.answers import Catalogue, ProductCard, ProductTerms
from inventory_server.domain.inventory import FLAGS
from inventory_server.domain.product import FIELDS, OF_SUPPLIER, PER_LOCATION, Product, Ranged, Supplier
from inventory_server.store.admin.near import did_you_mean
from inventory_server.store.database.base import StoreError
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.sql import Insert, Lookup, among
from pos_client.protocol.gtin import suspense_sku
from pos_client.protocol.units import unscaled

_ranged = t.product_location.c
_suppliers = Lookup(t.supplier, [t.supplier.c.supplier])
_products = Lookup(t.product, [t.product.c.sku])
_ranges = Lookup(t.product_location, [_ranged.sku])
_barcodes = Lookup(t.barcode, [t.barcode.c.gtin])
_barcodes_of = Lookup(t.barcode, [t.barcode.c.sku])
_name_suppliers = Insert(t.supplier, "ignore")
_put_suppliers = Insert(t.supplier, "replace")
_put_products = Insert(t.product, "replace")
_put_barcodes = Insert(t.barcode, "replace")
_put_packs = Insert(t.pack, "ignore")
_put_ranged = Insert(t.product_location, "replace")


def import_products(
    connection: Connection,
    products: Iterable[Product],
    suppliers: Iterable[Supplier] = (),
    columns: Collection[str] = FIELDS,
) -> int:
    """Add products and suppliers, or change of them what `columns` name; return the number of products."""
    by_sku = {product.sku: product for product in products}
    _import_suppliers(connection, suppliers, columns)
    ranged = {(r.location, p.sku): r for p in by_sku.values() for r in p.ranged or ()}
    named = {each.supplier for each in by_sku.values()} | {each.supplier for each in ranged.values()}
    _name_suppliers(connection, [(supplier, None, None, None) for supplier in named - {None}])
    known = {row[0]: row for row in _products(connection, [(sku,) for sku in by_sku])}
    _put_products(connection, [_product_row(each, known.get(each.sku), columns) for each in by_sku.values()])
    singles = _import_barcodes(connection, by_sku, columns) if "barcode" in columns else []
    _import_ranges(connection, [p.sku for p in by_sku.values() if p.ranged is not None], ranged, columns)
    is_ranged = select(_ranged.sku).where(_ranged.sku == t.product.c.sku, among(connection, _ranged.sku, list(by_sku)))
    connection.execute(update(t.product).where(is_ranged.exists()).values(is_ranged=1))
    _settle_unlisted(connection, [*by_sku, *map(suspense_sku, singles)])
    return len(by_sku)


def _import_barcodes(connection: Connection, by_sku: Mapping[str, Product], columns: Collection[str]) -> list[str]:
    """Replace the barcodes of products; return those that are of one unit.

    Those that stay are of as many units as before, unless `columns` say it.
    """
    known = {row[0]: row for row in _barcodes(connection, [(c,) for p in by_sku.values() for c in p.barcodes])}
    rows = {}
    for sku, product in by_sku.items():
        for code in product.barcodes:
            before = known.get(code)
            stays = before is not None and before[1] == sku and "barcode_units" not in columns
            rows[code] = (code, sku, before[2] if before is not None and stays else product.packs.get(code, 1))
    connection.execute(delete(t.barcode).where(among(connection, t.barcode.c.sku, list(by_sku))))
    _put_barcodes(connection, list(rows.values()))
    _put_packs(connection, [(code, units) for code, _, units in rows.values() if units != 1])
    return [code for code, _, units in rows.values() if units == 1]


def _import_suppliers(connection: Connection, suppliers: Iterable[Supplier], columns: Collection[str]) -> None:
    given = {each.supplier: each for each in suppliers}
    known = {row[0]: row for row in _suppliers(connection, [(name,) for name in given])}
    kept = [name for name in OF_SUPPLIER if name not in columns]
    rows = [_merged(t.supplier, _values(each), known.get(each.supplier), kept) for each in given.values()]
    _put_suppliers(connection, rows)


def _import_ranges(
    connection: Connection, skus: Sequence[str], ranged: Mapping[tuple[str, str], Ranged], columns: Collection[str]
) -> None:
    """Replace the locations of `skus`; of those that stay, what `columns` do not name stays too."""
    known = {(row[0], row[1]): row for row in _ranges(connection, [(sku,) for sku in skus])}
    kept = [name for name in PER_LOCATION if name not in columns]
    connection.execute(delete(t.product_location).where(among(connection, _ranged.sku, skus)))
    rows = [
        _merged(t.product_location, _values(each) | {"sku": sku}, known.get((location, sku)), kept)
        for (location, sku), each in ranged.items()
    ]
    _put_ranged(connection, rows)


def _product_row(product: Product, known: Sequence[Any] | None, columns: Collection[str]) -> tuple[Any, ...]:
    kept = [column.name for column in t.product.c if column.name not in (*columns, "sku", "is_ranged")]
    kept += [] if product.has_own_row else [name for name in PER_LOCATION if name not in kept]
    return _merged(t.product, _values(product) | {"is_ranged": 0}, known, kept)


def _values(one: Product | Ranged | Supplier) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


def _merged(
    table: Table, values: Mapping[str, Any], known: Sequence[Any] | None, kept: Collection[str]
) -> tuple[Any, ...]:
    """The row of `values`, in the order of the columns of `table`; what is `kept` is that of the row `known`."""
    names = [column.name for column in table.c]
    return tuple(values[name] if known is None or name not in kept else known[at] for at, name in enumerate(names))


def _settle_unlisted(connection: Connection, skus: list[str]) -> None:
    """Have nobody look into what was posted of products, and by barcodes, that the catalogue lists now."""
    flagged = t.flagged.c
    gone = among(connection, flagged.subject, skus)
    connection.execute(delete(t.flagged).where(flagged.flag == FLAGS.index("unlisted_product"), gone))


def find_barcodes(connection: Connection, barcodes: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Those of `barcodes` that are listed, by their 14 digits: the SKU, and how many units of it each stands for."""
    return {row[0]: (row[1], row[2]) for row in _barcodes(connection, [(gtin,) for gtin in barcodes])}


def list_products(connection: Connection) -> Catalogue:
    """The whole catalogue, as an import would state it."""
    barcodes: dict[str, list[str]] = {}
    packs: dict[str, dict[str, int]] = {}
    for code, sku, units in connection.execute(select(t.barcode).order_by(t.barcode.c.gtin)):
        barcodes.setdefault(sku, []).append(code)
        if units != 1:
            packs.setdefault(sku, {})[code] = units
    ranged: dict[str, list[Ranged]] = {}
    for place in _rows(connection, select(t.product_location).order_by(_ranged.sku, _ranged.location)):
        ranged.setdefault(place.pop("sku"), []).append(Ranged(**place))
    products = []
    for row in _rows(connection, select(t.product).order_by(t.product.c.sku)):
        sku, _ = row["sku"], row.pop("is_ranged")
        codes, places = tuple(barcodes.get(sku, ())), tuple(ranged.get(sku, ()))
        products.append(Product(**row, barcodes=codes, packs=packs.get(sku, {}), ranged=places))
    suppliers = _rows(connection, select(t.supplier).order_by(t.supplier.c.supplier))
    return Catalogue(products, [Supplier(**each) for each in suppliers])


def remove_product(connection: Connection, sku: str) -> None:
    """Take a product off the catalogue; StoreError while any of it is in stock or on the road."""
    if connection.execute(select(t.product.c.sku).where(t.product.c.sku == sku)).first() is None:
        raise _not_listed(connection, sku)
    level = t.level.c
    left = select(level.location, level.on_hand, level.in_transit).where(
        level.sku == sku, or_(level.on_hand != 0, level.in_transit != 0)
    )
    if (first := connection.execute(left.order_by(level.location).limit(1)).first()) is not None:
        raise StoreError(
            f"{sku} has {unscaled(first.on_hand)} on hand and {unscaled(first.in_transit)} in transit at "
            f"{first.location}: count it to 0 first, or merge it into another: inventory-server product merge"
        )
    for table in (t.barcode, t.product_location, t.product):
        connection.execute(delete(table).where(table.c.sku == sku))


def _not_listed(connection: Connection, sku: str) -> StoreError:
    near = did_you_mean(connection, t.product.c.sku, sku)
    return StoreError(f"The catalogue does not list {sku}; {near}list it with: inventory-server catalog import")


def show_product(connection: Connection, sku: str) -> ProductCard:
    """What the catalogue says of a product; StoreError if it does not list it."""
    products = _rows(connection, select(t.product).where(t.product.c.sku == sku))
    if not products:
        raise _not_listed(connection, sku)
    [listed] = products
    ranges = select(t.product_location).where(_ranged.sku == sku).order_by(_ranged.location)
    places = _rows(connection, ranges)
    named = {each["supplier"] for each in (listed, *places)} - {None}
    suppliers = {row[0]: row for row in _suppliers(connection, [(name,) for name in named])}
    terms = [_terms(None, listed, {}, suppliers)]
    terms += [_terms(each["location"], listed, each, suppliers) for each in places]
    codes = {row[0]: row[2] for row in sorted(_barcodes_of(connection, [(sku,)]))}
    packs = {code: units for code, units in codes.items() if units != 1}
    return ProductCard(sku, listed["name"], listed["unit"], list(codes), packs, terms)


def _rows(connection: Connection, statement: Select[Any]) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in connection.execute(statement).mappings()]


def _terms(
    location: str | None, product: Mapping[str, Any], here: Mapping[str, Any], suppliers: Mapping[str, Sequence[Any]]
) -> ProductTerms:
    values = {name: product[name] if here.get(name) is None else here[name] for name in PER_LOCATION}
    figures: dict[str, Any] = {
        name: value if value is None or name == "supplier" else unscaled(value) for name, value in values.items()
    }
    asked = dict(zip((column.name for column in t.supplier.c), suppliers.get(values["supplier"], ()), strict=False))
    when: dict[str, Any] = {name: asked.get(name) if product[name] is None else product[name] for name in OF_SUPPLIER}
    return ProductTerms(location, **figures, **when)
