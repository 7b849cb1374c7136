"""Verification of postings: their movements, computed again from the body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Select, bindparam, func, select

from inventory_server.domain import inventory
from inventory_server.domain.inventory import Account, Movement
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.records import ANYWHERE
from inventory_server.store.ledger.sql import Lookup, Statement
from pos_client.protocol import wire
from pos_client.protocol.errors import BodyError
from pos_client.protocol.messages import Body, Line
from pos_client.protocol.units import micros

_identities = Lookup(t.identity, [t.identity.c.id])


class Moved(NamedTuple):
    """A stored movement, its number within the posting, and the stock on hand after it."""

    movement: Movement
    entry: int
    on_hand_after: int


def _postings_and_voids() -> Select[Any]:
    p, v, earlier = t.posting.c, t.void.c, t.void.alias().c
    columns = (p.position, p.id, p.terminal, p.type, p.location, p.occurred_at, p.recorded_at, p.reference)
    fitting = (earlier.voids == p.id) & earlier.location.in_((ANYWHERE, p.location))
    first = select(func.min(earlier.position)).where(fitting).correlate(t.posting).scalar_subquery()
    works = (v.voids == p.id) & (v.position == first) & (p.type != "void")
    return (
        select(*columns, p.lineage, p.seq, p.digest, p.body)
        .add_columns(v.position.label("void_position"), v.occurred_at.label("void_occurred_at"))
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
        _m.occurred_at,
        _m.reservation,
    )
    .where(_m.segment == bindparam("segment"), _m.position.between(bindparam("first"), bindparam("last")))
    .order_by(_m.position, _m.entry)
)
_place = Statement(select(t.identity.c.position).where(t.identity.c.id == bindparam("id")))


def _bounds(segment: int) -> tuple[int, int]:
    """The first and the last position of a segment."""
    first = segment << t.SEGMENT_POSITIONS_LOG2
    return first, first + (1 << t.SEGMENT_POSITIONS_LOG2) - 1


def postings_of(connection: Connection, segment: int) -> list[Any]:
    """The postings of a segment by position, each with its effective void: `void_position`, `void_occurred_at`.

    Only the first void counts, and only if it fits the posting's location.
    """
    first, last = _bounds(segment)
    return list(connection.execute(_postings, {"first": first, "last": last}))


def wrong_identities(connection: Connection, postings: list[Any]) -> Iterator[str]:
    """Check that each id refers to its posting; otherwise it could be posted again."""
    found = dict(_identities(connection, [(row.id,) for row in postings]))
    for row in postings:
        if found.get(row.id) != row.position:
            yield f"position {row.position}: its id refers to {found.get(row.id)}"


def movements_of(connection: Connection, segment: int, position: int | None = None) -> dict[int, list[Moved]]:
    """The movements of a segment, or of one position in it, by position."""
    first, last = _bounds(segment) if position is None else (position, position)
    found: dict[int, list[Moved]] = {}
    for at, entry, after, location, sku, account, *rest in _movements(
        connection, segment=segment, first=first, last=last
    ):
        found.setdefault(at, []).append(Moved(Movement(location, sku, Account(account), *rest), entry, after))
    return found


def wrong_movements(connection: Connection, row: Any, stored: list[Movement]) -> Iterator[str]:
    """Findings, in words, where a posting's row or movements are not those of its body.

    A void reverses the movements of its target; if the void came first, the target reverses its own.
    """
    try:
        body = wire.decode_body(row.body)
        quantities = wire.check_body(body, max_lines=1 << 31)
    except BodyError as error:
        yield f"unreadable body, {error}"
        return
    named = row.location if not isinstance(body.location, str) else body.location
    reference = body.reference if isinstance(body.reference, str) else None
    at = micros(body.occurred_at)
    if (body.type, at, reference) != (row.type, row.occurred_at, row.reference) or named != row.location:
        yield "type, location, instant or reference are not those of the body"
    if isinstance(body.voids, UUID):
        if stored != _cancelled(connection, row, body.voids, at, stored):
            yield "the movements do not cancel those of what it voids"
        return
    assert isinstance(body.lines, list)
    if body.type == "count":
        own = [movement for movement in stored if movement.account is Account.COUNT]
        if not _adds_up(body.lines, quantities, own):
            yield "the figures are not those that were counted"
        expected = [movement._replace(location=row.location, occurred_at=at, reservation=None) for movement in own]
    else:
        expected = _of_lines(body, row, at, body.lines, quantities, stored)
    if row.void_position is not None and row.void_position < row.position:
        expected += inventory.opposite(expected, row.void_occurred_at)
    if stored != expected:
        yield "the movements are not those of the body"


def _cancelled(connection: Connection, row: Any, voids: UUID, at: int, stored: list[Movement]) -> list[Movement]:
    """The expected movements of a void: none if it came before its target, unchecked if the target is archived."""
    places = _place(connection, id=voids.bytes)
    position = places[0][0] if places else row.position
    if position >= row.position:
        return []
    if position <= head_of(connection).archived_position:
        return stored
    target = movements_of(connection, position >> t.SEGMENT_POSITIONS_LOG2, position).get(position, [])
    return inventory.opposite([moved.movement for moved in target], at)


def _of_lines(
    body: Body, row: Any, at: int, lines: list[Line], quantities: list[int], stored: list[Movement]
) -> list[Movement]:
    """The movements of a body; only the stored movement tells which SKU a barcode meant at the time."""
    drawn_on = body.reservation.bytes if isinstance(body.reservation, UUID) else None
    two_each = body.type in ("transfer_out", "transfer_in") or (body.type == "sale" and drawn_on is not None)
    first = [movement.sku for movement in stored[:: 2 if two_each else 1]]
    first += [""] * (len(lines) - len(first))
    skus = [line.sku if isinstance(line.sku, str) else sku for line, sku in zip(lines, first, strict=False)]
    other = body.other_location if isinstance(body.other_location, str) else None
    reservation = row.id if body.type == "reserve" else drawn_on
    return inventory.movements(
        body.type, row.location, other, at, list(zip(skus, quantities, strict=True)), reservation
    )


def _adds_up(lines: list[Line], quantities: list[int], counted: list[Movement]) -> bool:
    """True if the figures are the sums of their lines; lines with a barcode can only be checked in total."""
    rest = {movement.sku: movement.quantity for movement in counted}
    scanned: dict[str, int] = {}
    for line, quantity in zip(lines, quantities, strict=True):
        if isinstance(line.gtin, str):
            scanned[line.gtin] = scanned.get(line.gtin, 0) + quantity
        elif line.sku in rest:
            rest[line.sku] -= quantity
        else:
            return False
    unexplained = [quantity for quantity in rest.values() if quantity]
    return sum(unexplained) == sum(scanned.values()) and len(unexplained) <= len(scanned)
