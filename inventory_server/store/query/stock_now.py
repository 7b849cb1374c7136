"""The everyday stock query, one SKU at one location now: a single statement, which needs no transaction around it.

It is by far the most frequent question.
"""

from __future__ import annotations

from msgspec import UnsetType
from sqlalchemy import Connection, and_, bindparam, select

from inventory_server.config import Settings
from inventory_server.domain.requests import Stock
from inventory_server.domain.roles import Speaker
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import assert_standing
from inventory_server.store.ledger.documents import reserved_here
from inventory_server.store.ledger.sql import Statement
from inventory_server.store.query.assortment import reorder_point_at
from inventory_server.store.query.completeness import (
    TILL_COLUMNS,
    completeness_from,
    tills_and_lineages,
    waits_for_movers,
)
from inventory_server.store.query.stock_item import is_wanted, item_of
from pos_client.protocol.messages import StockResult

_speaker = t.terminal.alias("speaker")
_FIRST = (
    select(t.ledger.c.position).scalar_subquery(),
    _speaker.c.revoked_at,
    _speaker.c.epoch,
    waits_for_movers(t.level.c.location),
)
_ITEM = (*t.level.c, reserved_here, reorder_point_at(t.level.c.location), t.product.c.sku)
_one_level = Statement(
    select(*_FIRST, *_ITEM, *TILL_COLUMNS)
    .select_from(
        t.level.outerjoin(t.product, t.product.c.sku == t.level.c.sku)
        .outerjoin(_speaker, _speaker.c.terminal == bindparam("speaker"))
        .outerjoin(tills_and_lineages, t.terminal.c.location == t.level.c.location)
    )
    .where(and_(t.level.c.location == bindparam("location"), t.level.c.sku == bindparam("sku")))
)
_TILL = len(_FIRST) + len(_ITEM)


def is_everyday(question: Stock) -> bool:
    """True if `ask` can answer the question."""
    params = question.params
    return (
        isinstance(params.sku, str)
        and isinstance(params.location, str)
        and isinstance(params.as_of, UnsetType)
        and isinstance(params.known_at, UnsetType)
        and isinstance(params.cursor, UnsetType)
        and isinstance(params.skus, UnsetType)
        and isinstance(params.locations, UnsetType)
        and isinstance(params.search, UnsetType)
        and params.names is not True
    )


def ask(connection: Connection, settings: Settings, now: int, question: Stock) -> StockResult | None:
    """Answer an everyday question; None if there is no such level, or the location waits for a till that has left.

    RequestError if the terminal may not ask.

    `connection` has no open transaction; `now` is HQ's clock in microseconds.
    """
    location = question.params.location
    speaker = question.actor if isinstance(question.actor, Speaker) else None
    asker = "" if speaker is None else speaker.terminal
    rows = _one_level(connection, location=location, sku=question.params.sku, now=now, speaker=asker)
    if not rows:
        return None
    position, revoked_at, epoch, is_waiting = rows[0][: len(_FIRST)]
    if speaker is not None:
        assert_standing(speaker, revoked_at, epoch)
    if is_waiting:
        return None
    item = item_of(rows[0][len(_FIRST) : _TILL])
    tills = [row[_TILL:] for row in rows if row[_TILL] is not None]
    complete = completeness_from(tills, settings, now, (str(location),))
    return StockResult([item] if is_wanted(item, question) else [], position, complete)
