"""The stock query: levels now, or at an instant as known at a position, with their completeness."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from msgspec import UnsetType
from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, func, or_, select, tuple_

from inventory_server.config import Settings
from inventory_server.domain.inventory import Level
from inventory_server.domain.merge import standing
from inventory_server.domain.requests import Stock
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.documents import DocumentsAt, reserved_by_key, reserved_of
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import Statement, among, plain_rows
from inventory_server.store.ledger.timetravel import LedgerAt, Moment, position_at, recorded_at
from inventory_server.store.query import assortment
from inventory_server.store.query.assortment import Bounds
from inventory_server.store.query.completeness import completeness_of
from inventory_server.store.query.later_pages import PageStart, changed_after, changed_keys
from inventory_server.store.query.named import Named, ends_of_day, known_locations, named_items
from inventory_server.store.query.paging import decode_cursor, encode_cursor, fitting, page_size
from inventory_server.store.query.stock_item import is_wanted, item_of
from pos_client.protocol.messages import StockItem, StockResult
from pos_client.protocol.units import micros, scaled

_level, _product = t.level.c, t.product.c
_by_key = reserved_by_key.subquery()
_reserved = func.coalesce(_by_key.c.reserved, 0)
_available = _level.on_hand - _reserved
_reorder_point = assortment.reorder_point_at(_level.location)
_all_levels = (
    select(t.level, _reserved.label("reserved"), _reorder_point, _product.sku.label("listed_sku"))
    .select_from(
        t.level.outerjoin(t.product, _product.sku == _level.sku).outerjoin(
            _by_key, and_(_by_key.c.location == _level.location, _by_key.c.sku == _level.sku)
        )
    )
    .order_by(_level.location, _level.sku)
)
_one_level = Statement(select(t.level).where(_level.location == bindparam("location"), _level.sku == bindparam("sku")))
_one_product = Statement(
    select(assortment.reorder_point_at(bindparam("location", type_=t.TEXT)), _product.sku).where(
        _product.sku == bindparam("sku")
    )
)


def stock(connection: Connection, settings: Settings, now: int, question: Stock) -> StockResult:
    """The levels asked for, in (location, sku) order, and the completeness of each location."""
    params = question.params
    named = Named(connection, params)
    limit = page_size(params.limit, settings.stock_items_default, settings.stock_items_max)
    start = decode_cursor(params.cursor, PageStart)
    head = head_of(connection).position
    position, began, after = (head, now, None) if start is None else (start.position, start.now, start.after)
    since = position if position < head else None
    at = _moment(connection, question, since)
    is_list = named.pairs() is None
    first = _FirstPage(connection, since, began) if is_list and since is not None else None
    if is_list and question.as_of is None and isinstance(params.known_at, UnsetType):
        rows = plain_rows(connection, _levels(connection, question, named, after, since).limit(limit + 1), now=began)
        keys = [(row[0], row[1]) for row in rows]
        items = {key: item_of(row) for key, row in zip(keys[:limit], rows, strict=False)}
        items = items if first is None else first.as_it_was(items)
    else:
        keys = _page_of_keys(connection, named, after, limit + 1)
        shown = keys[:limit] if first is None else first.known(keys[:limit])
        past = None if at is None else _past(connection, question, at, shown, began)
        items = {key: _item_of_key(connection, key, past, began) for key in shown}
    if is_list:
        bounds = Bounds(named.skus, named.locations, after, keys[limit] if len(keys) > limit else None, limit + 1)
        ranged = assortment.of_range(connection, question, bounds, since)
        others = assortment.of_no_range(connection, question, bounds, since)
        keys = sorted({*keys, *ranged, *others})[: limit + 1]
        items = ranged | (others if first is None else first.without_stock(others)) | items
        items = _without_ended(connection, question, at, items)
    limit = min(limit, fitting(keys)) if len(keys) > 1 else limit
    shown_items = [items[key] for key in keys[:limit] if key in items and is_wanted(items[key], question)]
    cursor = None if len(keys) <= limit else encode_cursor(position, began, *keys[limit - 1])
    shown_items = named_items(connection, shown_items) if params.names is True else shown_items
    locations = {item.location for item in shown_items if item.location is not None}.union(named.locations or ())
    known_at = position if at is None or at.known_at is None else min(position, at.known_at)
    completeness = completeness_of(connection, settings, now, locations, since)
    return StockResult(shown_items, known_at, completeness, named.unknown, cursor)


def _without_ended(
    connection: Connection, question: Stock, at: Moment | None, items: dict[Key, StockItem]
) -> dict[Key, StockItem]:
    """The items of a list without those that nobody will order: of products that have been merged into others."""
    if question.below is None or not (merges := merges_of(connection, head_of(connection))):
        return items
    locations = {location for location, _ in items}
    if isinstance(question.as_of, date):
        instants: Mapping[str, int | None] = ends_of_day(connection, question.as_of, locations)
    else:
        instants = dict.fromkeys(locations, None if at is None else at.as_of)
    known_at = None if at is None else at.known_at
    ended = {instant: standing(merges, instant, known_at).by_ended for instant in set(instants.values())}
    return {(location, sku): item for (location, sku), item in items.items() if sku not in ended[instants[location]]}


def _moment(connection: Connection, question: Stock, known_at: int | None) -> Moment | None:
    """The moment a page is about; `known_at` is the position of the first page if the ledger has grown since.

    With a date as `as_of` the instant is that of each location: see `_past`.
    """
    params = question.params
    if isinstance(params.known_at, int):
        known_at = params.known_at
    elif not isinstance(params.known_at, UnsetType):
        known_at = position_at(connection, micros(params.known_at))
    if question.as_of is None and known_at is None:
        return None
    return Moment(question.as_of if isinstance(question.as_of, int) else None, known_at)


def _past(connection: Connection, question: Stock, at: Moment, keys: list[Key], now: int) -> _Past | _PastDay:
    if isinstance(question.as_of, date):
        return _PastDay(connection, question.as_of, at, keys, now)
    return _Past(connection, at, keys, now)


class _FirstPage:
    """The levels as they were at the first page of a list; `since` is its position, `began` its instant."""

    def __init__(self, connection: Connection, since: int, began: int) -> None:
        self._connection = connection
        self._since = since
        self._began = began
        self._changed = changed_keys(connection, since)

    def _past(self, keys: Iterable[Key]) -> _Past:
        changed = sorted(self._changed.intersection(keys))
        return _Past(self._connection, Moment(None, self._since), changed, self._began, until=self._began)

    def _knew(self, past: _Past, key: Key) -> bool:
        return key not in self._changed or past.of(key) != (Level(), 0)

    def known(self, keys: list[Key]) -> list[Key]:
        """Those of `keys` that HQ knew then."""
        past = self._past(keys)
        return [key for key in keys if self._knew(past, key)]

    def as_it_was(self, listed: dict[Key, StockItem]) -> dict[Key, StockItem]:
        """The items as they were then; those that HQ did not know are left out."""
        past = self._past(listed)
        return {
            key: _item_of_key(self._connection, key, past, self._began) if key in self._changed else item
            for key, item in listed.items()
            if self._knew(past, key)
        }

    def without_stock(self, items: dict[Key, StockItem]) -> dict[Key, StockItem]:
        """Those of the products ranged for no location that no location had then."""
        skus = {sku for _, sku in items}
        had = {sku for _, sku in self.known([key for key in self._changed if key[1] in skus])}
        return {key: item for key, item in items.items() if key[1] not in had}


def _levels(connection: Connection, question: Stock, named: Named, after: Key | None, since: int | None) -> Select[Any]:
    """The levels now that pass the question's filters, and those that have changed after the position `since`."""
    statement = _all_levels
    if named.skus is not None:
        statement = statement.where(among(connection, _level.sku, named.skus))
    if named.locations is not None:
        statement = statement.where(among(connection, _level.location, named.locations))
    filters: list[ColumnElement[bool]] = []
    if question.params.negative is True:
        filters.append(_level.on_hand < 0)
    available = _available + _level.in_transit if question.params.net_of_transit is True else _available
    if question.below == "reorder_point":
        filters.append(available < _reorder_point)
    elif question.below is not None:
        filters.append(available < scaled(question.below))  # type: ignore[arg-type]
    if filters and since is not None:
        filters = [or_(and_(*filters), tuple_(_level.location, _level.sku).in_(changed_after(since)))]
    statement = statement.where(*filters)
    if after is not None:
        statement = statement.where(tuple_(_level.location, _level.sku) > after)
    return statement


