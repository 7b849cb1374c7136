"""What a stored posting must have moved, worked out again from its body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, func, select

from inventory_server import inventory
from inventory_server.inventory import Account, Movement
from inventory_server.store import tables as t
from inventory_server.store.rows import ANYWHERE
from pos_client import wire
from pos_client.errors import BodyError
from pos_client.exact import micros
from pos_client.messages import Body, Line


class Moved(NamedTuple):
    """A stored movement, its number within its posting, and the figure that it left behind."""

    movement: Movement
    entry: int
    on_hand_after: int


def postings_of(connection: Connection, segment: int) -> list[Any]:
    """The postings of a segment by position, each with the void that counts: `void_position`, `void_occurred_at`.

    A void of another location is of no effect, and so is any but the first.
    """
    p, v, earlier = t.posting.c, t.void.c, t.void.alias().c
    begin = segment << t.SEGMENT_POSITIONS_LOG2
    columns = (p.position, p.id, p.terminal, p.type, p.location, p.occurred_at, p.recorded_at, p.reference)
    fitting = (earlier.voids == p.id) & earlier.location.in_((ANYWHERE, p.location))
    first = select(func.min(earlier.position)).where(fitting).correlate(t.posting).scalar_subquery()
    works = (v.voids == p.id) & (v.position == first) & (p.type != "void")
    statement = (
        select(*columns, p.lineage, p.seq, p.digest, p.body)
        .add_columns(v.position.label("void_position"), v.occurred_at.label("void_occurred_at"))
        .select_from(t.posting.outerjoin(t.void, works))
        .where(p.position.between(begin, begin + (1 << t.SEGMENT_POSITIONS_LOG2) - 1))
        .order_by(p.position)
    )
    return list(connection.execute(statement))


def movements_of(connection: Connection, segment: int, position: int | None = None) -> dict[int, list[Moved]]:
    """The movements of a segment, or of one position in it, by position."""
    m = t.movement.c
    columns = (
        m.position,
        m.entry,
        m.on_hand_after,
        m.location,
        m.sku,
        m.account,
        m.quantity,
        m.occurred_at,
        m.reservation,
    )
    statement = select(*columns).where(m.segment == segment).order_by(m.position, m.entry)
    if position is not None:
        statement = statement.where(m.position == position)
    found: dict[int, list[Moved]] = {}
    for at, entry, after, location, sku, account, *rest in connection.execute(statement):
        found.setdefault(at, []).append(Moved(Movement(location, sku, Account(account), *rest), entry, after))
    return found


def wrong_movements(connection: Connection, row: Any, stored: list[Movement]) -> Iterator[str]:
    """What is wrong with a posting, in words: its row and its movements must be those of its body.

    A void cancels another's movements; where it came first, the other's movements cancel themselves.
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
        if stored != _cancelled(connection, row, body.voids, at):
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


def _cancelled(connection: Connection, row: Any, voids: UUID, at: int) -> list[Movement]:
    """What a void must move: nothing where it came before what it voids."""
    position = connection.execute(select(t.identity.c.position).where(t.identity.c.id == voids.bytes)).scalar()
    if position is None or position >= row.position:
        return []
    target = movements_of(connection, position >> t.SEGMENT_POSITIONS_LOG2, position).get(position, [])
    return inventory.opposite([moved.movement for moved in target], at)


def _of_lines(
    body: Body, row: Any, at: int, lines: list[Line], quantities: list[int], stored: list[Movement]
) -> list[Movement]:
    """What a barcode meant when it was posted is kept by its movement alone."""
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
    """True where each figure is the sum of its lines; which figure a barcode added to, only the sum can tell."""
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
