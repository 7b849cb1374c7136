"""Sums over the ledger between two instants and up to a position: what every look back is made of.

Only segments in which something occurred late enough are visited: see `tables.segment`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, func, literal, select, union_all
from sqlalchemy.sql.selectable import CTE

from inventory_server.inventory import Account, Count, Level, base_count, outstanding
from inventory_server.store import tables as t


@dataclass(frozen=True, slots=True)
class Moment:
    """Stock at an instant, as known at a position: None stands for "for ever" and for "now"."""

    as_of: int | None
    known_at: int | None


NOW = Moment(None, None)


def counts_of(connection: Connection, location: str, sku: str) -> list[Count]:
    """All counts of one (location, sku), voided ones included."""
    c = t.count.c
    rows = connection.execute(
        select(c.occurred_at, c.position, c.quantity, c.voided_position).where(c.location == location, c.sku == sku)
    )
    return [Count(*row) for row in rows]


def segments(connection: Connection, after: int | None, first: int = 0) -> CTE:
    """The segments from `first` on that may hold something which occurred later than `after`."""
    head = connection.execute(select(t.ledger.c.position)).scalar_one() >> t.SEGMENT_POSITIONS_LOG2
    closed = select(t.segment.c.segment).where(t.segment.c.segment >= first)
    if after is not None:
        closed = closed.where(t.segment.c.latest_at > after)
    return union_all(closed, select(literal(head, BigInteger))).cte("visited")


def position_at(connection: Connection, moment: int) -> int:
    """The last position recorded at or before an instant; `recorded_at` rises with `position`."""
    low, high = 0, int(connection.execute(select(t.ledger.c.position)).scalar_one())
    while low < high:
        middle = (low + high + 1) // 2
        recorded = connection.execute(select(t.posting.c.recorded_at).where(t.posting.c.position == middle))
        if recorded.scalar_one() <= moment:
            low = middle
        else:
            high = middle - 1
    return low


def moved(
    connection: Connection, location: str, sku: str, account: Account, after: int | None = None, at: Moment = NOW
) -> tuple[int, int | None]:
    """The sum of one (location, sku)'s movements that occurred later than `after`, and the latest such instant."""
    m = t.movement.c
    visited = segments(connection, after)
    statement = (
        select(func.coalesce(func.sum(m.quantity), 0), func.max(m.occurred_at))
        .select_from(visited.join(t.movement, m.segment == visited.c.segment))
        .where(m.location == location, m.sku == sku, m.account == int(account))
    )
    if after is not None:
        statement = statement.where(m.occurred_at > after)
    total, latest = connection.execute(_bounded(statement, at)).one()
    return total, latest


def level_at(connection: Connection, location: str, sku: str, at: Moment) -> Level:
    """The level of one (location, sku) at a moment, computed from the ledger alone."""
    base = base_count(counts_of(connection, location, sku), at.as_of, at.known_at)
    total, latest = moved(connection, location, sku, Account.STOCK, None, at)
    since = moved(connection, location, sku, Account.STOCK, base.occurred_at, at)[0] if base else total
    return Level(
        on_hand=since + (base.quantity if base else 0),
        moved=total,
        in_transit=moved(connection, location, sku, Account.IN_TRANSIT, None, at)[0],
        counted_at=base.occurred_at if base else None,
        counted_position=base.position if base else None,
        last_movement_at=latest,
    )


def reserved_at(connection: Connection, location: str, sku: str, at: Moment, now: int) -> int:
    """What was reserved of one (location, sku) at a moment."""
    m, r = t.movement.c, t.reservation.c
    visited = segments(connection, None)
    statement = (
        select(m.reservation, func.sum(m.quantity))
        .select_from(visited.join(t.movement, m.segment == visited.c.segment))
        .where(m.location == location, m.sku == sku, m.account == int(Account.RESERVED))
        .group_by(m.reservation)
    )
    remaining = connection.execute(_bounded(statement, at)).all()
    until = now if at.as_of is None else at.as_of
    standing = set(
        connection.execute(
            select(r.reservation).where(r.location == location, r.sku == sku, r.expires_at > until)
        ).scalars()
    )
    return outstanding((key, quantity) for key, quantity in remaining if key is None or key in standing)


def _bounded(statement: Select[Any], at: Moment) -> Select[Any]:
    if at.as_of is not None:
        statement = statement.where(t.movement.c.occurred_at <= at.as_of)
    if at.known_at is not None:
        statement = statement.where(t.movement.c.position <= at.known_at)
    return statement
