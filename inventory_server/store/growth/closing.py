"""Closing the books: writes all balances at a position of the ledger, from which time travel starts.

Postings are never changed and go on meanwhile: a closing reads segments that are complete, and is not used before it
is marked as written. It is idempotent: an interrupted closing is resumed by rewriting the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select

from inventory_server.clock import Clock
from inventory_server.config import CLOSING_ROWS, PARTITION_POSITIONS_MIN
from inventory_server.domain.answers import ClosedBooks
from inventory_server.domain.door import Progress, no_progress
from inventory_server.domain.inventory import Account
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.sql import Insert
from inventory_server.store.ledger.timetravel import Cut, cuts

SEGMENTS_MAX = PARTITION_POSITIONS_MIN >> t.SEGMENT_POSITIONS_LOG2
"""Segments between two closings: bounds the work of time travel, however rarely the books are closed. There is a
closing at every multiple of it, and so at the end of every partition."""

Balance = tuple[str, str, int, int, int]
"""A row of `balance`, in the order of its columns."""
Straggler = tuple[str, str, int, int, int, int | None, int]
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

    `progress` is told the movements in them.
    """
    window = _Window(connection, position)
    counted = select(func.count()).select_from(t.movement).where(window.holds)
    done, total = 0, connection.execute(counted).scalar_one()
    for page in _pages(connection, _changed(window)):
        done += sum(row[2] for row in page)
        progress(done, total)
        yield [
            (location, sku, position, moved + (before or 0), max(latest_at, before_at or latest_at))
            for location, sku, _, moved, latest_at, before, before_at in page
        ]


def stragglers(connection: Connection, position: int) -> Iterator[list[Straggler]]:
    """The movements after the last closing, up to the one at `position`, that take effect before it, in pages."""
    window, m = _Window(connection, position), t.movement.c
    if window.before is None:
        return
    columns = [m[column.name] for column in t.straggler.columns]
    late = m.effective_at <= window.before.closed_at
    yield from _pages(connection, select(*columns).where(window.holds, late))


class _Window:
    """The segments between a closing and the one before it."""

    def __init__(self, connection: Connection, position: int) -> None:
        c, m = t.closing.c, t.movement.c
        closed_at = connection.execute(select(c.closed_at).where(c.position == position)).scalar_one()
        self.cut = Cut(position, closed_at)
        earlier = [cut for cut in cuts(connection) if cut.position < position]
        self.before = earlier[-1] if earlier else None
        first = self.before.segment + 1 if self.before else 0
        self.holds = and_(m.segment.between(first, self.cut.segment), m.account == int(Account.STOCK))


def _pages(connection: Connection, statement: Select[Any]) -> Iterator[list[Any]]:
    found = connection.execute(statement, execution_options={"yield_per": CLOSING_ROWS})
    for page in found.partitions():
        yield [tuple(row) for row in page]


def _changed(window: _Window) -> Select[Any]:
    """Sums of movements by key and in key order, each with their number and the balance before."""
    m, b = t.movement.c, t.balance.c
    keys = (m.location, m.sku)
    sums = (func.count().label("moves"), func.sum(m.quantity).label("total"), func.max(m.effective_at).label("latest"))
    moved = select(*keys, *sums).where(window.holds).group_by(*keys).subquery()
    position = window.before.position if window.before else 0
    same = [b[key.name] == moved.c[key.name] for key in keys]
    before = [
        select(b[name]).where(*same, b.position <= position).order_by(b.position.desc()).limit(1).scalar_subquery()
        for name in ("quantity", "latest_at")
    ]
    return select(moved, *before).order_by(*(moved.c[key.name] for key in keys))
