"""The list of changes: how each stock figure differs between two positions of the ledger, and what moved it."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import UnsetType
from sqlalchemy import ColumnElement, Connection, Select, func, select, tuple_

from inventory_server.config import Settings
from inventory_server.domain.inventory import Account
from inventory_server.domain.requests import ListChanges
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import named_places, visible_places
from inventory_server.store.ledger.head import Head, head_of, out_of_reach
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import plain_rows
from inventory_server.store.ledger.timetravel import position_at
from inventory_server.store.query.completeness import completeness_of_list
from inventory_server.store.query.levels_between import LevelsBetween, PositionPair
from inventory_server.store.query.paging import decode_cursor, encode_cursor, page_size
from inventory_server.store.query.scope import named_skus, unknown, within
from pos_client.protocol.fields import NonNegative, PostingType
from pos_client.protocol.lists import ChangesResult, ListedChange
from pos_client.protocol.units import Quantity, micros, unscaled

_m, _p = t.movement.c, t.posting.c
_MOST: PostingType = "sale"
"""The type of nearly all postings."""


class _Place(NamedTuple):
    """Where a page begins: the positions that are compared, and the last key of the page before."""

    since: NonNegative
    until: NonNegative
    location: str
    sku: str


def changes(connection: Connection, settings: Settings, now: int, question: ListChanges) -> ChangesResult:
    """A page of what changed, by location and product."""
    params = question.params
    limit = page_size(params.limit, settings.stock_items_default, settings.stock_items_max)
    head, start = head_of(connection), decode_cursor(params.cursor, _Place)
    bounds = _bounds(connection, head, question) if start is None else PositionPair(*start[:2])
    if bounds.since < head.archived_position:
        raise out_of_reach(head)
    places = visible_places(connection, question.actor, named_places(params))
    keys = _keys(connection, question, places, bounds, start, limit + 1)
    shown = keys[:limit]
    levels, moved = LevelsBetween(connection, head, shown, bounds), _moved(connection, bounds, shown)
    cursor = None if len(keys) <= limit else encode_cursor(*bounds, *shown[-1])
    told = [_told(key, levels.at(key, bounds.since), levels.at(key, bounds.until), moved.get(key, {})) for key in shown]
    return ChangesResult(
        changes=told,
        since=bounds.since,
        position=bounds.until,
        unknown=unknown(connection, params),
        cursor=cursor,
        completeness=completeness_of_list(connection, settings, now, places) if start is None else {},
    )


def _bounds(connection: Connection, head: Head, question: ListChanges) -> PositionPair:
    params = question.params
    since = params.from_ if isinstance(params.from_, int) else position_at(connection, micros(params.from_))
    if isinstance(params.to, UnsetType):
        return PositionPair(min(since, head.position), head.position)
    until = params.to if isinstance(params.to, int) else position_at(connection, micros(params.to))
    until = min(until, head.position)
    return PositionPair(min(since, until), until)


def _keys(
    connection: Connection,
    question: ListChanges,
    places: list[str] | None,
    bounds: PositionPair,
    start: _Place | None,
    most: int,
) -> list[Key]:
    """The next (location, sku) that something moved."""
    # In the order of the primary key first, which needs no sorting: what is left for DISTINCT is little.
    moved = (
        select(_m.segment, _m.location, _m.sku)
        .where(*_recorded(bounds), *within(connection, _m.location, places))
        .where(*within(connection, _m.sku, named_skus(question.params)))
        .group_by(_m.segment, _m.location, _m.sku)
    )
    if start is not None:
        moved = moved.where(tuple_(_m.location, _m.sku) > start[2:])
    key = moved.subquery().c
    statement = select(key.location, key.sku).distinct().order_by(key.location, key.sku).limit(most)
    return [(row[0], row[1]) for row in plain_rows(connection, statement)]


def _recorded(bounds: PositionPair) -> list[ColumnElement[bool]]:
    first, last = (bounds.since + 1) >> t.SEGMENT_POSITIONS_LOG2, bounds.until >> t.SEGMENT_POSITIONS_LOG2
    return [_m.segment.between(first, last), _m.position > bounds.since, _m.position <= bounds.until]


def _moved(connection: Connection, bounds: PositionPair, keys: list[Key]) -> dict[Key, dict[PostingType, Quantity]]:
    """What moved each product, by the type of posting.

    To look up the posting of every movement takes longer than all else, and nearly all are sales: the others are looked
    up, and what is left of all movements of a product are its sales.
    """
    if not keys:
        return {}
    key = tuple_(_m.location, _m.sku)
    moved = [*_recorded(bounds), _m.account == int(Account.STOCK), key >= keys[0], key <= keys[-1]]
    found: dict[Key, dict[PostingType, Quantity]] = {}
    left = {(row[0], row[1]): [int(row[2]), int(row[3])] for row in plain_rows(connection, _all_moved(moved))}
    for location, sku, kind, quantity, movements in plain_rows(connection, _moved_by_others(moved, bounds)):
        found.setdefault((location, sku), {})[kind] = unscaled(int(quantity))
        left[location, sku][0] -= int(quantity)
        left[location, sku][1] -= int(movements)
    for moved_key, (quantity, movements) in left.items():
        if movements:
            found.setdefault(moved_key, {})[_MOST] = unscaled(quantity)
    return {each: dict(sorted(kinds.items())) for each, kinds in found.items()}


def _all_moved(moved: list[ColumnElement[bool]]) -> Select[Any]:
    """The sum and the number of movements of each product: by segment first, in the order of the primary key."""
    keys = (_m.segment, _m.location, _m.sku)
    sums = select(*keys, func.sum(_m.quantity).label("quantity"), func.count().label("movements"))
    part = sums.where(*moved).group_by(*keys).subquery().c
    whole = select(part.location, part.sku, func.sum(part.quantity), func.sum(part.movements))
    return whole.group_by(part.location, part.sku)


def _moved_by_others(moved: list[ColumnElement[bool]], bounds: PositionPair) -> Select[Any]:
    """The same by type of posting, of all but the most frequent type."""
    posted = [_p.position > bounds.since, _p.position <= bounds.until, _p.type != _MOST]
    return (
        select(_m.location, _m.sku, _p.type, func.sum(_m.quantity), func.count())
        .join(t.posting, _p.position == _m.position)
        .where(*moved, *posted, _m.position.in_(select(_p.position).where(*posted)))
        .group_by(_m.location, _m.sku, _p.type)
    )


def _told(key: Key, before: Quantity, after: Quantity, moved: dict[PostingType, Quantity]) -> ListedChange:
    return ListedChange(location=key[0], sku=key[1], before=before, after=after, change=after - before, moved=moved)
