"""Merges that HQ posts itself: of two products of the catalogue, and of what was sold before it was listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection, select

from inventory_server.domain.merge import refusal, standing
from inventory_server.domain.product import Product
from inventory_server.store.database.base import StoreError
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.sql import among
from pos_client.protocol import gtin
from pos_client.protocol.messages import Body, PostingResult
from pos_client.protocol.units import instant

PostForHq = Callable[[Sequence[Body]], list[PostingResult]]
"""Enters bodies into the ledger as HQ's own postings, in the transaction at hand."""


def merge_products(connection: Connection, post: PostForHq, ended: str, into: str, now: int) -> int:
    """Merge a product into another one from `now` on; its position. StoreError if that cannot be."""
    for sku in (ended, into):
        listed = select(t.product.c.sku).where(t.product.c.sku == sku)
        moved = select(t.level.c.sku).where(t.level.c.sku == sku)
        if connection.execute(listed.union(moved)).first() is None:
            raise StoreError(f"HQ knows no product {sku!r}: it is not in the catalogue, and nobody ever moved it.")
    [result] = post([Body("merge", instant(now), merge=ended, into=into)])
    if result.position is None:
        raise StoreError(f"Nothing was merged: {result.reason}")
    return result.position


def merge_listed(connection: Connection, post: PostForHq, products: Iterable[Product], now: int) -> None:
    """Merge what was posted by barcode before the catalogue listed it into the product that it is.

    Not what was posted by that of a pack: it counted packs, and a merge carries as many units of the product.
    """
    barcodes = {barcode for product in products for barcode in product.barcodes}
    suspense = {gtin.suspense_sku(barcode): barcode for barcode in barcodes}
    moved = select(t.level.c.sku).where(among(connection, t.level.c.sku, list(suspense))).distinct()
    found = [suspense[sku] for sku in connection.execute(moved.order_by(t.level.c.sku)).scalars()]
    if not found:
        return
    listed = select(t.barcode.c.gtin, t.barcode.c.sku).where(
        among(connection, t.barcode.c.gtin, found), t.barcode.c.units == 1
    )
    merges = standing(merges_of(connection, head_of(connection)))
    pairs = [(gtin.suspense_sku(row[0]), row[1]) for row in connection.execute(listed.order_by(t.barcode.c.gtin))]
    new = [pair for pair in pairs if refusal(merges, *pair) is None]
    if new:
        post([Body("merge", instant(now), merge=ended, into=into) for ended, into in new])
