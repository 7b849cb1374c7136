"""The catalogue: products with their units, barcodes and reorder points."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from inventory_server.domain.product import Product
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.sql import Insert

_put_products = Insert(t.product, "replace")
_put_barcodes = Insert(t.barcode, "replace")


def import_products(connection: Connection, products: Iterable[Product]) -> int:
    """Add `products` to the catalogue, replacing the data of their SKUs; return the number of SKUs."""
    by_sku = {product.sku: product for product in products}
    _put_products(connection, [(p.sku, p.name, p.unit, p.reorder_point) for p in by_sku.values()])
    _put_barcodes(connection, list({gtin: (gtin, p.sku) for p in by_sku.values() for gtin in p.barcodes}.values()))
    return len(by_sku)
