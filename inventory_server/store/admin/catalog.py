"""The catalogue: products with their units, barcodes, reorder points and locations."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select, update

from inventory_server.domain.inventory import FLAGS
from inventory_server.domain.product import Product
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.sql import Insert, among
from pos_client.protocol.gtin import suspense_sku

_ranged = t.product_location.c
_put_products = Insert(t.product, "replace")
_put_barcodes = Insert(t.barcode, "replace")
_put_ranged = Insert(t.product_location, "replace")


def import_products(connection: Connection, products: Iterable[Product]) -> int:
    """Add `products` to the catalogue, replacing the data of their SKUs; return the number of SKUs."""
    by_sku = {product.sku: product for product in products}
    told = {p.sku: p.ranged for p in by_sku.values() if p.ranged is not None}
    _put_products(connection, [(p.sku, p.name, p.unit, p.reorder_point, 0) for p in by_sku.values()])
    _put_barcodes(connection, list({gtin: (gtin, p.sku) for p in by_sku.values() for gtin in p.barcodes}.values()))
    connection.execute(delete(t.product_location).where(among(connection, _ranged.sku, list(told))))
    _put_ranged(connection, [(r.location, sku, r.reorder_point) for sku, ranged in told.items() for r in ranged])
    is_ranged = select(_ranged.sku).where(_ranged.sku == t.product.c.sku, among(connection, _ranged.sku, list(by_sku)))
    connection.execute(update(t.product).where(is_ranged.exists()).values(is_ranged=1))
    _settle_unlisted(connection, [*by_sku, *(suspense_sku(gtin) for p in by_sku.values() for gtin in p.barcodes)])
    return len(by_sku)


def _settle_unlisted(connection: Connection, skus: list[str]) -> None:
    """Have nobody look into what was posted of products, and by barcodes, that the catalogue lists now."""
    flagged = t.flagged.c
    gone = among(connection, flagged.subject, skus)
    connection.execute(delete(t.flagged).where(flagged.flag == FLAGS.index("unlisted_product"), gone))
