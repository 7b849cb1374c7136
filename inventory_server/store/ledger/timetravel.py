"""Time travel: stock at an instant, as known at a position, computed from the ledger alone.

Nothing takes effect later than it is recorded. So a computation starts from the balances of the last closing
(`tables.closing`) before the moment, by instant and by position. To these it adds, segment by segment, what was
recorded up to the next closing and since the last one, and the stragglers: between any other two closings only they
can have taken effect by then. Without a closing it adds up all movements.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Select, and_, bindparam, func, or_, select, union_all

from inventory_server.domain.inventory import Account, Count, Level, base_count, standing_counts
from inventory_server.domain.merge import Merges, Order, last_count, on_hand, standing
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of, out_of_reach
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.sql import Statement

_closing, _count = t.closing.c, t.count.c
_cuts = Statement(
    select(_closing.position, _closing.closed_at).where(_closing.written_at.is_not(None)).order_by(_closing.position)
)
_counts = Statement(
    select(_count.effective_at, _count.position, _count.quantity, _count.voided_position, _count.terminal).where(
        _count.location == bindparam("location"), _count.sku == bindparam("sku")
    )
)
_archived_count = Statement(
    select(t.archived_count.c.moved).where(
        *(t.archived_count.c[name] == bindparam(name) for name in ("location", "sku", "position", "count_position"))
    )
)
_recorded_at, _archived_at = (
    Statement(select(table.c.recorded_at).where(table.c.position == bindparam("position")))
    for table in (t.posting, t.archived)
)


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant, and the position up to which the ledger is considered; None: no bound.

    With `event_position`, of what takes effect at `as_of` only that up to it in the order of events.
    """

    as_of: int | None
    known_at: int | None
    event_position: int | None = None


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
    """The sum of the stock movements of a key and the latest instant at which one takes effect, None if none does."""

    quantity: int
    latest_at: int | None


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


def recorded_at(connection: Connection, position: int | None) -> int | None:
    """When a position was recorded, in microseconds; None if there is no such position."""
    rows = _recorded_at(connection, position=position) or _archived_at(connection, position=position)
    return rows[0][0] if rows else None


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
        self._sum_of = _sum_of(
            _Bounds(
                has_cuts=bool(self._cuts),
                has_start=start is not None,
                has_balances=start is not None and not self._rests_on_archive,
                has_next=following is not None,
                as_of=at.as_of is not None,
                event_position=at.event_position is not None,
                known_at=at.known_at is not None,
            )
        )
        self._bounds = self._bounds_from(start, following)

    @cached_property
    def merges(self) -> Merges:
        """The merges that stand."""
        return standing(merges_of(self.connection, self._head), self.at.as_of, self.at.known_at)

    def of(self, location: str, sku: str) -> LevelAt:
        """The level of one (location, sku) at this moment."""
        return LevelAt(self, location, sku)

    def until(self, order: tuple[int, int]) -> LedgerAt:
        """The ledger up to a place in the order of events, as known at the same position."""
        at = Moment(order[0], self.at.known_at, order[1])
        return LedgerAt(self.connection, at, self._cuts, counted=True)

    def sum(self, location: str, sku: str) -> Sum:
        """The sum of all stock movements that are not archived, or since the last closing in the archive."""
        [(quantity, latest_at)] = self._sum_of(self.connection, location=location, sku=sku, **self._bounds)
        return Sum(quantity or 0, latest_at)

    def moved(self, location: str, sku: str) -> int:
        """The sum of all stock movements."""
        moved = self.sum(location, sku).quantity
        if self._rests_on_archive:
            of = {"location": location, "sku": sku, "count_position": self.at.event_position}
            [(before,)] = _archived_count(self.connection, position=self._head.archived_position, **of)
            moved += before
        return moved

    def _reaches(self, cut: Cut) -> bool:
        as_of, known_at, event_position = self.at.as_of, self.at.known_at, self.at.event_position
        if known_at is not None and cut.position > known_at:
            return False
        if as_of is None or cut.closed_at != as_of or event_position is None:
            return as_of is None or cut.closed_at <= as_of
        return cut.position <= event_position

    def _bounds_from(self, start: Cut | None, following: Cut | None) -> dict[str, int]:
        bounds = {"open_segment": self._head.segment, "first_segment": 0}
        if self.at.as_of is not None:
            bounds["as_of"] = self.at.as_of
        if self.at.event_position is not None:
            bounds["event_position"] = self.at.event_position
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
    event_position: bool
    known_at: bool


