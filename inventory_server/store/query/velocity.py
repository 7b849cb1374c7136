"""How fast products sell: what moved and was sold of many of them in the last weeks, by business day.

`Velocities.of` reads any set of (location, sku) in three statements. `domain/ordering.py` has the rule.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from math import gcd
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
    true,
    union_all,
)

from inventory_server.domain.inventory import Account
from inventory_server.domain.limits import VELOCITY_DAYS
from inventory_server.domain.merge import Merges, standing
from inventory_server.domain.ordering import UNKNOWN_VELOCITY, DayTrade, Velocity, velocity
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import Head, head_of
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import ForEach, plain_rows
from inventory_server.store.query.named import business_days

_WANTED: list[ColumnElement[Any]] = [
    *(column(name, t.TEXT) for name in ("location", "first_sku", "last_sku")),
    column("begin_at", BigInteger),
]
"""Products of a location, from one SKU to another, and since when they are asked about."""
_DELIVERIES: list[ColumnElement[Any]] = [literal_column("'receipt'")]
_SALES: list[ColumnElement[Any]] = [literal_column("'sale'"), literal_column("'return'")]


class _Window(NamedTuple):
    """The business days of a location, by their first instants: the completed ones, the last of them is today."""

    starts: list[int]

    def day(self, moment: int) -> int:
        """The number of the day of an instant; negative before the first one."""
        return bisect_right(self.starts, moment) - 1

    @property
    def today(self) -> int:
        """The number of today."""
        return len(self.starts) - 1


class Velocities:
    """Reads how fast products sell, as of now: `now` is HQ's clock in microseconds."""

    def __init__(self, connection: Connection, now: int) -> None:
        self._connection = connection
        self._now = now
        self._head = head_of(connection)
        self._merges = standing(merges_of(connection, self._head))
        self._windows: dict[str, _Window] = {}

    @property
    def merges(self) -> Merges:
        """The merges that stand."""
        return self._merges

    def of(self, keys: Collection[Key], is_range: bool = False) -> dict[Key, Velocity]:
        """The velocity of each of `keys`. What was sold of a product that was merged is of the one that took over.

        With `is_range`, `keys` are most of the products between the first and the last of a location: few rows are read
        in vain, and the ledger is searched once for all of them.
        """
        windows = self._windows_of({location for location, _ in keys})
        ranges = [(*each, windows[each[0]].starts[0]) for each in self._ranges(keys, is_range)]
        trade = self._trade_of(ranges, windows)
        counted = _earliest(self._named(_first_counts(self._connection, ranges)))
        stock: dict[Key, tuple[int, int]] = {}
        for location, sku, on_hand, moved in _levels(self._connection, ranges):
            key = (location, self._merges.name(sku))
            stock[key] = (stock.get(key, (0, 0))[0] + on_hand, stock.get(key, (0, 0))[1] + moved)
        found = {}
        for key in keys:
            if key not in stock or key[1] in self._merges.by_ended:
                found[key] = UNKNOWN_VELOCITY
                continue
            window = windows[key[0]]
            first = None if key not in counted else window.day(counted[key])
            found[key] = velocity(*stock[key], first, trade.get(key, {}), window.today)
        return found

    def _trade_of(
        self, ranges: list[tuple[Any, ...]], windows: Mapping[str, _Window]
    ) -> dict[Key, dict[int, DayTrade]]:
        """What was traded on each day."""
        days: dict[tuple[str, int], int] = {}
        trade: dict[Key, dict[int, DayTrade]] = {}
        for location, sku, moment, moved, sold in self._traded(ranges, windows.values()):
            day = days.get((location, moment))
            if day is None:
                day = days[location, moment] = windows[location].day(moment)
            of_key = trade.setdefault((location, self._merges.name(sku) if self._merges else sku), {})
            before = of_key.get(day)
            if before is None:
                of_key[day] = DayTrade(int(moved), int(sold))
            else:
                of_key[day] = DayTrade(before.moved + int(moved), before.sold + int(sold))
        return trade

    def _windows_of(self, locations: set[str]) -> dict[str, _Window]:
        new = locations.difference(self._windows)
        for location, days in business_days(self._connection, new).items() if new else ():
            today = days.of(self._now)
            ends = [days.end(today - timedelta(days=back)) for back in range(VELOCITY_DAYS + 1, 0, -1)]
            # What is archived is not read: then fewer days are looked at.
            starts = [end + 1 for end in ends if end >= self._head.archived_until]
            self._windows[location] = _Window(starts or [ends[-1] + 1])
        return self._windows

    def _ranges(self, keys: Collection[Key], is_range: bool) -> Iterator[tuple[str, str, str]]:
        """The products to read, as stretches of SKUs that do not overlap, with those that became one of them."""
        skus: dict[str, set[str]] = {}
        for location, sku in keys:
            skus.setdefault(location, set()).add(sku)
        for location, named in skus.items():
            wanted = {member for sku in named for member in self._merges.family(sku)}
            if is_range:
                first, last = min(named), max(named)
                yield location, first, last
                wanted = {sku for sku in wanted if not first <= sku <= last}
            yield from ((location, sku, sku) for sku in sorted(wanted))

    def _traded(self, ranges: list[tuple[Any, ...]], windows: Iterable[_Window]) -> Iterator[tuple[Any, ...]]:
        """(location, sku, an instant of the day, moved, sold), several times for a day; nothing of what was voided."""
        # All days begin at a multiple of it: so the database adds up what is of one day.
        width = gcd(*(start for window in windows for start in window.starts))
        begin = min((each[-1] for each in ranges), default=self._now)
        first = first_segment(self._connection, self._head, begin)
        bounds = _bounds(self._head, first)
        for location, sku, bucket, moved, sold in _trade(self._connection, ranges, **bounds, width=width):
            yield location, sku, int(bucket) * width, moved, sold

    def _named(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Key, int]]:
        return (((location, self._merges.name(sku)), int(figure)) for location, sku, figure in rows)


