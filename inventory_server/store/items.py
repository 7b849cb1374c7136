"""One line of a stock answer: what is reserved of it, from a row to the item, whether it was asked for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select

from inventory_server.inventory import outstanding
from inventory_server.store import tables as t
from inventory_server.store.bulk import Prepared
from inventory_server.store.rows import UNNAMED
from inventory_server.work import Stock
from pos_client.exact import Quantity, instant, unscaled
from pos_client.messages import StockItem

_r = t.reservation.c
held = case((or_(_r.reservation == UNNAMED, _r.remaining > 0), _r.remaining), else_=0)
"""What one reservation holds back: nothing once more was drawn on it than it had."""
_total = func.coalesce(func.sum(held), 0)
_here = and_(_r.location == bindparam("location"), _r.sku == bindparam("sku"), _r.expires_at > bindparam("now"))
reserved_here = select(case((_total > 0, _total), else_=0)).where(_here).scalar_subquery()
"""What is reserved of one (location, sku) now."""
_remaining = Prepared(select(_r.reservation, _r.remaining).where(_here))


def reserved_of(connection: Connection, location: str, sku: str, now: int) -> int:
    """What is reserved of one (location, sku) now."""
    rows = _remaining(connection, location=location, sku=sku, now=now)
    return outstanding((row[0] or None, row[1]) for row in rows)


def item_of(row: Any) -> StockItem:
    """The item of a row: the columns of `level`, then reserved, reorder point and the listed sku."""
    location, sku, on_hand, _moved, in_transit, counted_at, _counted_position, last_at, reserved, reorder, listed = row
    quantity = unscaled(on_hand)
    return StockItem(
        sku,
        location,
        quantity,
        unscaled(reserved) if reserved else 0,
        unscaled(on_hand - reserved) if reserved else quantity,
        unscaled(in_transit) if in_transit else 0,
        None if reorder is None else unscaled(reorder),
        None if counted_at is None else instant(counted_at),
        None if last_at is None else instant(last_at),
        listed is None,
    )


def is_wanted(item: StockItem, question: Stock) -> bool:
    """True where `item` passes the question's `below` and `negative`."""
    below: str | Quantity | None = question.below
    threshold = item.reorder_point if isinstance(below, str) else below
    if below is not None and (threshold is None or item.available >= threshold):
        return False
    return question.params.negative is not True or item.on_hand < 0
