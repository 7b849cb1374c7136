"""Sums of stock movements between places in the order of events, for many products at once.

The movements that arrived after a position come one by one, so that each can be told. Like `timetravel`, it reads the
segments in which something of an interval can be: from its begin up to the next closing after its end, those after the
last closing, and the stragglers in between.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    and_,
    bindparam,
    case,
    column,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from inventory_server.domain.inventory import Account
from inventory_server.domain.merge import Order
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import Head, out_of_reach
from inventory_server.store.ledger.sql import ForEach, Lookup, plain_rows
from inventory_server.store.ledger.timetravel import cuts, event_position

_BEFORE_ALL: Order = (-(2**63), 0)
_AFTER_ALL: Order = (2**63 - 1, 2**63 - 1)
_NUMBERS = (
    *("nth", "begin_at", "begin_position", "end_at", "end_position"),
    *("seen", "known", "first_segment", "last_segment", "first_position", "last_position"),
)
WANTED: list[ColumnElement[Any]] = [
    column("location", t.TEXT),
    column("sku", t.TEXT),
    *(column(name, BigInteger) for name in _NUMBERS),
]
_balances = Lookup(t.balance, [t.balance.c.location, t.balance.c.sku])
_archived_counts = Lookup(t.archived_count, [t.archived_count.c.location, t.archived_count.c.sku])


class Interval(NamedTuple):
    """The movements of a SKU at a location after `begin` and up to `end` (None: no bound).

    Those up to the position `seen` are of one sum; later ones are told apart.
    """

    location: str
    sku: str
    begin: Order | None
    end: Order | None
    seen: int


class IntervalSum:
    """The sum of an interval as known at a position: `before` is what was known when it was seen."""

    def __init__(self, before: int, later: Mapping[int, int]) -> None:
        self.positions = sorted(later)
        self._sums = list(accumulate((later[each] for each in self.positions), initial=before))

    def known_at(self, position: int) -> int:
        """The sum of what was recorded up to a position."""
        return self._sums[bisect_right(self.positions, position)]


class _Stretch(NamedTuple):
    """Segments that are visited for an interval, or positions of stragglers."""

    first_segment: int
    last_segment: int
    first_position: int = 0
    last_position: int = 0


class IntervalReader:
    """Reads intervals as known at the position `known_at`, in a number of statements that does not depend on theirs."""

    def __init__(self, connection: Connection, head: Head, known_at: int) -> None:
        self._connection = connection
        self._head = head
        self._known_at = known_at
        self._cuts = cuts(connection)
        segments = plain_rows(connection, select(t.segment).order_by(t.segment.c.segment))
        self._segments = [row[0] for row in segments]
        self._latest = list(accumulate((row[1] for row in segments), max))

    def read(self, intervals: Iterable[Interval]) -> dict[Interval, IntervalSum]:
        """The sums of `intervals`; RequestError where archived movements are needed."""
        return self._read(intervals, _moved, _strayed)

    def read_twice(self, intervals: Iterable[Interval]) -> dict[Interval, IntervalSum]:
        """As `read`, but only for what was known at `seen` and is known now: late movements are one sum."""
        return self._read(intervals, _moved_twice, _strayed_twice)

    def _read(self, intervals: Iterable[Interval], moved: ForEach, strayed: ForEach) -> dict[Interval, IntervalSum]:
        wanted = sorted(set(intervals), key=repr)
        archived = self._archived(wanted) if self._head.archived_position else {}
        found: list[dict[int, int]] = [{0: archived.get(each, 0)} for each in wanted]
        for nth, late, quantity in self.rows(wanted, moved, strayed):
            found[nth][late] = found[nth].get(late, 0) + int(quantity)
        return {each: IntervalSum(sums.pop(0), sums) for each, sums in zip(wanted, found, strict=True)}

    def rows(self, intervals: Iterable[Interval], moved: ForEach, strayed: ForEach) -> list[tuple[Any, ...]]:
        """What `moved` finds in the segments, and `strayed` among the stragglers, that intervals can need."""
        visits = [(*self._row(nth, each), *way) for nth, each in enumerate(intervals) for way in self._visited(each)]
        of_segments, of_stragglers = [row for row in visits if not row[-1]], [row for row in visits if row[-1]]
        found = moved(self._connection, of_segments, open=self._head.segment) if of_segments else []
        return found + (strayed(self._connection, of_stragglers, open=self._head.segment) if of_stragglers else [])

    def _row(self, nth: int, interval: Interval) -> tuple[Any, ...]:
        begin, end = interval.begin or _BEFORE_ALL, interval.end or _AFTER_ALL
        return (interval.location, interval.sku, nth, *begin, *end, interval.seen, self._known_at)

    def _visited(self, interval: Interval) -> Iterator[_Stretch]:
        """Where movements of an interval can be."""
        begin, end = interval.begin or _BEFORE_ALL, interval.end or _AFTER_ALL
        at = bisect_left(self._latest, begin[0])
        first = self._segments[at] if at < len(self._segments) else self._head.segment
        following = [cut for cut in self._cuts if cut.closed_at >= end[0]]
        if len(following) < 2:
            yield _Stretch(first, self._head.segment)
            return
        following_cut, last_cut = following[0], following[-1]
        yield _Stretch(first, following_cut.segment)
        yield _Stretch(max(first, last_cut.segment + 1), self._head.segment)
        yield _Stretch(0, 0, following_cut.position + 1, last_cut.position)

    def _archived(self, intervals: list[Interval]) -> dict[Interval, int]:
        """The sums of the archived movements of intervals."""
        keys = list({(each.location, each.sku) for each in intervals})
        until = self._head.archived_position
        balances: dict[tuple[str, str], tuple[int, int]] = {}
        for location, sku, position, quantity, _ in _balances(self._connection, keys):
            if position <= until:
                balances[location, sku] = max(balances.get((location, sku), (0, 0)), (position, quantity))
        kept = {
            (location, sku, count_position): moved
            for location, sku, position, count_position, moved in _archived_counts(self._connection, keys)
            if position == until
        }
        return {each: self._archived_sum(each, balances.get(each[:2], (0, 0))[1], kept) for each in intervals}

    def _archived_sum(self, interval: Interval, balance: int, kept: Mapping[tuple[str, str, int], int]) -> int:
        end_of_archive = (self._head.archived_until, self._head.archived_position)
        if interval.end is not None and interval.end <= end_of_archive:
            raise out_of_reach(self._head)
        if interval.begin is None:
            return balance
        if interval.begin > end_of_archive:
            return 0
        before = kept.get((*interval[:2], interval.begin[1]))
        if before is None:
            raise out_of_reach(self._head)
        return balance - before


def is_within(table: Any, wanted: FromClause) -> list[ColumnElement[bool]]:
    """The conditions that a row of `movement` or `straggler` is within an interval, as known."""
    c, w = table.c, wanted.c
    at = event_position(table)
    return [
        or_(c.effective_at > w.begin_at, and_(c.effective_at == w.begin_at, at > w.begin_position)),
        or_(c.effective_at < w.end_at, and_(c.effective_at == w.end_at, at <= w.end_position)),
        c.position <= w.known,
    ]


def is_visited(visited: FromClause, wanted: FromClause) -> ColumnElement[bool]:
    """Whether a segment has to be visited for an interval."""
    return visited.c.segment.between(wanted.c.first_segment, wanted.c.last_segment)


_Late = Callable[[Any, FromClause], ColumnElement[Any]]
"""The position at which a movement is late; 0 if it is not."""


def _told_apart(table: Any, wanted: FromClause) -> ColumnElement[Any]:
    return case((table.c.position > wanted.c.seen, table.c.position), else_=literal_column("0"))


def _at_once(table: Any, wanted: FromClause) -> ColumnElement[Any]:
    return case((table.c.position > wanted.c.seen, wanted.c.known), else_=literal_column("0"))


def _of_segments(is_late: _Late, wanted: FromClause) -> Executable:
    m, s, w = t.movement.c, t.segment.c, wanted.c
    opened = select(bindparam("open", type_=BigInteger))
    visited = union_all(select(s.segment), opened).cte("visited")
    late = is_late(t.movement, wanted)
    return (
        select(w.nth, late, func.sum(m.quantity))
        .select_from(
            wanted.join(visited, is_visited(visited, wanted)).join(
                t.movement,
                and_(m.segment == visited.c.segment, m.location == w.location, m.sku == w.sku),
            )
        )
        .where(m.account == literal_column(str(int(Account.STOCK))), *is_within(t.movement, wanted))
        .group_by(w.nth, late)
    )


def _of_stragglers(is_late: _Late, wanted: FromClause) -> Executable:
    s, w = t.straggler.c, wanted.c
    late = is_late(t.straggler, wanted)
    same = and_(s.location == w.location, s.sku == w.sku, s.position.between(w.first_position, w.last_position))
    opened = bindparam("open", type_=BigInteger) >= literal_column("0")  # both statements take the same parameters
    return (
        select(w.nth, late, func.sum(s.quantity))
        .select_from(wanted.join(t.straggler, same))
        .where(opened, *is_within(t.straggler, wanted))
        .group_by(w.nth, late)
    )


_moved = ForEach(WANTED, partial(_of_segments, _told_apart), in_order=True)
_strayed = ForEach(WANTED, partial(_of_stragglers, _told_apart))
_moved_twice = ForEach(WANTED, partial(_of_segments, _at_once), in_order=True)
_strayed_twice = ForEach(WANTED, partial(_of_stragglers, _at_once))
