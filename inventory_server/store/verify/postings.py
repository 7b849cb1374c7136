"""Verification of postings: their movements, computed again from the body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import structs
from sqlalchemy import Connection, Select, bindparam, func, select

from inventory_server.config import PAGE_BYTES_MAX
from inventory_server.domain import inventory
from inventory_server.domain.documents import DocumentLine
from inventory_server.domain.inventory import Account, Flags, Movement
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.records import ANYWHERE
from inventory_server.store.ledger.sql import Lookup, Statement
from inventory_server.store.verify import documents
from inventory_server.store.verify.packs import PackSizes
from pos_client.protocol import wire
from pos_client.protocol.messages import Body, Line
from pos_client.protocol.units import micros, utc_offset_minutes

_identities = Lookup(t.identity, [t.identity.c.id])


class Moved(NamedTuple):
    """A stored movement, its number within the posting, and the stock on hand after it."""

    movement: Movement
    entry: int
    on_hand_after: int


def _postings_and_voids() -> Select[Any]:
    p, v, earlier = t.posting.c, t.void.c, t.void.alias().c
    columns = (p.position, p.id, p.terminal, p.type, p.location, p.occurred_at, p.effective_at, p.recorded_at)
    more = (p.utc_offset_minutes, p.flags, p.reference, p.lineage, p.seq, p.digest, p.body, p.boot)
    fitting = (earlier.voids == p.id) & earlier.location.in_((ANYWHERE, p.location))
    first = select(func.min(earlier.position)).where(fitting).correlate(t.posting).scalar_subquery()
    fits = v.location.in_((ANYWHERE, p.location))  # a void has a row for each location that it applies to
    works = (v.voids == p.id) & fits & (v.position == first) & (p.type != "void")
    return (
        select(*columns, *more, v.position.label("void_position"))
        .select_from(t.posting.outerjoin(t.void, works))
        .where(p.position.between(bindparam("first"), bindparam("last")))
        .order_by(p.position)
    )


_postings = _postings_and_voids()
_m = t.movement.c
_movements = Statement(
    select(
        _m.position,
        _m.entry,
        _m.on_hand_after,
        _m.location,
        _m.sku,
        _m.account,
        _m.quantity,
        _m.effective_at,
        func.coalesce(_m.event_position, _m.position),
    )
    .where(_m.segment == bindparam("segment"), _m.position.between(bindparam("first"), bindparam("last")))
    .order_by(_m.position, _m.entry)
)
_p = t.posting.c
_sizes = Statement(
    select(_p.position, func.length(_p.body))
    .where(_p.position.between(bindparam("first"), bindparam("last")))
    .order_by(_p.position)
)
_place = Statement(select(t.identity.c.position).where(t.identity.c.id == bindparam("id")))


def bounds(segment: int) -> tuple[int, int]:
    """The first and the last position of a segment."""
    first = segment << t.SEGMENT_POSITIONS_LOG2
    return first, first + (1 << t.SEGMENT_POSITIONS_LOG2) - 1


def slices(connection: Connection, segment: int) -> Iterator[tuple[int, int]]:
    """The first and last positions of the slices of a segment, each with `PAGE_BYTES_MAX` of bodies or one posting."""
    first, last = bounds(segment)
    held = 0
    for position, size in _sizes(connection, first=first, last=last):
        if held and held + size > PAGE_BYTES_MAX:
            yield first, position - 1
            first, held = position, 0
        held += size
    yield first, last


def postings_between(connection: Connection, first: int, last: int) -> list[Any]:
    """The postings from position `first` to `last`, each with the position of its effective void: `void_position`.

    Only the first void counts, and only if it fits the posting's location.
    """
    return list(connection.execute(_postings, {"first": first, "last": last}))


def wrong_identities(connection: Connection, postings: list[Any]) -> Iterator[str]:
    """Check that each id refers to its posting; otherwise it could be posted again."""
    found = dict(_identities(connection, [(row.id,) for row in postings]))
    for row in postings:
        if found.get(row.id) != row.position:
            yield f"position {row.position}: its id refers to {found.get(row.id)}"


def movements_between(connection: Connection, first: int, last: int) -> dict[int, list[Moved]]:
    """The movements from position `first` to `last` of one segment, by position."""
    found: dict[int, list[Moved]] = {}
    segment = first >> t.SEGMENT_POSITIONS_LOG2
    for at, entry, after, location, sku, account, *rest in _movements(
        connection, segment=segment, first=first, last=last
    ):
        found.setdefault(at, []).append(Moved(Movement(location, sku, Account(account), *rest), entry, after))
    return found


def body_of(row: Any) -> tuple[Body, list[int]]:
    """The body of a posting, and the quantities of its lines; BodyError if it cannot be read."""
    body = wire.decode_body(row.body)
    return body, wire.check_body(body, max_lines=1 << 31)


def wrong_movements(
    connection: Connection,
    row: Any,
    body: Body,
    quantities: list[int],
    stored: list[Movement],
    lines: list[DocumentLine],
    packs: PackSizes,
) -> Iterator[str]:
    """Findings, in words, where a posting's row, movements or document lines are not those of its body.

    `quantities` are in units of products, as far as its movements tell.
    A void reverses the movements of its target; if the void came first, the target reverses its own.
    """
    stored = [movement for movement in stored if movement.account is not Account.CARRIED]
    named = row.location if not isinstance(body.location, str) else body.location
    reference = body.reference if isinstance(body.reference, str) else None
    instant = (micros(body.occurred_at), utc_offset_minutes(body.occurred_at))
    if (body.type, *instant, reference, named) != (
        row.type,
        row.occurred_at,
        row.utc_offset_minutes,
        row.reference,
        row.location,
    ):
        yield "type, location, instant or reference are not those of the body"
    if not _is_possible(row):
        yield "the effective instant does not follow from when it occurred and was recorded"
    if isinstance(body.voids, UUID):
        if stored != _cancelled(connection, row, body.voids, stored):
            yield "the movements do not cancel those of what it voids"
        return
    yield from documents.wrong_lines(row, body, quantities, lines, packs)
    if isinstance(body.lines, list):
        yield from _wrong_moves(row, body, body.lines, quantities, stored, packs)
    elif stored:
        yield "the movements are not those of the body"


def _is_possible(row: Any) -> bool:
    """True if a posting may take effect when it does: without a tick it is when it says, at the latest when recorded.

    With a tick, HQ may have corrected it by contacts that it need not remember any more.
    """
    if row.effective_at > row.recorded_at:
        return False
    if row.boot is not None:
        return True
    is_corrected = bool(row.flags & Flags.CLOCK_CORRECTED)
    return row.effective_at == min(row.occurred_at, row.recorded_at) and not is_corrected


def _wrong_moves(
    row: Any, body: Body, lines: list[Line], quantities: list[int], stored: list[Movement], packs: PackSizes
) -> Iterator[str]:
    if body.type == "count":
        own = [movement for movement in stored if movement.account is Account.COUNT]
        if not _adds_up(lines, quantities, own, packs):
            yield "the figures are not those that were counted"
        at = {"effective_at": row.effective_at, "event_position": row.position}
        expected = [structs.replace(movement, location=row.location, **at) for movement in own]
    else:
        expected = _of_lines(body, row, lines, quantities, stored)
    if row.void_position is not None and row.void_position < row.position:
        expected += inventory.opposite(expected)
    if stored != expected:
        yield "the movements are not those of the body"


def _cancelled(connection: Connection, row: Any, voids: UUID, stored: list[Movement]) -> list[Movement]:
    """The expected movements of a void: none if it came before its target, unchecked if the target is archived."""
    places = _place(connection, id=voids.bytes)
    position = places[0][0] if places else row.position
    if position >= row.position:
        return []
    if position <= head_of(connection).archived_position:
        return stored
    target = movements_between(connection, position, position).get(position, [])
    return inventory.opposite([moved.movement for moved in target if moved.movement.account is not Account.CARRIED])


def _of_lines(body: Body, row: Any, lines: list[Line], quantities: list[int], stored: list[Movement]) -> list[Movement]:
    """The movements of a body; only the stored movement tells which SKU a barcode meant at the time."""
    first = [movement.sku for movement in stored]
    first += [""] * (len(lines) - len(first))
    skus = [line.sku if isinstance(line.sku, str) else sku for line, sku in zip(lines, first, strict=False)]
    order = (row.effective_at, row.position)
    return inventory.movements(body.type, row.location, order, list(zip(skus, quantities, strict=True)))


def _adds_up(lines: list[Line], quantities: list[int], counted: list[Movement], packs: PackSizes) -> bool:
    """True if the figures are the sums of their lines; lines with a barcode can only be checked in total."""
    rest = {movement.sku: movement.quantity for movement in counted}
    scanned: list[tuple[Line, int]] = []
    for line, quantity in zip(lines, quantities, strict=True):
        if isinstance(line.gtin, str):
            scanned.append((line, quantity))
        elif line.sku in rest:
            rest[line.sku] -= quantity
        else:
            return False
    unexplained = [quantity for quantity in rest.values() if quantity]
    least, most = packs.least_and_most([line for line, _ in scanned], [quantity for _, quantity in scanned])
    return least <= sum(unexplained) <= most and len(unexplained) <= len({line.gtin for line, _ in scanned})
