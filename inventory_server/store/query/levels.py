"""The list of levels for people: filtered, sorted and paged in SQL, with how many levels each filter would leave."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, get_args

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Subquery,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from inventory_server.config import Settings
from inventory_server.domain.completeness import is_incomplete
from inventory_server.domain.levels import LevelRow, LevelsPage, LevelView, ListLevels
from inventory_server.domain.order_lines import tenths
from inventory_server.domain.ordering import UNKNOWN_VELOCITY, Velocity
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.documents import reserved_by_key
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import among, plain_rows
from inventory_server.store.query.assortment import NOWHERE
from inventory_server.store.query.completeness import completeness_of
from inventory_server.store.query.paging import decode_cursor, encode_cursor
from inventory_server.store.query.velocity import Velocities
from pos_client.protocol import gtin
from pos_client.protocol.units import SECOND_MICROS, unscaled

_level, _product, _ranged, _supplier = t.level.c, t.product.c, t.product_location.c, t.supplier.c
_BARCODE_DIGITS = range(6, 15)
"""Digits of a search that may be a scanned barcode; a longer one is none, a shorter one is typed."""
_COLUMNS = {"moved": "last_movement_at", "counted": "counted_at"}
"""What is sorted by, where the column has another name."""
_TEXTS = frozenset(("product", "location"))
"""What is sorted by that is a text."""


class _PageEnd(NamedTuple):
    """Where a page ended: whether its last row had a figure to sort by, the figure, and its key."""

    is_null: int
    value: int | str
    location: str
    sku: str


def levels(connection: Connection, settings: Settings, now: int, question: ListLevels) -> LevelsPage:
    """The page asked for, and what describes the whole list."""
    locations = [row[0] for row in plain_rows(connection, select(t.location.c.location))]
    completeness = completeness_of(connection, settings, now, locations)
    silent_after = settings.silent_after_seconds * SECOND_MICROS
    incomplete = [name for name, told in completeness.items() if is_incomplete(told, now, silent_after)]
    asked = _asked(connection, question)
    rows: list[LevelRow] = []
    cursor, counts, unsure = None, dict.fromkeys(get_args(LevelView), 0), 0
    if asked.skus != []:  # else it is asked how complete the locations are
        every = _every_level(connection, asked)
        views = _views(every, incomplete)
        keys, cursor = _page(connection, every, views[question.view], question, now)
        rows = _rows(connection, keys, now)
        if question.is_counted:
            counts, unsure = _counts(connection, every, views, now)
    suppliers = plain_rows(connection, select(_supplier.supplier).order_by(_supplier.supplier))
    return LevelsPage(
        rows,
        counts,
        unsure,
        head_of(connection).position,
        now,
        completeness,
        incomplete,
        [name for (name,) in suppliers],
        cursor,
    )


# ---------------------------------------------------------------------------------- what is asked for


def _searched(connection: Connection, search: str | None) -> list[str] | None:
    """The SKUs that a search finds, None without one: a barcode's, else those with all its words, on every database."""
    if search is None or not (words := search.casefold().split()):
        return None
    digits = words[0]
    if len(words) == 1 and digits.isascii() and digits.isdecimal() and len(digits) in _BARCODE_DIGITS:
        listed = select(t.barcode.c.sku).where(t.barcode.c.gtin == gtin.padded(digits))
        suspense = select(_level.sku).where(_level.sku == gtin.suspense_sku(digits))
        if scanned := [row[0] for row in plain_rows(connection, listed.union(suspense))]:
            return scanned
    unlisted = select(_level.sku, null()).where(_level.sku.not_in(select(_product.sku))).distinct()
    rows = plain_rows(connection, select(_product.sku, _product.name).union_all(unlisted))
    return [sku for sku, name in rows if all(word in f"{sku} {name or ''}".casefold() for word in words)]


def _one_of(connection: Connection, one: ColumnElement[Any], many: list[str]) -> ColumnElement[bool]:
    """`one IN many` with a single parameter on SQLite, too, which takes only so many."""
    if connection.dialect.name == "sqlite":
        return one.in_(select(func.json_each(json.dumps(many)).table_valued("value").c.value))
    return among(connection, one, many)


