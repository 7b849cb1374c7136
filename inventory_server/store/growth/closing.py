"""Closing the books: writes all balances at a position of the ledger, from which time travel starts.

Postings are never changed and go on meanwhile: a closing reads segments that are complete, and is not used before it
is marked as written. It is idempotent: an interrupted closing is resumed by rewriting the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, Subquery, and_, func, literal, or_, select, union_all

from inventory_server.clock import Clock
from inventory_server.config import CLOSING_ROWS, PARTITION_POSITIONS_MIN
from inventory_server.domain.answers import ClosedBooks
from inventory_server.domain.door import Progress, no_progress
from inventory_server.domain.inventory import Account
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.records import UNNAMED
from inventory_server.store.ledger.sql import Insert
from inventory_server.store.ledger.timetravel import Cut, cuts

SEGMENTS_MAX = PARTITION_POSITIONS_MIN >> t.SEGMENT_POSITIONS_LOG2
"""Segments between two closings: bounds the work of time travel, however rarely the books are closed. There is a
closing at every multiple of it, and so at the end of every partition."""

Balance = tuple[str, str, int, bytes, int, int, int]
"""A row of `balance`, in the order of its columns."""
Straggler = tuple[str, str, int, int, int, int, int, bytes | None]
"""A row of `straggler`, in the order of its columns."""

_put_balances = Insert(t.balance, "replace")
_put_stragglers = Insert(t.straggler, "replace")


def close(
    snapshot: Callable[[], AbstractContextManager[Connection]],
    run: Callable[[Callable[[Connection], Any]], Any],
    finished: Callable[[Connection], None],
    clock: Clock,
    progress: Progress,
) -> ClosedBooks | None:
    """Close the books once; None if there is nothing to close.

    Rows are read in one `snapshot` and written in transactions that `run` carries out, the last of which calls
    `finished`. Idempotent: a closing that was interrupted is resumed by writing the same rows again. `progress` is told
    movements.
    """

    def begin_if_due(writing: Connection) -> int | None:
        position = begin(writing)
        if position is None:
            finished(writing)
        return position

    position: int | None = run(begin_if_due)
    if position is None:
        return None
    written = late = 0
    with snapshot() as connection:
        for rows in balances(connection, position, progress):
            run(partial(_put_balances, rows=rows))
            written += len(rows)
        for others in stragglers(connection, position):
            run(partial(_put_stragglers, rows=others))
            late += len(others)

    def end(writing: Connection) -> None:
        finish(writing, position, clock())
        finished(writing)

    run(end)
    return ClosedBooks(position, written, late)


def begin(connection: Connection) -> int | None:
    """Begin the next closing at the end of a closed segment, or find the unfinished one; return its position.

    None if there is nothing to close.
    """
    under_way = connection.execute(select(t.closing.c.position).where(t.closing.c.written_at.is_(None))).scalar()
    if under_way is not None:
        return int(under_way)
    head = head_of(connection)
    before = connection.execute(select(func.max(t.closing.c.position))).scalar()
    first = 0 if before is None else (before >> t.SEGMENT_POSITIONS_LOG2) + 1
    after = min(head.segment, (first // SEGMENTS_MAX + 1) * SEGMENTS_MAX)
    if after == first:
        return None
    position = (after << t.SEGMENT_POSITIONS_LOG2) - 1
    recorded = connection.execute(select(t.posting.c.recorded_at).where(t.posting.c.position == position))
    connection.execute(t.closing.insert().values(position=position, closed_at=recorded.scalar_one()))
    return position


def finish(connection: Connection, position: int, now: int) -> None:
    """Mark the closing at `position` as written."""
    connection.execute(t.closing.update().where(t.closing.c.position == position).values(written_at=now))


def balances(connection: Connection, position: int, progress: Progress = no_progress) -> Iterator[list[Balance]]:
    """The balances that changed between the last closing and the one at `position`, in pages.

    A reservation that was made and used up between the two has none. `progress` is told the movements in them.
    """
    window = _Window(connection, position)
    done, total = 0, connection.execute(select(func.count()).select_from(_moved(window))).scalar_one()
    for page in _pages(connection, _changed(window)):
        done += sum(row[4] for row in page)
        progress(done, total)
        yield [
            (
                location,
                sku,
                account,
                reservation,
                position,
                moved + (before or 0),
                max(latest_at, before_at or latest_at),
            )
            for location, sku, account, reservation, _, moved, latest_at, before, before_at in page
            if moved or reservation == UNNAMED or before is not None
        ]


def stragglers(connection: Connection, position: int) -> Iterator[list[Straggler]]:
    """The movements between the last closing and the one at `position` that occurred outside of them, in pages."""
    window, m = _Window(connection, position), t.movement.c
    outside = m.occurred_at > window.cut.closed_at
    if window.before is not None:
        outside = or_(outside, m.occurred_at <= window.before.closed_at)
    columns = [m[column.name] for column in t.straggler.columns]
    yield from _pages(connection, select(*columns).where(window.holds, outside))


class _Window:
    """The segments between a closing and the one before it."""

    def __init__(self, connection: Connection, position: int) -> None:
        c, m = t.closing.c, t.movement.c
        closed_at = connection.execute(select(c.closed_at).where(c.position == position)).scalar_one()
        self.cut = Cut(position, closed_at)
        earlier = [cut for cut in cuts(connection) if cut.position < position]
        self.before = earlier[-1] if earlier else None
        first = self.before.segment + 1 if self.before else 0
        self.holds = and_(m.segment.between(first, self.cut.segment), m.account != int(Account.COUNT))


def _pages(connection: Connection, statement: Select[Any]) -> Iterator[list[Any]]:
    found = connection.execute(statement, execution_options={"yield_per": CLOSING_ROWS})
    for page in found.partitions():
        yield [tuple(row) for row in page]


def _moved(window: _Window) -> Subquery:
    """The movements that the balances of `window` add to those before."""
    parts = [_moves(t.movement).where(window.holds, t.movement.c.occurred_at <= window.cut.closed_at)]
    if window.before is not None:
        parts.append(_due(window.before, window.cut))
    return union_all(*parts).subquery()


def _changed(window: _Window) -> Select[Any]:
    """Sums of movements by key and in key order, each with their number and the balance before."""
    b, p = t.balance.c, _moved(window).c
    keys = (p.location, p.sku, p.account, p.reservation)
    sums = (func.count().label("moves"), func.sum(p.quantity).label("total"), func.max(p.occurred_at).label("latest"))
    moved = select(*keys, *sums).group_by(*keys).subquery()
    position = window.before.position if window.before else 0
    same = [b[key.name] == moved.c[key.name] for key in keys]
    before = [
        select(b[name]).where(*same, b.position <= position).order_by(b.position.desc()).limit(1).scalar_subquery()
        for name in ("quantity", "latest_at")
    ]
    return select(moved, *before).order_by(*(moved.c[key.name] for key in keys))


def _due(before: Cut, cut: Cut) -> Select[Any]:
    """Movements that the balance before excluded, as they had not occurred yet."""
    s = t.straggler.c
    had = (s.position <= before.position, s.occurred_at > before.closed_at)
    return _moves(t.straggler).where(*had, s.occurred_at <= cut.closed_at)


def _moves(table: Any) -> Select[Any]:
    c = table.c
    reservation = func.coalesce(c.reservation, literal(UNNAMED)).label("reservation")
    return select(c.location, c.sku, c.account, reservation, c.quantity, c.occurred_at)