def _page_of_keys(connection: Connection, named: Named, after: Key | None, count: int) -> list[Key]:
    pairs = named.pairs()
    if pairs is not None:
        return list(itertools.islice((key for key in pairs if after is None or key > after), count))
    level = t.level.c
    statement = select(level.location, level.sku).order_by(level.location, level.sku).limit(count)
    if named.skus is not None:
        statement = statement.where(among(connection, level.sku, named.skus))
    if named.locations is not None:
        statement = statement.where(among(connection, level.location, named.locations))
    if after is not None:
        statement = statement.where(tuple_(level.location, level.sku) > after)
    return [(row[0], row[1]) for row in plain_rows(connection, statement)]


class _Past:
    """The levels of some keys at a moment.

    Reservations expire at `until`, else at the moment's instant, else when its position was recorded.
    """

    def __init__(self, connection: Connection, at: Moment, keys: list[Key], now: int, until: int | None = None) -> None:
        self._ledger = LedgerAt(connection, at)
        self._known = {row[0] for row in known_locations(connection, [(name,) for name in {key[0] for key in keys}])}
        self._documents = DocumentsAt(connection, keys, at.as_of, at.known_at)
        self._until = until or at.as_of or recorded_at(connection, at.known_at) or now
        self._levels: dict[Key, tuple[Level, int]] = {}

    def of(self, key: Key) -> tuple[Level, int]:
        """The level of a key, and what is reserved of it."""
        if key not in self._levels:
            in_transit = self._documents.in_transit(key) if key[0] in self._known else 0
            level = self._ledger.of(*key).level(in_transit)
            self._levels[key] = (level, self._documents.reserved(key, self._until))
        return self._levels[key]


