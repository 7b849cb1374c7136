"""Time travel: stock at an instant, as known at a position, computed from the ledger alone.

A computation starts from the balances of the last closing (`tables.closing`) before the moment, by instant and by
position. To these it adds, segment by segment, what was recorded up to the next closing and since the last one, and
the stragglers: between any other two closings only they can have occurred by then. Without a closing it adds up all
movements.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Select, and_, bindparam, func, literal, or_, select, union_all

from inventory_server.domain.inventory import Account, Count, Level, base_count, outstanding
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of, out_of_reach
from inventory_server.store.ledger.records import UNNAMED
from inventory_server.store.ledger.sql import Statement

_closing, _count, _reservation = t.closing.c, t.count.c, t.reservation.c
_cuts = Statement(
    select(_closing.position, _closing.closed_at).where(_closing.written_at.is_not(None)).order_by(_closing.position)
)
_counts = Statement(
    select(_count.occurred_at, _count.position, _count.quantity, _count.voided_position).where(
        _count.location == bindparam("location"), _count.sku == bindparam("sku")
    )
)
_archived_count = Statement(
    select(t.archived_count.c.moved).where(
        *(t.archived_count.c[name] == bindparam(name) for name in ("location", "sku", "position", "occurred_at"))
    )
)
_recorded_at = Statement(select(t.posting.c.recorded_at).where(t.posting.c.position == bindparam("position")))
_standing = Statement(
    select(_reservation.reservation).where(
        _reservation.location == bindparam("location"),
        _reservation.sku == bindparam("sku"),
        _reservation.expires_at > bindparam("until"),
    )
)


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant, and the position up to which the ledger is considered; None: no bound."""

    as_of: int | None
    known_at: int | None


NOW = Moment(None, None)


class Cut(NamedTuple):
    """A closing: everything up to `position` was recorded by `closed_at`."""

    position: int
    closed_at: int

    @property
    def segment(self) -> int:
        """The segment that ends at it."""
        return self.position >> t.SEGMENT_POSITIONS_LOG2


class Sum(NamedTuple):
    """The sum of movements on one account (for one reservation, if named), and the instant of the latest one."""

    account: int
    reservation: bytes
    quantity: int
    latest_at: int


def cuts(connection: Connection) -> list[Cut]:
    """All complete closings by position."""
    return [Cut(*row) for row in _cuts(connection)]


def counts_of(connection: Connection, location: str, sku: str) -> list[Count]:
    """All counts of one (location, sku), voided ones included."""
    return [Count(*row) for row in _counts(connection, location=location, sku=sku)]


def position_at(connection: Connection, moment: int) -> int:
    """The last position recorded at or before an instant; `recorded_at` rises with `position`."""
    head = head_of(connection)
    if head.is_before(moment):
        raise out_of_reach(head)
    low, high = head.archived_position, head.position
    while low < high:
        middle = (low + high + 1) // 2
        [(recorded_at,)] = _recorded_at(connection, position=middle)
        if recorded_at <= moment:
            low = middle
        else:
            high = middle - 1
    return low


class LedgerAt:
    """The ledger at a moment, for reading one (location, sku) after the other within one snapshot.

    RequestError if the movements before the moment are archived. With `counted` the moment is that of a count: for
    these the archive keeps the sum of movements.
    """

    def __init__(
        self, connection: Connection, at: Moment, known_cuts: list[Cut] | None = None, counted: bool = False
    ) -> None:
        self.connection = connection
        self.at = at
        self._cuts = cuts(connection) if known_cuts is None else known_cuts
        self._head = head_of(connection)
        before = [cut for cut in self._cuts if self._reaches(cut)]
        self._rests_on_archive = self._head.archived_position > (before[-1].position if before else 0)
        if self._rests_on_archive:
            if not counted:
                raise out_of_reach(self._head)
            before = [cut for cut in self._cuts if cut.position <= self._head.archived_position]
        start = before[-1] if before else None
        following = self._cuts[len(before)] if len(before) < len(self._cuts) else None
        self._sums_of = _sums_of(
            _Bounds(
                has_cuts=bool(self._cuts),
                has_start=start is not None,
                has_balances=start is not None and not self._rests_on_archive,
                has_next=following is not None,
                as_of=at.as_of is not None,
                known_at=at.known_at is not None,
            )
        )
        self._bounds = self._bounds_from(start, following)

    def of(self, location: str, sku: str) -> LevelAt:
        """The level of one (location, sku) at this moment."""
        return LevelAt(self, location, sku)

    def until(self, instant: int) -> LedgerAt:
        """The ledger at an earlier instant, as known at the same position."""
        return LedgerAt(self.connection, Moment(instant, self.at.known_at), self._cuts, counted=True)

    def sums(self, location: str, sku: str) -> list[Sum]:
        """All movements of one (location, sku), summed by account and reservation, in one statement."""
        rows = self._sums_of(self.connection, location=location, sku=sku, **self._bounds)
        return [Sum(*row) for row in rows]

    def moved(self, location: str, sku: str) -> int:
        """The sum of all stock movements."""
        moved = sum(each.quantity for each in self.sums(location, sku) if each.account == Account.STOCK)
        if self._rests_on_archive:
            of = {"location": location, "sku": sku, "occurred_at": self.at.as_of}
            [(before,)] = _archived_count(self.connection, position=self._head.archived_position, **of)
            moved += before
        return moved

    def _reaches(self, cut: Cut) -> bool:
        as_of, known_at = self.at.as_of, self.at.known_at
        return (as_of is None or cut.closed_at <= as_of) and (known_at is None or cut.position <= known_at)

    def _bounds_from(self, start: Cut | None, following: Cut | None) -> dict[str, int]:
        bounds = {"open_segment": self._head.segment, "first_segment": 0}
        if self.at.as_of is not None:
            bounds["as_of"] = self.at.as_of
        if self.at.known_at is not None:
            bounds |= {"known_at": self.at.known_at, "known_segment": self.at.known_at >> t.SEGMENT_POSITIONS_LOG2}
        if self._cuts:
            bounds |= _named("last", self._cuts[-1]) | _named("next", following or self._cuts[-1])
        if start is not None:
            bounds |= _named("start", start) | {"first_segment": start.segment + 1}
        return bounds


