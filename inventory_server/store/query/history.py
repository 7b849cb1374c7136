"""Queries of the ledger itself: the movements of a SKU, and single postings."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType
from sqlalchemy import ColumnElement, Connection, Select, bindparam, select, tuple_

from inventory_server.config import HISTORY_SEGMENTS, Settings
from inventory_server.domain import inventory
from inventory_server.domain.merge import standing
from inventory_server.domain.requests import FindPosting, History
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import own_places, visible_places
from inventory_server.store.ledger.head import Head, head_of, out_of_reach
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.sql import Statement, among
from inventory_server.store.query.paging import decode_cursor, encode_cursor, fitting, page_size
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.fields import NonNegative, PostingType
from pos_client.protocol.messages import HistoryEntry, HistoryResult, StoredPosting
from pos_client.protocol.units import Quantity, instant, micros, unscaled

_p, _refused = t.posting.c, t.rejection.c
_position_of = Statement(select(t.identity.c.position).where(t.identity.c.id == bindparam("id")))
_posting_at = Statement(
    select(_p.digest, _p.terminal, _p.recorded_at, _p.body, _p.location, _p.lineage, _p.seq, _p.flags).where(
        _p.position == bindparam("position")
    )
)
_rejection_of = Statement(
    select(_refused.digest, _refused.terminal, _refused.recorded_at, _refused.body, _refused.reason).where(
        _refused.id == bindparam("id")
    )
)
_locations_of = Statement(select(t.level.c.location).where(t.level.c.sku == bindparam("sku")))


class _SoldLine(msgspec.Struct, omit_defaults=True):
    quantity: Quantity
    sku: str | UnsetType = UNSET
    gtin: str | UnsetType = UNSET


class _SoldBody(msgspec.Struct, omit_defaults=True):
    """What a till sees of the body of a sale of another location."""

    type: PostingType
    occurred_at: str
    lines: list[_SoldLine] = msgspec.field(default_factory=list)
    location: str | UnsetType = UNSET
    reference: str | UnsetType = UNSET
    reservation: UUID | UnsetType = UNSET


_sold_body = msgspec.json.Decoder(_SoldBody)
_Entry = Annotated[int, Meta(ge=0, le=2**31 - 1)]
"""The number of a movement in its posting, as the tables hold it."""


def history(connection: Connection, settings: Settings, question: History) -> HistoryResult:
    """The movements of a SKU in ledger order; of a till's own location, everywhere for all other roles."""
    params = question.params
    limit = page_size(params.limit, settings.stock_items_default, settings.stock_items_max)
    after = decode_cursor(params.cursor, tuple[NonNegative, _Entry])
    head = head_of(connection)
    if _would_need_archive(connection, head, question, after):
        raise out_of_reach(head)
    places = None if isinstance(params.location, UnsetType) else [params.location]
    statement = _movements(connection, question, after, visible_places(connection, question.actor, places))
    rows: list[Any] = []
    visited = _segments_of(connection, head, question, after)
    for at in range(0, len(visited), HISTORY_SEGMENTS):
        segments = visited[at : at + HISTORY_SEGMENTS]
        page = statement.where(t.movement.c.segment.in_(segments), _within(segments))
        rows += connection.execute(page.limit(limit + 1 - len(rows))).all()
        fits = min(limit, fitting((row.location, row.sku, row.terminal, row.reference) for row in rows))
        if len(rows) > fits:
            last = rows[fits - 1]
            return HistoryResult([_entry(row) for row in rows[:fits]], encode_cursor(last.position, last.entry))
    return HistoryResult([_entry(row) for row in rows])


def _within(segments: list[int]) -> ColumnElement[bool]:
    """The range of positions of `segments`, so that PostgreSQL can prune partitions of `posting`, too."""
    first, end = segments[0] << t.SEGMENT_POSITIONS_LOG2, (segments[-1] + 1) << t.SEGMENT_POSITIONS_LOG2
    return t.posting.c.position.between(first, end - 1)


def _would_need_archive(connection: Connection, head: Head, question: History, after: tuple[int, int] | None) -> bool:
    """True if archived movements belong to the answer, as balances, stragglers and counts in the archive tell."""
    params, archived = question.params, head.archived_position
    if not archived or (after is not None and after[0] > archived):
        return False
    kept = (
        (t.balance, t.balance.c.latest_at),
        (t.straggler, t.straggler.c.effective_at),
        (t.count, t.count.c.effective_at),
    )
    family = standing(merges_of(connection, head)).family(params.sku)  # what merges carried has no balance of its own
    for table, latest_at in kept:
        found = select(table.c.sku).where(table.c.sku.in_(family), table.c.position <= archived).limit(1)
        if not isinstance(params.location, UnsetType):
            found = found.where(table.c.location == params.location)
        if not isinstance(params.from_, UnsetType):
            found = found.where(latest_at >= micros(params.from_))
        if connection.execute(found).first() is not None:
            return True
    return False


