"""The assortment: which listed products belong to a location, whether or not anybody ever moved them.

A product is of the locations for which the catalogue ranges it. One that it ranges for none is of the locations that
ever had it; where none ever had it, it is of the locations that a question names, else of none (the location "").
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, case, func, literal, select, true, tuple_

from inventory_server.domain.requests import Stock
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import among, plain_rows
from inventory_server.store.query.later_pages import changed_after
from pos_client.protocol.messages import StockItem
from pos_client.protocol.units import unscaled

NOWHERE = ""
"""In keys and cursors, the location of a product that is of none."""
_product, _level, _ranged = t.product.c, t.level.c, t.product_location.c


def reorder_point_at(location: ColumnElement[Any]) -> ColumnElement[Any]:
    """The reorder point of the product of a row at `location`: none outside of its range."""
    here = select(func.coalesce(_ranged.reorder_point, _product.reorder_point)).where(
        _ranged.location == location, _ranged.sku == _product.sku
    )
    return case((_product.is_ranged == 1, here.scalar_subquery()), else_=_product.reorder_point)


class Bounds(NamedTuple):
    """What a page covers: SKUs and locations named, keys after `after` and up to `last`, at most `most` of them.

    None: no bound.
    """

    skus: list[str] | None
    locations: list[str] | None
    after: Key | None
    last: Key | None
    most: int


def of_range(connection: Connection, question: Stock, bounds: Bounds, since: int | None) -> dict[Key, StockItem]:
    """What the catalogue ranges for a location at which HQ has no level of it, without stock, by key.

    A level that has changed after the position `since` counts as none: the caller knows what it was then.
    """
    reorder = func.coalesce(_ranged.reorder_point, _product.reorder_point)
    there = select(_level.sku).where(_level.location == _ranged.location, _level.sku == _ranged.sku)
    statement = select(_ranged.location, _ranged.sku, reorder).join_from(t.product_location, t.product)
    statement = statement.where(~_unchanged(there, since).correlate(t.product_location).exists())
    return _items(connection, question, bounds, (_ranged.location, _ranged.sku, reorder), statement)


def of_no_range(connection: Connection, question: Stock, bounds: Bounds, since: int | None) -> dict[Key, StockItem]:
    """What the catalogue ranges for no location and no location ever had, at the locations named, else at none.

    Only for a question that names products or a threshold; a plain list would repeat the catalogue. A level that has
    changed after the position `since` counts as none.
    """
    if bounds.skus is None and question.below is None:
        return {}
    anywhere = _unchanged(select(_level.sku).where(_level.sku == _product.sku), since)
    place: ColumnElement[Any] = literal(NOWHERE) if bounds.locations is None else t.location.c.location
    columns = (place, _product.sku, _product.reorder_point)
    everywhere = t.product if bounds.locations is None else t.product.join(t.location, true())
    statement = (
        select(*columns).select_from(everywhere).where(_product.is_ranged == 0, ~anywhere.correlate(t.product).exists())
    )
    return _items(connection, question, bounds, columns, statement)


def _unchanged(levels: Select[Any], since: int | None) -> Select[Any]:
    key = tuple_(_level.location, _level.sku)
    return levels if since is None else levels.where(key.not_in(changed_after(since)))


def _items(
    connection: Connection, question: Stock, bounds: Bounds, columns: Any, statement: Select[Any]
) -> dict[Key, StockItem]:
    """The items of `statement`, of (location, sku, reorder point), within the page and the question's filters."""
    below, (location, sku, reorder) = question.below, columns
    if question.params.negative is True or (isinstance(below, int | Decimal) and below <= 0):
        return {}
    if bounds.skus is not None:
        statement = statement.where(among(connection, _product.sku, bounds.skus))
    if bounds.locations is not None:
        statement = statement.where(among(connection, location, bounds.locations))
    if bounds.after is not None:
        statement = statement.where(tuple_(location, sku) > bounds.after)
    if bounds.last is not None:
        statement = statement.where(tuple_(location, sku) <= bounds.last)
    if isinstance(below, str):
        statement = statement.where(reorder > 0)
    rows = plain_rows(connection, statement.order_by(location, sku).limit(bounds.most))
    return {
        (row[0], row[1]): StockItem(row[1], row[0] or None, 0, 0, 0, 0, None if row[2] is None else unscaled(row[2]))
        for row in rows
    }
