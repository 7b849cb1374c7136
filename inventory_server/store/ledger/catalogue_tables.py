"""Table definitions of the catalogue: suppliers, products, where they are kept, their barcodes, what was ordered."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, SmallInteger, Table

from inventory_server.store.ledger.metadata import TEXT, metadata

supplier = Table(
    "supplier",
    metadata,
    Column("supplier", TEXT, primary_key=True),
    Column("lead_time_days", SmallInteger),
    Column("order_cycle_days", SmallInteger),
    Column("order_by_hour", SmallInteger),
    sqlite_with_rowid=False,
)

product = Table(
    "product",
    metadata,
    Column("sku", TEXT, primary_key=True),
    Column("name", TEXT),
    Column("unit", TEXT),
    Column("reorder_point", BigInteger),
    Column("supplier", TEXT, ForeignKey("supplier.supplier")),
    Column("pack_size", BigInteger),
    Column("minimum", BigInteger),
    Column("lead_time_days", SmallInteger),
    Column("order_cycle_days", SmallInteger),
    Column("order_by_hour", SmallInteger),
    Column("is_ranged", SmallInteger, nullable=False, default=0),
    sqlite_with_rowid=False,
)
"""`lead_time_days` and the next two: where they are not those of the supplier.

`is_ranged`: 1 if `product_location` has rows of it, else 0."""

product_location = Table(
    "product_location",
    metadata,
    Column("location", TEXT, primary_key=True),
    Column("sku", TEXT, ForeignKey("product.sku"), primary_key=True),
    Column("reorder_point", BigInteger),
    Column("supplier", TEXT, ForeignKey("supplier.supplier")),
    Column("pack_size", BigInteger),
    Column("minimum", BigInteger),
    Index(None, "sku"),
    sqlite_with_rowid=False,
)
"""The locations that the catalogue ranges a product for, and what differs there."""

barcode = Table(
    "barcode",
    metadata,
    Column("gtin", TEXT, primary_key=True),
    Column("sku", TEXT, ForeignKey("product.sku"), nullable=False),
    Column("units", BigInteger, nullable=False),
    Index(None, "sku"),
    sqlite_with_rowid=False,
)
"""`units`: how many units of the product one scan stands for, a whole number; 1 unless it is a pack."""

pack = Table(
    "pack",
    metadata,
    Column("gtin", TEXT, primary_key=True),
    Column("units", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""Whatever else than 1 a barcode has ever stood for: by these the proof explains the movements of packs."""

ordered = Table(
    "ordered",
    metadata,
    Column("location", TEXT, primary_key=True),
    Column("sku", TEXT, primary_key=True),
    Column("marked_at", BigInteger, primary_key=True, autoincrement=False),
    Column("quantity", BigInteger, nullable=False),
    Column("expected", TEXT, nullable=False),
    Column("marked_by", TEXT, nullable=False),
    sqlite_with_rowid=False,
)
"""What people marked as ordered, and for which day it is `expected` (ISO 8601); what came of it is derived.

Rows that are waited for no more are deleted when the next mark is made; `audit` keeps them."""
