"""What HQ does not know, in words, with the nearest name that it knows."""

from __future__ import annotations

from collections.abc import Sequence

from pos_client.commands.known import known_locations
from pos_client.commands.limits import NEAR_ASKED_MAX, NEAR_LETTERS, NEAR_PAGE
from pos_client.commands.stock_report import unknown
from pos_client.protocol.messages import StockParams, StockResult, UnknownItem
from pos_client.protocol.nearest import nearest
from pos_client.transport.connection import Connection


def unknown_and_near(connection: Connection, items: Sequence[UnknownItem]) -> list[str]:
    """What a question named and HQ does not know, as text; HQ is asked what the first few may mean."""
    near = [_near(connection, item) for item in items[:NEAR_ASKED_MAX]]
    near += [None] * (len(items) - len(near))
    return [
        name if other is None else f"{name}; did you mean {other}?"
        for name, other in zip(unknown(items), near, strict=True)
    ]


def _near(connection: Connection, item: UnknownItem) -> str | None:
    if item.location is not None and item.sku is None:
        return nearest(item.location, known_locations(connection.request))
    if item.sku is None:
        return None
    # A misspelt word matches no search, but the letters before or after the mistake do.
    for letters in (item.sku[:NEAR_LETTERS], item.sku[-NEAR_LETTERS:]):
        if letters.strip():
            found: StockResult = connection.request("stock", StockParams(search=letters, limit=NEAR_PAGE))
            if (other := nearest(item.sku, {each.sku for each in found.items})) is not None:
                return other
    return None