def _segments_of(connection: Connection, head: Head, question: History, after: tuple[int, int] | None) -> list[int]:
    s = t.segment.c
    closed = select(s.segment).where(s.segment >= head.first_segment).order_by(s.segment)
    if after is not None:
        closed = closed.where(s.segment >= after[0] >> t.SEGMENT_POSITIONS_LOG2)
    if not isinstance(question.params.from_, UnsetType):
        closed = closed.where(s.latest_at >= micros(question.params.from_))
    return [*connection.execute(closed).scalars(), head.segment]


def _movements(
    connection: Connection, question: History, after: tuple[int, int] | None, places: list[str] | None
) -> Select[Any]:
    params, m, p = question.params, t.movement.c, t.posting.c
    locations = [row[0] for row in _locations_of(connection, sku=params.sku)] if places is None else places
    statement = (
        select(
            t.movement,
            p.id,
            p.terminal,
            p.type,
            p.occurred_at,
            p.utc_offset_minutes,
            p.recorded_at,
            p.flags,
            p.reference,
        )
        .select_from(t.movement.join(t.posting, p.position == m.position))
        .where(among(connection, m.location, locations), m.sku == params.sku)
        .order_by(m.position, m.entry)
    )
    if not isinstance(params.from_, UnsetType):
        statement = statement.where(m.effective_at >= micros(params.from_))
    if not isinstance(params.to, UnsetType):
        statement = statement.where(m.effective_at < micros(params.to))
    return statement if after is None else statement.where(tuple_(m.position, m.entry) > after)


def _entry(row: Any) -> HistoryEntry:
    return HistoryEntry(
        position=row.position,
        id=UUID(bytes=row.id),
        terminal=row.terminal,
        type=row.type,
        occurred_at=instant(row.occurred_at, row.utc_offset_minutes),
        effective_at=UNSET if row.effective_at == row.occurred_at else instant(row.effective_at),
        recorded_at=instant(row.recorded_at),
        location=row.location,
        sku=row.sku,
        quantity=unscaled(row.quantity),
        flags=inventory.flag_names(row.flags),
        reference=row.reference,
        on_hand_after=unscaled(row.on_hand_after),
    )


def find_posting(connection: Connection, question: FindPosting) -> StoredPosting:
    """One posting, or the record of its rejection; RequestError `not_found` if HQ has neither.

    A till sees the postings of its own location, and of the sales of all others what was sold, without prices.
    """
    posting_id = question.params.id
    positions = _position_of(connection, id=posting_id.bytes)
    found = _rejected(connection, posting_id) if not positions else _posted(connection, posting_id, positions[0][0])
    own = own_places(connection, question.actor)
    if own is None or found.location in own or (found.location is None and found.terminal == question.actor.name):
        return found
    body = None if found.status == "rejected" else _sold_body.decode(found.body)
    if body is None or body.type != "sale":
        message = f"{posting_id} is no posting of {' or '.join(sorted(own))}: of others a till sees the sales alone."
        raise RequestError(ErrorCode.forbidden, message, role=question.actor.role)
    return msgspec.structs.replace(found, body=Raw(msgspec.json.encode(body)))


def _posted(connection: Connection, posting_id: UUID, position: int) -> StoredPosting:
    head = head_of(connection)
    if position <= head.archived_position:
        raise RequestError(
            ErrorCode.not_found,
            f"{posting_id} was posted at position {position} and is in the archive, with all that was recorded up"
            f" to {head.until}; it still counts, and its id stays known.",
        )
    [(digest, terminal, recorded_at, body, location, lineage, seq, flags)] = _posting_at(connection, position=position)
    return StoredPosting(
        id=posting_id,
        status="posted",
        digest=digest.hex(),
        terminal=terminal,
        recorded_at=instant(recorded_at),
        body=Raw(body),
        position=position,
        location=location,
        lineage=None if lineage is None else UUID(bytes=lineage),
        seq=seq,
        flags=inventory.flag_names(flags),
    )


def _rejected(connection: Connection, posting_id: UUID) -> StoredPosting:
    rows = _rejection_of(connection, id=posting_id.bytes)
    if not rows:
        raise RequestError(ErrorCode.not_found, f"HQ has no posting {posting_id}.")
    [(digest, terminal, recorded_at, body, reason)] = rows
    return StoredPosting(
        id=posting_id,
        status="rejected",
        digest=digest.hex(),
        terminal=terminal,
        recorded_at=instant(recorded_at),
        body=Raw(body or b"null"),
        reason=reason,
    )