@cache
def _sum_of(bounds: _Bounds) -> Statement:
    parts = [_moved(bounds)]
    if bounds.has_balances:
        parts.append(_balances())
    if bounds.has_cuts:
        parts.append(_stragglers(bounds))
    p = union_all(*parts).subquery().c
    return Statement(select(func.sum(p.quantity), func.max(p.latest_at)))


def _moved(bounds: _Bounds) -> Select[Any]:
    m, s = t.movement.c, t.segment.c
    closed = select(s.segment).where(*_within(s.segment, bounds))
    visited = union_all(closed, select(bindparam("open_segment", type_=BigInteger))).cte("visited")
    statement = _columns(t.movement, m.effective_at)
    statement = statement.select_from(visited.join(t.movement, m.segment == visited.c.segment))
    # Repeated for the movements, so that partitions are pruned before the join.
    statement = statement.where(*_within(m.segment, bounds), m.segment <= bindparam("open_segment"))
    return _bounded(statement.where(m.account == int(Account.STOCK)), t.movement, bounds)


def _within(segment: Any, bounds: _Bounds) -> list[Any]:
    """The conditions on a segment's number under which it has to be visited."""
    within = [segment >= bindparam("first_segment")]
    if bounds.has_next:
        within.append(or_(segment <= bindparam("next_segment"), segment > bindparam("last_segment")))
    if bounds.known_at:
        within.append(segment <= bindparam("known_segment"))
    return within


def _stragglers(bounds: _Bounds) -> Select[Any]:
    """The stragglers of segments that are not visited."""
    s = t.straggler.c
    statement = _bounded(_columns(t.straggler, s.effective_at), t.straggler, bounds)
    return statement.where(s.position > bindparam("next_position"), s.position <= bindparam("last_position"))


def _balances() -> Select[Any]:
    """The last balance up to a closing."""
    b, last = t.balance.c, t.balance.alias("last")
    same = [last.c[name] == b[name] for name in ("location", "sku")]
    until = last.c.position <= bindparam("start_position")
    latest = select(func.max(last.c.position)).where(*same, until).scalar_subquery()
    return _columns(t.balance, b.latest_at).where(b.position == latest)


def _bounded(statement: Select[Any], table: Any, bounds: _Bounds) -> Select[Any]:
    c = table.c
    if bounds.event_position:
        at_once = and_(c.effective_at == bindparam("as_of"), event_position(table) <= bindparam("event_position"))
        statement = statement.where(or_(c.effective_at < bindparam("as_of"), at_once))
    elif bounds.as_of:
        statement = statement.where(c.effective_at <= bindparam("as_of"))
    if bounds.known_at:
        statement = statement.where(c.position <= bindparam("known_at"))
    return statement


def event_position(table: Any) -> Any:
    """The position at which a row of `movement` or `straggler` stands in the order of events."""
    return func.coalesce(table.c.event_position, table.c.position)


def _columns(table: Any, latest_at: Any) -> Select[Any]:
    c = table.c
    return select(c.quantity, latest_at.label("latest_at")).where(
        c.location == bindparam("location"), c.sku == bindparam("sku")
    )


class LevelAt:
    """One (location, sku) at a moment."""

    def __init__(self, past: LedgerAt, location: str, sku: str) -> None:
        self._past = past
        self._key = (location, sku)

    def level(self, in_transit: int = 0) -> Level:
        """The level, computed from the ledger alone; what is `in_transit` is known from its documents."""
        at = self._past.at
        moved, latest_at = self._past.sum(*self._key)
        if self._key[1] in self._past.merges.families:
            base, figure = self._merged()
        else:
            base = base_count(counts_of(self._past.connection, *self._key), at.as_of, at.known_at)
            figure = moved
            if base is not None:
                figure += base.quantity - self._past.until(base.order).moved(*self._key)
        return Level(
            on_hand=figure,
            moved=moved,
            in_transit=in_transit,
            counted_at=base.effective_at if base else None,
            counted_position=base.position if base else None,
            last_movement_at=latest_at,
        )

    def _merged(self) -> tuple[Count | None, int]:
        """The count on which the level rests, and what is on hand, of a product that merges connect with others."""
        past, (location, sku) = self._past, self._key
        counts = {
            member: standing_counts(counts_of(past.connection, location, member), past.at.as_of, past.at.known_at)
            for member in past.merges.family(sku)
        }

        def moved(member: str, begin: Order | None, end: Order | None) -> int:
            upto = past.sum(location, member).quantity if end is None else past.until(end).moved(location, member)
            return upto if begin is None else upto - past.until(begin).moved(location, member)

        return last_count(past.merges, sku, counts), on_hand(past.merges, sku, counts, moved)
