"""The list of changes: how each stock figure differs between two positions of the ledger, and what moved it."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import UnsetType
from sqlalchemy import ColumnElement, Connection, Select, func, select, tuple_

from inventory_server.config import Settings
from inventory_server.domain.inventory import Account, Count, standing_counts
from inventory_server.domain.merge import Order, families, on_hand, standing
from inventory_server.domain.requests import ListChanges
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import visible_places
from inventory_server.store.ledger.head import Head, head_of, out_of_reach
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import plain_rows
from inventory_server.store.ledger.timetravel import position_at
from inventory_server.store.query.completeness import completeness_of_list
from inventory_server.store.query.intervals import Interval, IntervalReader, IntervalSum
from inventory_server.store.query.paging import decode_cursor, encode_cursor, page_size
from inventory_server.store.query.scope import named_skus, unknown, within
from inventory_server.store.query.variance import counts_of
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


class _Bounds(NamedTuple):
    """The positions that are compared: what was recorded after `since` and up to `until` has changed the figures."""

    since: int
    until: int


def changes(connection: Connection, settings: Settings, now: int, question: ListChanges) -> ChangesResult:
    """A page of what changed, by location and product."""
    params = question.params
    limit = page_size(params.limit, settings.stock_items_default, settings.stock_items_max)
    head, start = head_of(connection), decode_cursor(params.cursor, _Place)
    bounds = _bounds(connection, head, question) if start is None else _Bounds(*start[:2])
    if bounds.since < head.archived_position:
        raise out_of_reach(head)
    places = visible_places(connection, question.actor, params)
    keys = _keys(connection, question, places, bounds, start, limit + 1)
    shown = keys[:limit]
    levels, moved = _Levels(connection, head, shown, bounds), _moved(connection, bounds, shown)
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


def _bounds(connection: Connection, head: Head, question: ListChanges) -> _Bounds:
    params = question.params
    since = params.from_ if isinstance(params.from_, int) else position_at(connection, micros(params.from_))
    if isinstance(params.to, UnsetType):
        return _Bounds(min(since, head.position), head.position)
    until = params.to if isinstance(params.to, int) else position_at(connection, micros(params.to))
    until = min(until, head.position)
    return _Bounds(min(since, until), until)


def _keys(
    connection: Connection,
    question: ListChanges,
    places: list[str] | None,
    bounds: _Bounds,
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


def _recorded(bounds: _Bounds) -> list[ColumnElement[bool]]:
    first, last = (bounds.since + 1) >> t.SEGMENT_POSITIONS_LOG2, bounds.until >> t.SEGMENT_POSITIONS_LOG2
    return [_m.segment.between(first, last), _m.position > bounds.since, _m.position <= bounds.until]


def _moved(connection: Connection, bounds: _Bounds, keys: list[Key]) -> dict[Key, dict[PostingType, Quantity]]:
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


def _moved_by_others(moved: list[ColumnElement[bool]], bounds: _Bounds) -> Select[Any]:
    """The same by type of posting, of all but the most frequent type."""
    posted = [_p.position > bounds.since, _p.position <= bounds.until, _p.type != _MOST]
    return (
        select(_m.location, _m.sku, _p.type, func.sum(_m.quantity), func.count())
        .join(t.posting, _p.position == _m.position)
        .where(*moved, *posted, _m.position.in_(select(_p.position).where(*posted)))
        .group_by(_m.location, _m.sku, _p.type)
    )


class _Levels:
    """What was on hand of many products, as known at either of two positions."""

    def __init__(self, connection: Connection, head: Head, keys: list[Key], bounds: _Bounds) -> None:
        merges = [merge for merge in merges_of(connection, head) if merge.position <= bounds.until]
        self._names = {position: standing(merges, known_at=position) for position in bounds}
        self._families = families((merge.ended, merge.into) for merge in merges)
        self._since = bounds.since
        self._counts: dict[Key, list[Count]] = {}
        for location, sku in keys:
            self._counts |= {(location, member): [] for member in self._family(sku)}
        for location, sku, *count in counts_of(connection, list(self._counts)):
            self._counts[location, sku].append(Count(*count))
        asked: set[Interval] = set()
        for key in keys:
            for position in bounds:
                self._level(key, position, asked)
        self._moved: dict[Interval, IntervalSum] = IntervalReader(connection, head, bounds.until).read_twice(asked)

    def _family(self, sku: str) -> frozenset[str]:
        return self._families.get(sku) or frozenset((sku,))

    def at(self, key: Key, position: int) -> Quantity:
        """What was on hand, as known at a position."""
        return unscaled(self._level(key, position, None))

    def _level(self, key: Key, position: int, asked: set[Interval] | None) -> int:
        """The level of a key; or note in `asked` what has to be read for it, which does not depend on any figure."""
        location, sku = key
        counts = {
            member: standing_counts(self._counts[location, member], None, position) for member in self._family(sku)
        }

        def moved(member: str, begin: Order | None, end: Order | None) -> int:
            interval = Interval(location, member, begin, end, self._since)
            if asked is None:
                return self._moved[interval].known_at(position)
            asked.add(interval)
            return 0

        return on_hand(self._names[position], sku, counts, moved)


def _told(key: Key, before: Quantity, after: Quantity, moved: dict[PostingType, Quantity]) -> ListedChange:
    return ListedChange(location=key[0], sku=key[1], before=before, after=after, change=after - before, moved=moved)