# ---------------------------------------------------------------------------------- every level

_ended = select(t.merge.c.ended).where(t.merge.c.voided_position.is_(None))
_is_over = and_(_level.sku.in_(_ended), _level.on_hand == 0, _level.in_transit == 0)
_there = select(_level.sku).where(_level.location == _ranged.location, _level.sku == _ranged.sku)
_anywhere = select(_level.sku).where(_level.sku == _product.sku)
_NONE = (literal(0), literal(0), cast(null(), BigInteger), cast(null(), BigInteger))
_HELD = (
    select(
        _level.location, _level.sku, _level.on_hand, _level.in_transit, _level.counted_at, _level.last_movement_at
    ).where(~_is_over),
    select(_ranged.location, _ranged.sku, *_NONE).where(~_there.correlate(t.product_location).exists()),
    select(literal(NOWHERE).label("location"), _product.sku, *_NONE).where(
        _product.is_ranged == 0, ~_anywhere.correlate(t.product).exists()
    ),
)
"""Every level but those of products that became others, and the listed products of which there is no level yet."""


class _Asked(NamedTuple):
    """Which levels are looked at; None: all."""

    skus: list[str] | None = None
    locations: list[str] | None = None
    supplier: str | None = None


def _asked(connection: Connection, question: ListLevels) -> _Asked:
    """What a question asks for, but for its view."""
    skus = _searched(connection, question.search)
    if question.skus is not None:
        skus = question.skus if skus is None else sorted(set(skus).intersection(question.skus))
    return _Asked(skus, None if question.location is None else [question.location], question.supplier)


def _every_level(connection: Connection, asked: _Asked, is_whole: bool = False) -> Subquery:
    """The levels that are looked at, with what they are sorted and filtered by; `is_whole`: with all that is shown."""
    parts = []
    for part in _HELD:
        location, sku = part.selected_columns[0], part.selected_columns[1]
        if asked.skus is not None:
            part = part.where(_one_of(connection, sku, asked.skus))
        if asked.locations is not None:
            part = part.where(_one_of(connection, location, asked.locations))
        parts.append(part)
    held, reserved_of = union_all(*parts).subquery("held"), reserved_by_key.subquery("by_key")
    key, supplier = held.c, func.coalesce(_ranged.supplier, _product.supplier)
    reserved = func.coalesce(reserved_of.c.reserved, 0)
    available, point = key.on_hand - reserved, _reorder_point
    shortage = case((point.is_not(None), available - point), (available < 0, available))
    columns = [
        *(key.location, key.sku, key.on_hand, reserved.label("reserved"), available.label("available")),
        *(key.in_transit, point.label("reorder_point"), key.last_movement_at, key.counted_at),
        case((_product.sku.is_(None), 0), else_=1).label("is_listed"),
        shortage.label("shortage"),
        func.coalesce(_product.name, key.sku).label("product"),
    ]
    tables = (
        held.outerjoin(t.product, _product.sku == key.sku)
        .outerjoin(t.product_location, and_(_ranged.location == key.location, _ranged.sku == key.sku))
        .outerjoin(reserved_of, and_(reserved_of.c.location == key.location, reserved_of.c.sku == key.sku))
    )
    if is_whole:
        lead_time = func.coalesce(_product.lead_time_days, _supplier.lead_time_days)
        columns += [_product.name, _product.unit, supplier.label("supplier"), lead_time.label("lead_time_days")]
        tables = tables.outerjoin(t.supplier, _supplier.supplier == supplier)
    statement = select(*columns).select_from(tables)
    if asked.supplier is not None:
        statement = statement.where(supplier == asked.supplier)
    return statement.subquery("every")


_own_point = func.coalesce(_ranged.reorder_point, _product.reorder_point)
_reorder_point = case(
    (_product.is_ranged == 1, case((_ranged.sku.is_not(None), _own_point))), else_=_product.reorder_point
)


# ---------------------------------------------------------------------------------- views, counts and pages


