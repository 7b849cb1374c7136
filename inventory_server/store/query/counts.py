"""The list of counts, each with its variance when it was recorded and now, and what changed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from msgspec import UNSET, Meta
from sqlalchemy import Connection, or_, select, tuple_

from inventory_server.config import Settings
from inventory_server.domain.inventory import Count, flag_names
from inventory_server.domain.limits import COUNT_CHANGES_MAX
from inventory_server.domain.merge import families
from inventory_server.domain.requests import ListCounts
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import named_places, visible_places
from inventory_server.store.ledger.head import Head, head_of
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.sql import Lookup, plain_rows
from inventory_server.store.query.paging import decode_cursor, encode_cursor, page_size
from inventory_server.store.query.scope import Stretch, named_skus, unknown, within
from inventory_server.store.query.variance import Counted, Variance, Variances
from pos_client.protocol.fields import NonNegative
from pos_client.protocol.lists import CountChange, CountsResult, ListedCount
from pos_client.protocol.units import instant, unscaled

_c, _p = t.count.c, t.posting.c
_KEY = (_c.location, _c.sku, _c.effective_at, _c.position)
_Instant = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_postings = Lookup(
    t.posting,
    [_p.position],
    *(_p.position, _p.id, _p.terminal, _p.type, _p.occurred_at, _p.utc_offset_minutes, _p.effective_at),
    *(_p.recorded_at, _p.flags, _p.reference),
    prunes=True,
)


class _Place(NamedTuple):
    """Where a page begins: the position of the first page, and the key of the last count of the one before."""

    position: NonNegative
    location: str
    sku: str
    effective_at: _Instant
    count_position: NonNegative


class _Posted(NamedTuple):
    """A row of `_postings`."""

    position: int
    id: bytes
    terminal: str
    type: Any
    occurred_at: int
    utc_offset_minutes: int
    effective_at: int
    recorded_at: int
    flags: int
    reference: str | None


def counts(connection: Connection, settings: Settings, question: ListCounts) -> CountsResult:
    """A page of the counts that stand, by location, product and time."""
    params = question.params
    limit = page_size(params.limit, settings.stock_items_default, settings.stock_items_max)
    stretch, head = Stretch(connection, question.period), head_of(connection)
    stretch.assert_not_archived(head)
    start = decode_cursor(params.cursor, _Place)
    known_at = head.position if start is None else start.position
    places, wanted = visible_places(connection, question.actor, named_places(params)), named_skus(params)
    skus = None if wanted is None else _families(connection, head, wanted)
    statement = (
        select(t.count)
        .where(_c.position <= known_at, or_(_c.voided_position.is_(None), _c.voided_position > known_at))
        .where(_c.effective_at >= stretch.first, _c.effective_at <= stretch.last)
        .where(*within(connection, _c.location, places), *within(connection, _c.sku, skus))
        .order_by(*_KEY)
        .limit(limit + 1)
    )
    if start is not None:
        statement = statement.where(tuple_(*_KEY) > start[1:])
    rows = [Counted(location, sku, Count(*count)) for location, sku, *count in plain_rows(connection, statement)]
    on_page = [row for row in rows[:limit] if stretch.has(row.location, row.taken.effective_at)]
    found = Variances(connection, on_page, known_at).found()
    shown = [each for each in found if wanted is None or each.sku in wanted]
    shown = [each for each in shown if params.off is not True or each.now]
    last = rows[limit - 1] if len(rows) > limit else None
    cursor = None if last is None else encode_cursor(known_at, *last[:2], *last.taken.order)
    told = _told(connection, shown)
    return CountsResult(counts=told, position=known_at, unknown=unknown(connection, params), cursor=cursor)


def _families(connection: Connection, head: Head, skus: list[str]) -> list[str]:
    """`skus`, and those that merges connect with them or once did."""
    connected = families((merge.ended, merge.into) for merge in merges_of(connection, head))
    return sorted({member for sku in skus for member in connected.get(sku, (sku,))})


def _told(connection: Connection, found: list[Variance]) -> list[ListedCount]:
    positions = {position for each in found for position in (each.position, *_first_changes(each))}
    posted = {row[0]: _Posted(*row) for row in _postings(connection, [(position,) for position in positions])}
    return [_count(each, posted) for each in found]


def _first_changes(variance: Variance) -> list[int]:
    return list(variance.changes)[:COUNT_CHANGES_MAX]


def _count(variance: Variance, posted: Mapping[int, _Posted]) -> ListedCount:
    count = posted[variance.position]
    return ListedCount(
        position=count.position,
        id=UUID(bytes=count.id),
        terminal=count.terminal,
        location=variance.location,
        sku=variance.sku,
        occurred_at=instant(count.occurred_at, count.utc_offset_minutes),
        effective_at=UNSET if count.effective_at == count.occurred_at else instant(count.effective_at),
        recorded_at=instant(count.recorded_at),
        flags=flag_names(count.flags),
        reference=count.reference,
        counted=unscaled(variance.counted),
        variance_then=unscaled(variance.then),
        variance_now=unscaled(variance.now),
        changes=[_change(posted[each], variance.changes[each]) for each in _first_changes(variance)],
        changes_total=len(variance.changes),
    )


def _change(posting: _Posted, quantity: int) -> CountChange:
    return CountChange(
        position=posting.position,
        id=UUID(bytes=posting.id),
        terminal=posting.terminal,
        type=posting.type,
        effective_at=instant(posting.effective_at),
        recorded_at=instant(posting.recorded_at),
        reference=posting.reference,
        quantity=unscaled(quantity),
    )