def _named(name: str, cut: Cut) -> dict[str, int]:
    return {f"{name}_position": cut.position, f"{name}_closed_at": cut.closed_at, f"{name}_segment": cut.segment}


class _Bounds(NamedTuple):
    """Which bounds a computation has; each combination is a different statement."""

    has_cuts: bool
    has_start: bool
    has_balances: bool
    has_next: bool
    as_of: bool
    known_at: bool


@cache
def _sums_of(bounds: _Bounds) -> Statement:
    parts = [_moved(bounds)]
    if bounds.has_balances:
        parts.append(_balances())
    if bounds.has_cuts:
        parts.append(_stragglers(bounds))
    p = union_all(*parts).subquery().c
    sums = select(p.account, p.reservation, func.sum(p.quantity), func.max(p.latest_at))
    return Statement(sums.group_by(p.account, p.reservation))


def _moved(bounds: _Bounds) -> Select[Any]:
    m, s = t.movement.c, t.segment.c
    closed = select(s.segment).where(*_within(s.segment, bounds))
    visited = union_all(closed, select(bindparam("open_segment", type_=BigInteger))).cte("visited")
    statement = _columns(t.movement, m.occurred_at)
    statement = statement.select_from(visited.join(t.movement, m.segment == visited.c.segment))
    # Repeated for the movements, so that partitions are pruned before the join.
    statement = statement.where(*_within(m.segment, bounds), m.segment <= bindparam("open_segment"))
    return _bounded(statement.where(m.account != int(Account.COUNT)), t.movement, bounds)


def _within(segment: Any, bounds: _Bounds) -> list[Any]:
    """The conditions on a segment's number under which it has to be visited."""
    within = [segment >= bindparam("first_segment")]
    if bounds.has_next:
        within.append(or_(segment <= bindparam("next_segment"), segment > bindparam("last_segment")))
    if bounds.known_at:
        within.append(segment <= bindparam("known_segment"))
    return within


def _stragglers(bounds: _Bounds) -> Select[Any]:
    """Stragglers that the balances exclude, and those of segments that are not visited."""
    s = t.straggler.c
    statement = _bounded(_columns(t.straggler, s.occurred_at), t.straggler, bounds)
    elsewhere = and_(s.position > bindparam("next_position"), s.position <= bindparam("last_position"))
    if not bounds.has_start:
        return statement.where(elsewhere)
    left_out = and_(s.position <= bindparam("start_position"), s.occurred_at > bindparam("start_closed_at"))
    return statement.where(or_(left_out, elsewhere))


def _balances() -> Select[Any]:
    """The last balance of each account and reservation up to a closing."""
    b, last = t.balance.c, t.balance.alias("last")
    same = [last.c[name] == b[name] for name in ("location", "sku", "account", "reservation")]
    until = last.c.position <= bindparam("start_position")
    latest = select(func.max(last.c.position)).where(*same, until).scalar_subquery()
    return _columns(t.balance, b.latest_at).where(b.position == latest)


def _bounded(statement: Select[Any], table: Any, bounds: _Bounds) -> Select[Any]:
    if bounds.as_of:
        statement = statement.where(table.c.occurred_at <= bindparam("as_of"))
    if bounds.known_at:
        statement = statement.where(table.c.position <= bindparam("known_at"))
    return statement


def _columns(table: Any, latest_at: Any) -> Select[Any]:
    c = table.c
    reservation = func.coalesce(c.reservation, literal(UNNAMED)).label("reservation")
    columns = (c.account, reservation, c.quantity, latest_at.label("latest_at"))
    return select(*columns).where(c.location == bindparam("location"), c.sku == bindparam("sku"))


class LevelAt:
    """One (location, sku) at a moment."""

    def __init__(self, past: LedgerAt, location: str, sku: str) -> None:
        self._past = past
        self._key = (location, sku)
        self._sums = past.sums(location, sku)

    def level(self) -> Level:
        """The level, computed from the ledger alone."""
        at = self._past.at
        base = base_count(counts_of(self._past.connection, *self._key), at.as_of, at.known_at)
        stock = self._on(Account.STOCK)
        moved = on_hand = sum(each.quantity for each in stock)
        if base is not None:
            on_hand += base.quantity - self._past.until(base.occurred_at).moved(*self._key)
        return Level(
            on_hand=on_hand,
            moved=moved,
            in_transit=sum(each.quantity for each in self._on(Account.IN_TRANSIT)),
            counted_at=base.occurred_at if base else None,
            counted_position=base.position if base else None,
            last_movement_at=max((each.latest_at for each in stock), default=None),
        )

    def reserved(self, now: int) -> int:
        """The reserved quantity."""
        remaining = [(each.reservation or None, each.quantity) for each in self._on(Account.RESERVED)]
        if not remaining:
            return 0
        location, sku = self._key
        until = now if self._past.at.as_of is None else self._past.at.as_of
        standing = {row[0] for row in _standing(self._past.connection, location=location, sku=sku, until=until)}
        return outstanding((key, quantity) for key, quantity in remaining if key is None or key in standing)

    def _on(self, account: Account) -> list[Sum]:
        return [each for each in self._sums if each.account == account]