def _views(every: Subquery, incomplete: list[str]) -> dict[str, ColumnElement[bool]]:
    """The condition of each view."""
    level = every.c
    return {
        "all": true(),
        "below": level.available < level.reorder_point,
        "negative": level.on_hand < 0,
        "unlisted": level.is_listed == 0,
        "incomplete": level.location.in_(incomplete),
        "in_transit": level.in_transit != 0,
    }


def _counts(
    connection: Connection, every: Subquery, views: dict[str, ColumnElement[bool]], now: int
) -> tuple[dict[str, int], int]:
    """How many levels each view has, and how many of those below their reorder point are at incomplete locations."""
    conditions = [*views.values(), and_(views["below"], views["incomplete"])]
    sums = [func.coalesce(func.sum(case((each, 1), else_=0)), 0) for each in conditions]
    [figures] = plain_rows(connection, select(*sums).select_from(every), now=now)
    *of_views, unsure = map(int, figures)
    return dict(zip(views, of_views, strict=True)), unsure


def _page(
    connection: Connection, every: Subquery, view: ColumnElement[bool], question: ListLevels, now: int
) -> tuple[list[Key], str | None]:
    """The keys of a page, and the cursor of the next. The rest is read of these alone."""
    level = every.c
    figure = level[_COLUMNS.get(question.order, question.order)]
    zero = literal("") if question.order in _TEXTS else literal(0)
    keys = [case((figure.is_(None), 1), else_=0), func.coalesce(figure, zero), level.location, level.sku]
    ordered = [keys[0], keys[1].desc() if question.descending else keys[1], *keys[2:]]
    statement = select(*keys).where(view).order_by(*ordered).limit(question.limit + 1)
    if question.after is not None and (end := decode_cursor(question.after, _PageEnd)) is not None:
        statement = statement.where(_is_after(keys, end, question.descending))
    rows = plain_rows(connection, statement, now=now)
    shown = rows[: question.limit]
    cursor = encode_cursor(*shown[-1]) if len(rows) > len(shown) else None
    return [(location, sku) for _, _, location, sku in shown], cursor


def _is_after(keys: list[Any], end: _PageEnd, descending: bool) -> ColumnElement[bool]:
    """Whether a row comes after the end of a page in the order of `keys`, the second of which may be descending."""
    is_null, value, location, sku = keys
    beyond = value < end.value if descending else value > end.value
    same = and_(value == end.value, tuple_(location, sku) > (end.location, end.sku))
    return or_(is_null > end.is_null, and_(is_null == end.is_null, or_(beyond, same)))


def _rows(connection: Connection, keys: list[Key], now: int) -> list[LevelRow]:
    """The levels of `keys`, in their order."""
    asked = _Asked(sorted({sku for _, sku in keys}), sorted({location for location, _ in keys}))
    every = _every_level(connection, asked, is_whole=True).c
    figures = (every.on_hand, every.reserved, every.available, every.in_transit, every.reorder_point)
    terms = (every.supplier, every.lead_time_days, every.last_movement_at, every.counted_at, every.is_listed)
    found = plain_rows(connection, select(every.location, every.sku, every.name, every.unit, *figures, *terms), now=now)
    by_key = {(row[0], row[1]): row for row in found}
    moved = [key for key in keys if key[0] != NOWHERE]
    rates = Velocities(connection, now).of(moved) if moved else {}
    return [_row(by_key[key], rates.get(key, UNKNOWN_VELOCITY)) for key in keys]


def _row(row: Any, rate: Velocity) -> LevelRow:
    location, sku, name, unit, *figures = row[:9]
    on_hand, reserved, available, in_transit, reorder_point = figures
    supplier, lead_time_days, last_movement_at, counted_at, is_listed = row[9:14]
    return LevelRow(
        location,
        sku,
        name,
        unit,
        unscaled(on_hand),
        unscaled(int(reserved)),
        unscaled(int(available)),
        unscaled(in_transit),
        None if reorder_point is None else unscaled(reorder_point),
        supplier,
        lead_time_days,
        last_movement_at,
        counted_at,
        bool(is_listed),
        unscaled(rate.sold),
        rate.days,
        None if (cover := rate.cover_days(int(available))) is None else tenths(cover),
    )
