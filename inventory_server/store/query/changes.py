"""The list of changes: how each stock figure differs between two positions of the ledger, and what moved it."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import UnsetType
from sqlalchemy import ColumnElement, Connection, func, select, tuple_

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
    statement = (
        select(_m.location, _m.sku)
        .distinct()
        .where(*_recorded(bounds), *within(connection, _m.location, places))
        .where(*within(connection, _m.sku, named_skus(question.params)))
        .order_by(_m.location, _m.sku)
        .limit(most)
    )
    if start is not None:
        statement = statement.where(tuple_(_m.location, _m.sku) > start[2:])
    return [(row[0], row[1]) for row in plain_rows(connection, statement)]


def _recorded(bounds: _Bounds) -> list[ColumnElement[bool]]:
    first, last = (bounds.since + 1) >> t.SEGMENT_POSITIONS_LOG2, bounds.until >> t.SEGMENT_POSITIONS_LOG2
    return [_m.segment.between(first, last), _m.position > bounds.since, _m.position <= bounds.until]


def _moved(connection: Connection, bounds: _Bounds, keys: list[Key]) -> dict[Key, dict[PostingType, Quantity]]:
    """What moved each product, by the type of posting."""
    if not keys:
        return {}
    key = tuple_(_m.location, _m.sku)
    statement = (
        select(_m.location, _m.sku, _p.type, func.sum(_m.quantity))
        .join(t.posting, _p.position == _m.position)
        .where(*_recorded(bounds), _m.account == int(Account.STOCK), key >= keys[0], key <= keys[-1])
        .where(_p.position > bounds.since, _p.position <= bounds.until)
        .group_by(_m.location, _m.sku, _p.type)
        .order_by(_p.type)
    )
    found: dict[Key, dict[PostingType, Quantity]] = {}
    for location, sku, kind, quantity in plain_rows(connection, statement):
        found.setdefault((location, sku), {})[kind] = unscaled(int(quantity))
    return found


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
        self._moved: dict[Interval, IntervalSum] = IntervalReader(connection, head, bounds.until).read(asked)

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
