"""The list of postings, the latest first: found by reference, terminal, location, type, flag and time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import ColumnElement, Connection, func, or_, select

from inventory_server.config import PAGE_BYTES_MAX, POSTINGS_SEARCHED_MAX, POSTINGS_WINDOW, Settings
from inventory_server.domain.inventory import FLAGS, flag_names
from inventory_server.domain.requests import ListPostings
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import named_places, own_places, visible_places
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.records import Void
from inventory_server.store.ledger.sql import Lookup, among, plain_rows
from inventory_server.store.query.paging import decode_cursor, encode_cursor, page_size
from inventory_server.store.query.scope import Stretch, unknown, within
from pos_client.protocol.fields import NonNegative
from pos_client.protocol.lists import ListedLine, ListedPosting, PostingsResult
from pos_client.protocol.units import instant

_p = t.posting.c
_ROW = (
    *(_p.position, _p.id, _p.terminal, _p.type, _p.location, _p.occurred_at, _p.utc_offset_minutes, _p.effective_at),
    *(_p.recorded_at, _p.flags, _p.reference, func.length(_p.body)),
)
_bodies = Lookup(t.posting, [_p.position], _p.position, _p.body, prunes=True)
_voids = Lookup(t.void, [t.void.c.voids])


class _Place(NamedTuple):
    """Where a page begins: the position of the first page, and the last position of the one before."""

    position: NonNegative
    before: NonNegative


class _Listed(NamedTuple):
    """A row of `_ROW`."""

    position: int
    id: bytes
    terminal: str
    type: Any
    location: str
    occurred_at: int
    utc_offset_minutes: int
    effective_at: int
    recorded_at: int
    flags: int
    reference: str | None
    body_bytes: int


class _Lines(msgspec.Struct):
    """What is read of a body."""

    lines: list[ListedLine] = msgspec.field(default_factory=list)


_lines = msgspec.json.Decoder(_Lines)


def postings(connection: Connection, settings: Settings, question: ListPostings) -> PostingsResult:
    """A page of postings, the latest first. One without a `reference` searches so many positions at most."""
    params = question.params
    limit = page_size(params.limit, settings.stock_items_default, settings.stock_items_max)
    stretch, head = Stretch(connection, question.period), head_of(connection)
    start = decode_cursor(params.cursor, _Place) or _Place(head.position, head.position + 1)
    first = stretch.first_position(connection, head)
    wanted = [*_conditions(connection, question), *_within_time(stretch)]
    found: list[_Listed] = []
    is_indexed = isinstance(params.reference, str)
    reached = first if is_indexed else max(first, start.before - POSTINGS_SEARCHED_MAX)
    for low, high in [(first, start.before)] if is_indexed else _windows(reached, start.before):
        found += _found(connection, stretch, [*wanted, _p.position >= low, _p.position < high], limit + 1 - len(found))
        if len(found) > limit:
            break
    shown = _fitting(found[:limit])
    is_last = len(shown) == len(found) and reached <= first
    before = shown[-1].position if len(shown) < len(found) else reached
    cursor = None if is_last else encode_cursor(start.position, before)
    told = _told(connection, question, shown, start.position)
    return PostingsResult(postings=told, position=start.position, unknown=unknown(connection, params), cursor=cursor)


def _conditions(connection: Connection, question: ListPostings) -> list[ColumnElement[bool]]:
    params = question.params
    conditions = [
        column == value
        for column, value in ((_p.terminal, params.terminal), (_p.type, params.type), (_p.reference, params.reference))
        if not isinstance(value, UnsetType)
    ]
    if not isinstance(params.flag, UnsetType):
        conditions.append(_p.flags.bitwise_and(1 << FLAGS.index(params.flag)) != 0)
    own = own_places(connection, question.actor)
    if own is None or isinstance(params.reference, UnsetType):
        return conditions + within(
            connection, _p.location, visible_places(connection, question.actor, named_places(params))
        )
    conditions += within(connection, _p.location, named_places(params))
    return [*conditions, or_(_p.type == "sale", among(connection, _p.location, sorted(own)))]


def _within_time(stretch: Stretch) -> list[ColumnElement[bool]]:
    return [_p.effective_at >= stretch.first, _p.effective_at <= stretch.last]


def _windows(first: int, before: int) -> Iterator[tuple[int, int]]:
    """The positions from `first` on and below `before` in windows, the last one first."""
    while before > first:
        low = max(first, before - POSTINGS_WINDOW)
        yield low, before
        before = low


def _found(connection: Connection, stretch: Stretch, conditions: list[ColumnElement[bool]], most: int) -> list[_Listed]:
    """The latest `most` postings for which the conditions hold, within the time of their own location."""
    found: list[_Listed] = []
    page = select(*_ROW).where(*conditions).order_by(_p.position.desc()).limit(most)
    before: list[ColumnElement[bool]] = []
    while len(found) < most:
        rows = [_Listed(*row) for row in plain_rows(connection, page.where(*before))]
        found += [row for row in rows if stretch.has(row.location, row.effective_at)]
        if len(rows) < most:
            break
        before = [_p.position < rows[-1].position]
    return found[:most]


def _fitting(rows: list[_Listed]) -> list[_Listed]:
    """The first rows, whose bodies are together of `PAGE_BYTES_MAX`; at least one, if there is one."""
    sums = itertools.accumulate(row.body_bytes for row in rows)
    return rows[: max(1, sum(total <= PAGE_BYTES_MAX for total in sums))]


def _told(connection: Connection, question: ListPostings, rows: list[_Listed], known_at: int) -> list[ListedPosting]:
    own = own_places(connection, question.actor)
    bodies = dict(_bodies(connection, [(row.position,) for row in rows]))
    voids: dict[bytes, list[Void]] = {}
    for each in _voids(connection, [(row.id,) for row in rows]):
        voids.setdefault(each[0], []).append(Void(*each))
    told = []
    for row in rows:
        lines = _lines.decode(bodies[row.position]).lines
        is_priced = own is None or row.location in own
        named = () if row.type == "void" else voids.get(row.id, ())  # a void cannot be voided
        working = [void.position for void in named if void.works_at(row.location)]
        voided_at = max(min(working), row.position) if working and min(working) <= known_at else None
        told.append(_posting(row, lines if is_priced else [_without_price(line) for line in lines], voided_at))
    return told


def _without_price(line: ListedLine) -> ListedLine:
    return msgspec.structs.replace(line, unit_price=UNSET, currency=UNSET)


def _posting(row: _Listed, lines: list[ListedLine], voided_position: int | None) -> ListedPosting:
    return ListedPosting(
        position=row.position,
        id=UUID(bytes=row.id),
        terminal=row.terminal,
        type=row.type,
        location=row.location,
        occurred_at=instant(row.occurred_at, row.utc_offset_minutes),
        effective_at=UNSET if row.effective_at == row.occurred_at else instant(row.effective_at),
        recorded_at=instant(row.recorded_at),
        flags=flag_names(row.flags),
        reference=row.reference,
        lines=lines,
        voided_position=voided_position,
    )