class _PastDay:
    """The levels of some keys at the end of a business day, each at that of its own location."""

    def __init__(self, connection: Connection, day: date, at: Moment, keys: list[Key], now: int) -> None:
        ends = ends_of_day(connection, day, {location for location, _ in keys})
        self._moments = {location: replace(at, as_of=end) for location, end in ends.items()}
        keys_at: dict[Moment, list[Key]] = {}
        for key in keys:
            keys_at.setdefault(self._moments[key[0]], []).append(key)
        self._pasts = {moment: _Past(connection, moment, those, now) for moment, those in keys_at.items()}

    def of(self, key: Key) -> tuple[Level, int]:
        """The level of a key, and what is reserved of it."""
        return self._pasts[self._moments[key[0]]].of(key)


def _item_of_key(connection: Connection, key: Key, past: _Past | _PastDay | None, now: int) -> StockItem:
    if past is None:
        found, reserved = _level_now(connection, key), reserved_of(connection, *key, now)
    else:
        found, reserved = past.of(key)
    products = _one_product(connection, location=key[0], sku=key[1])
    reorder, listed = products[0] if products else (None, None)
    level = (found.on_hand, found.moved, found.in_transit, found.counted_at, found.counted_position)
    return item_of((*key, *level, found.last_movement_at, reserved, reorder, listed))


def _level_now(connection: Connection, key: Key) -> Level:
    rows = _one_level(connection, location=key[0], sku=key[1])
    return Level(*rows[0][2:]) if rows else Level()
