"""Stock items: from a row to the item of an answer, and the filters `below` and `negative`."""

from __future__ import annotations

from typing import Any

from inventory_server.domain.requests import Stock
from pos_client.protocol.messages import StockItem
from pos_client.protocol.units import Quantity, instant, unscaled


def item_of(row: Any) -> StockItem:
    """The item for a row: the columns of `level`, then reserved, reorder point and the SKU in the catalogue."""
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
    """True if `item` passes the question's filters."""
    below: str | Quantity | None = question.below
    threshold = item.reorder_point if isinstance(below, str) else below
    available = item.available + item.in_transit if question.params.net_of_transit is True else item.available
    if below is not None and (threshold is None or available >= threshold):
        return False
    return question.params.negative is not True or item.on_hand < 0