def _earliest(rows: Iterable[tuple[Key, int]]) -> Mapping[Key, int]:
    found: dict[Key, int] = {}
    for key, moment in rows:
        found[key] = min(found.get(key, moment), moment)
    return found


def first_segment(connection: Connection, head: Head, since: int) -> int:
    """The first segment with a movement that takes effect at an instant or later."""
    s = t.segment.c
    [(found,)] = plain_rows(connection, select(func.min(s.segment)).where(s.latest_at >= since))
    return max(head.segment if found is None else int(found), head.first_segment)


def received(connection: Connection, head: Head, ranges: list[tuple[str, str, str, int]]) -> list[tuple[Any, ...]]:
    """The deliveries of products since an instant, (location, sku, instant, quantity), without voided ones."""
    if not ranges:
        return []
    first = first_segment(connection, head, min(since for *_, since in ranges))
    return _received(connection, ranges, **_bounds(head, first))


def _bounds(head: Head, first: int) -> dict[str, int]:
    """The segments from the `first` on, and the first position in them."""
    return {"first": first, "open": head.segment, "first_position": first << t.SEGMENT_POSITIONS_LOG2}


def _moved_since(wanted: FromClause, *posted: ColumnElement[Any]) -> tuple[FromClause, list[ColumnElement[bool]]]:
    """Movements of `wanted` since the instant of each, joined to their postings: those of a void to its target.

    The conditions are those of the join. Nothing before the first segment can have taken effect since then.
    """
    m, s, w, p = t.movement.c, t.segment.c, wanted.c, t.posting.c
    first = bindparam("first", type_=BigInteger)
    opened = select(bindparam("open", type_=BigInteger))
    visited = union_all(select(s.segment).where(s.segment >= first), opened).cte("visited")
    same = and_(m.segment == visited.c.segment, m.location == w.location, m.sku.between(w.first_sku, w.last_sku))
    of = p.position == func.coalesce(m.event_position, m.position)
    joined = wanted.join(visited, true()).join(t.movement, same).join(t.posting, of)
    stock = m.account == literal_column(str(int(Account.STOCK)))
    earliest = p.position >= bindparam("first_position", type_=BigInteger)
    return joined, [stock, m.effective_at >= w.begin_at, earliest, *posted]


def _by_day(wanted: FromClause) -> Executable:
    m, p = t.movement.c, t.posting.c
    joined, conditions = _moved_since(wanted)
    bucket = m.effective_at.op("/")(bindparam("width", type_=BigInteger)).label("bucket")
    sold = func.sum(case((p.type.in_(_SALES), -m.quantity), else_=literal_column("0"))).label("sold")
    moved = func.sum(m.quantity).label("moved")
    of_posting: list[ColumnElement[Any]] = [m.location, m.sku, literal_column("bucket"), p.position]
    # A posting and its void stand at one instant, whichever came first: two movements that add up to nothing.
    stands = or_(func.sum(m.quantity) != literal_column("0"), func.count() == literal_column("1"))
    postings = select(m.location, m.sku, bucket, moved, sold).select_from(joined).where(*conditions)
    x = postings.group_by(*of_posting).having(stands).subquery().c
    return select(x.location, x.sku, x.bucket, func.sum(x.moved), func.sum(x.sold)).group_by(
        x.location, x.sku, x.bucket
    )


def _deliveries(wanted: FromClause) -> Executable:
    m, p = t.movement.c, t.posting.c
    joined, conditions = _moved_since(wanted, p.type.in_(_DELIVERIES))
    key = (m.location, m.sku, m.effective_at)
    return select(*key, func.sum(m.quantity)).select_from(joined).where(*conditions).group_by(*key)


def _counted(wanted: FromClause) -> Executable:
    c, w = t.count.c, wanted.c
    same = and_(c.location == w.location, c.sku.between(w.first_sku, w.last_sku))
    first = func.min(c.effective_at)
    rows = select(c.location, c.sku, first).select_from(wanted.join(t.count, same))
    return rows.where(c.voided_position.is_(None)).group_by(c.location, c.sku)


def _stocked(wanted: FromClause) -> Executable:
    c, w = t.level.c, wanted.c
    same = and_(c.location == w.location, c.sku.between(w.first_sku, w.last_sku))
    return select(c.location, c.sku, c.on_hand, c.moved).select_from(wanted.join(t.level, same))


_trade = ForEach(_WANTED, _by_day, in_order=True)
_received = ForEach(_WANTED, _deliveries, in_order=True)
_first_counts = ForEach(_WANTED, _counted, in_order=True)
_levels = ForEach(_WANTED, _stocked, in_order=True)
