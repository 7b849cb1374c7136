"""What HQ does not know, in words, with the nearest name that it knows."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from pos_client.commands.known import Ask, known_locations
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
    return None if item.sku is None else near_sku(connection.request, item.sku)


def near_unlisted(ask: Ask, skus: Sequence[str]) -> dict[str, str | None]:
    """Those of `skus` that are not in the catalogue, the first few, each with the listed one that it may mean."""
    asked: StockResult = ask("stock", StockParams(skus=list(skus[:NEAR_ASKED_MAX])))
    unlisted = {item.sku for item in asked.items if item.unlisted}
    return {sku: near_sku(ask, sku, listed_only=True) for sku in skus if sku in unlisted}


def near_sku(ask: Ask, sku: str, *, listed_only: bool = False) -> str | None:
    """The SKU that a misspelt one may mean, of those listed or in stock, or of those listed alone."""
    # A misspelt word matches no search, but the letters before or after the mistake do; of a short one, none may.
    for letters in (sku[:NEAR_LETTERS], sku[-NEAR_LETTERS:], ""):
        search = letters if letters.strip() else UNSET
        found: StockResult = ask("stock", StockParams(search=search, limit=NEAR_PAGE))
        known = {each.sku for each in found.items if not (listed_only and each.unlisted)}
        if (other := nearest(sku, known)) is not None:
            return other
    return None
