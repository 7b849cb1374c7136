"""Stock at a moment, from the ledger alone: what every look back is made of.

A look back starts from the last cut (`tables.closing`) that lies before its moment, by instant and by position. It adds
what was recorded up to the next cut and what was recorded since the last one, segment by segment, and the stragglers:
between any other two cuts only they can have occurred by then. Without a cut it adds up everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Select, and_, func, literal, or_, select, union_all

from inventory_server.inventory import Account, Count, Level, base_count, outstanding
from inventory_server.store import tables as t
from inventory_server.store.rows import UNNAMED


@dataclass(frozen=True, slots=True)
class Moment:
    """Stock at an instant, as known at a position: None stands for "for ever" and for "now"."""

    as_of: int | None
    known_at: int | None


NOW = Moment(None, None)


class Cut(NamedTuple):
    """All up to `position` was recorded by `closed_at`."""

    position: int
    closed_at: int

    @property
    def segment(self) -> int:
        """The segment that ends with it."""
        return self.position >> t.SEGMENT_POSITIONS_LOG2


class Sum(NamedTuple):
    """What moved on one account, and for one reservation where one was named; and when it last did."""

    account: int
    reservation: bytes
    quantity: int
    latest_at: int


def cuts(connection: Connection) -> list[Cut]:
    """The cuts to start from, in order."""
    c = t.closing.c
    written = select(c.position, c.closed_at).where(c.written_at.is_not(None)).order_by(c.position)
    return [Cut(*row) for row in connection.execute(written)]


def counts_of(connection: Connection, location: str, sku: str) -> list[Count]:
    """All counts of one (location, sku), voided ones included."""
    c = t.count.c
    rows = connection.execute(
        select(c.occurred_at, c.position, c.quantity, c.voided_position).where(c.location == location, c.sku == sku)
    )
    return [Count(*row) for row in rows]


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


class Past:
    """The ledger at a moment, to be asked for one (location, sku) after the other within one snapshot."""

    def __init__(self, connection: Connection, at: Moment, known_cuts: list[Cut] | None = None) -> None:
        self.connection = connection
        self.at = at
        self._cuts = cuts(connection) if known_cuts is None else known_cuts
        self._head = int(connection.execute(select(t.ledger.c.position)).scalar_one()) >> t.SEGMENT_POSITIONS_LOG2
        before = [cut for cut in self._cuts if self._reaches(cut)]
        self._start = before[-1] if before else None
        self._next = self._cuts[len(before)] if len(before) < len(self._cuts) else None

    def of(self, location: str, sku: str) -> Figures:
        """What is known of one (location, sku)."""
        return Figures(self, location, sku)

    def until(self, instant: int) -> Past:
        """What had occurred by an earlier instant, as known at the same position."""
        return Past(self.connection, Moment(instant, self.at.known_at), self._cuts)

    def sums(self, location: str, sku: str) -> list[Sum]:
        """All that moved one (location, sku), by account and reservation, in one statement."""
        parts = [self._moved(location, sku)]
        if self._start is not None:
            parts.append(_balances(location, sku, self._start))
        if self._cuts:
            parts.append(self._stragglers(location, sku))
        p = union_all(*parts).subquery().c
        statement = select(p.account, p.reservation, func.sum(p.quantity), func.max(p.latest_at))
        return [Sum(*row) for row in self.connection.execute(statement.group_by(p.account, p.reservation))]

    def _reaches(self, cut: Cut) -> bool:
        as_of, known_at = self.at.as_of, self.at.known_at
        return (as_of is None or cut.closed_at <= as_of) and (known_at is None or cut.position <= known_at)

    def _moved(self, location: str, sku: str) -> Select[Any]:
        m, s = t.movement.c, t.segment.c
        first = 0 if self._start is None else self._start.segment + 1
        closed = select(s.segment).where(s.segment >= first)
        if self._next is not None:
            closed = closed.where(or_(s.segment <= self._next.segment, s.segment > self._cuts[-1].segment))
        if self.at.known_at is not None:
            closed = closed.where(s.segment <= self.at.known_at >> t.SEGMENT_POSITIONS_LOG2)
        visited = union_all(closed, select(literal(self._head, BigInteger))).cte("visited")
        statement = _columns(t.movement, m.occurred_at, location, sku)
        statement = statement.select_from(visited.join(t.movement, m.segment == visited.c.segment))
        return self._bounded(statement.where(m.account != int(Account.COUNT)), t.movement)

    def _stragglers(self, location: str, sku: str) -> Select[Any]:
        """Those that the balances leave out, and those from where no segment is visited."""
        s = t.straggler.c
        statement = self._bounded(_columns(t.straggler, s.occurred_at, location, sku), t.straggler)
        after = self._cuts[-1] if self._next is None else self._next
        elsewhere = and_(s.position > after.position, s.position <= self._cuts[-1].position)
        if self._start is None:
            return statement.where(elsewhere)
        left_out = and_(s.position <= self._start.position, s.occurred_at > self._start.closed_at)
        return statement.where(or_(left_out, elsewhere))

    def _bounded(self, statement: Select[Any], table: Any) -> Select[Any]:
        if self.at.as_of is not None:
            statement = statement.where(table.c.occurred_at <= self.at.as_of)
        if self.at.known_at is not None:
            statement = statement.where(table.c.position <= self.at.known_at)
        return statement


class Figures:
    """One (location, sku) at a moment."""

    def __init__(self, past: Past, location: str, sku: str) -> None:
        self._past = past
        self._key = (location, sku)
        self._sums = past.sums(location, sku)

    def level(self) -> Level:
        """The level, computed from the ledger alone."""
        at = self._past.at
        base = base_count(counts_of(self._past.connection, *self._key), at.as_of, at.known_at)
        stock = self._on(Account.STOCK)
        moved = sum(each.quantity for each in stock)
        return Level(
            on_hand=moved if base is None else base.quantity + moved - self._moved_until(base),
            moved=moved,
            in_transit=sum(each.quantity for each in self._on(Account.IN_TRANSIT)),
            counted_at=base.occurred_at if base else None,
            counted_position=base.position if base else None,
            last_movement_at=max((each.latest_at for each in stock), default=None),
        )

    def reserved(self, now: int) -> int:
        """What was reserved."""
        remaining = [(each.reservation or None, each.quantity) for each in self._on(Account.RESERVED)]
        if not remaining:
            return 0
        r = t.reservation.c
        until = now if self._past.at.as_of is None else self._past.at.as_of
        statement = select(r.reservation).where(r.location == self._key[0], r.sku == self._key[1], r.expires_at > until)
        standing = set(self._past.connection.execute(statement).scalars())
        return outstanding((key, quantity) for key, quantity in remaining if key is None or key in standing)

    def _moved_until(self, base: Count) -> int:
        before = self._past.until(base.occurred_at).sums(*self._key)
        return sum(each.quantity for each in before if each.account == Account.STOCK)

    def _on(self, account: Account) -> list[Sum]:
        return [each for each in self._sums if each.account == account]


def _columns(table: Any, latest_at: Any, location: str, sku: str) -> Select[Any]:
    c = table.c
    reservation = func.coalesce(c.reservation, literal(UNNAMED)).label("reservation")
    columns = (c.account, reservation, c.quantity, latest_at.label("latest_at"))
    return select(*columns).where(c.location == location, c.sku == sku)


def _balances(location: str, sku: str, cut: Cut) -> Select[Any]:
    """The last row of each account and reservation up to a cut."""
    b, last = t.balance.c, t.balance.alias("last")
    same = [last.c[name] == b[name] for name in ("location", "sku", "account", "reservation")]
    latest = select(func.max(last.c.position)).where(*same, last.c.position <= cut.position).scalar_subquery()
    return _columns(t.balance, b.latest_at, location, sku).where(b.position == latest)
