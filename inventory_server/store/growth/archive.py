"""Archiving: detaches old partitions of a PostgreSQL ledger, and takes them back, while servers run.

First, what HQ must still know about the postings is copied, page by page; the copy is not used before the ledger's row
says that it is archived up to there. Setting that and detaching the partition is one short transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Connection, MetaData, and_, exists, func, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert

from inventory_server.clock import Clock
from inventory_server.config import ARCHIVE_ROWS, ARCHIVE_SCHEMA
from inventory_server.domain.answers import ArchivedPart
from inventory_server.domain.door import Progress, no_progress
from inventory_server.domain.inventory import Count
from inventory_server.store.database import partitions
from inventory_server.store.database.base import Database, StoreError
from inventory_server.store.database.partitions import PARTITIONED, Partition
from inventory_server.store.growth.archived_merges import merged_places
from inventory_server.store.growth.partition import MaintenanceTransactions, changing
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.archived_postings import KEPT, ArchivedDigest, heads_at, pages
from inventory_server.store.ledger.head import Head, head_of, new_stamp
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import Insert
from inventory_server.store.ledger.timetravel import Cut, LedgerAt, Moment, cuts

_BOUNDS = "tillwire_bounds"

_put_heads = Insert(t.archived_head, "replace")
_put_counts = Insert(t.archived_count, "replace")


def archive(
    database: Database,
    before: int,
    finished: Callable[[Connection], None],
    clock: Clock,
    progress: Progress = no_progress,
) -> list[ArchivedPart]:
    """Archive the partitions whose postings were all recorded before an instant; return them, the oldest first.

    StoreError if the books are not closed up to the end of one of them, or the exclusive lock is not available in time.
    `finished` is called in the transaction that finds no other; `progress` is told postings.
    """
    done: list[ArchivedPart] = []

    def next_one(connection: Connection) -> tuple[Head, Partition, Cut] | None:
        found = _next(connection, before)
        if found is None:
            finished(connection)
        return found

    with changing(database) as changes:
        while (found := changes.aside(next_one)) is not None:
            done.append(_Archiving(changes, *found).carry_out(clock, progress))
    return done


def bring_back(database: Database, finished: Callable[[Connection], None]) -> ArchivedPart | None:
    """Reattach the partition that was archived last; None if nothing is archived.

    `finished` is called in the last transaction.
    StoreError if its tables are not in the archive's schema, or do not hold what was archived.
    """
    with changing(database) as changes:
        last: ArchivedPart | None = changes.aside(_last)
        if last is not None:
            _bring_back(changes, last)
        _forget(changes, finished)
        return last


def _next(connection: Connection, before: int) -> tuple[Head, Partition, Cut] | None:
    """The oldest partition and the closing at its end, if it can be archived."""
    head = head_of(connection)
    parts = partitions.partitions(connection)
    part = next(each for each in parts if each.end is None or each.end - 1 > head.archived_position)
    if part.end is None or part.end > head.position:
        return None
    recorded = select(t.posting.c.recorded_at).where(t.posting.c.position == part.end - 1)
    cut = Cut(part.end - 1, connection.execute(recorded).scalar_one())
    if cut.closed_at >= before:
        return None
    if cut not in cuts(connection):
        raise StoreError(
            f"The books are not closed up to position {cut.position:,}, where a partition ends; first run:"
            " inventory-server db close"
        )
    return head, part, cut


class _Archiving:
    """One partition on its way into the archive."""

    def __init__(self, changes: MaintenanceTransactions, head: Head, part: Partition, cut: Cut) -> None:
        self._changes = changes
        self._head = head
        self._part = part
        self._cut = cut
        self._first = max(part.first, head.archived_position + 1)

    def carry_out(self, clock: Clock, progress: Progress) -> ArchivedPart:
        """Copy what must be kept, then detach the partition."""
        digest = self._keep_postings(progress)
        self._keep_heads(digest)
        self._aside(self._keep_counts)
        names = self._changes.alone(lambda connection: self._take_out(connection, digest.sha256(), clock()))
        return ArchivedPart(self._first, *self._cut, names)

    def _aside(self, job: Callable[[Connection], Any]) -> Any:
        def unless_changed(connection: Connection) -> Any:
            self._assert_next(connection)
            return job(connection)

        return self._changes.aside(unless_changed)

    def _assert_next(self, connection: Connection) -> None:
        if head_of(connection).archived_position != self._head.archived_position:
            raise StoreError("Another command has changed the archive meanwhile; check its state and run this again.")

    def _keep_postings(self, progress: Progress) -> ArchivedDigest:
        digest = ArchivedDigest(self._aside(lambda connection: heads_at(connection, self._head.archived_position)))
        for begin in range(self._first, self._cut.position + 1, ARCHIVE_ROWS):
            last = min(begin + ARCHIVE_ROWS - 1, self._cut.position)
            digest.add(self._aside(partial(_kept, first=begin, last=last)))
            progress(last - self._first + 1, self._cut.position - self._first + 1)
        return digest

    def _keep_heads(self, digest: ArchivedDigest) -> None:
        rows = [(name, self._cut.position, digest.heads[name]) for name in sorted(digest.terminals)]
        for begin in range(0, len(rows), ARCHIVE_ROWS):
            self._aside(partial(_put_heads, rows=rows[begin : begin + ARCHIVE_ROWS]))

    def _keep_counts(self, connection: Connection, since: int = 0) -> None:
        """Keep the sum of movements at each count on which a level may be based, and at each merge.

        Only counts and merges added after `since`.
        """
        past, after = LedgerAt(connection, Moment(None, self._cut.position)), None
        while counts := _counted(connection, self._cut, since, after):
            rows = [
                (*key, self._cut.position, counted.position, past.until(counted.order).moved(*key))
                for key, counted in counts
            ]
            _put_counts(connection, rows)
            after = (*counts[-1][0], *counts[-1][1].order)
        for key, orders in merged_places(connection, self._cut, since):
            _put_counts(
                connection,
                [(*key, self._cut.position, order[1], past.until(order).moved(*key)) for order in sorted(orders)],
            )

    def _take_out(self, connection: Connection, sha256: bytes, now: int) -> list[str]:
        self._assert_next(connection)
        self._keep_counts(connection, self._head.position)
        partitions.lock(connection)
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {ARCHIVE_SCHEMA}"))
        names = []
        for table in (each.name for each in PARTITIONED):
            name = self._part.name(table)
            connection.execute(text(f"ALTER TABLE {table} DETACH PARTITION {name}"))
            connection.execute(text(f"ALTER TABLE {name} SET SCHEMA {ARCHIVE_SCHEMA}"))
            names.append(f"{ARCHIVE_SCHEMA}.{name}")
        row = (self._cut.position, self._part.first, self._cut.closed_at, now, sha256)
        connection.execute(t.archive.insert().values(row))
        _say_archived(connection, *self._cut)
        return names


def _say_archived(connection: Connection, position: int, until: int) -> None:
    connection.execute(t.ledger.update().values(archived_position=position, archived_until=until, stamp=new_stamp()))


def _kept(connection: Connection, first: int, last: int) -> list[tuple[Any, ...]]:
    """Copy what must be kept of some postings, and read it back joined with them and their ids."""
    a, p, i = t.archived.c, t.posting.c, t.identity.c
    postings = select(*(p[name] for name in KEPT)).where(p.position.between(first, last))
    connection.execute(insert(t.archived).from_select(KEPT, postings).on_conflict_do_nothing())
    same = and_(*(a[name] == p[name] for name in KEPT))
    known = and_(i.id == a.id, i.position == a.position)
    both = t.archived.join(t.posting, same).join(t.identity, known)
    within = (a.position.between(first, last), p.position.between(first, last))
    rows = [tuple(row) for row in connection.execute(select(*a).select_from(both).where(*within).order_by(a.position))]
    if len(rows) != last - first + 1:
        raise StoreError(
            f"The archived copy of postings {first:,} to {last:,} differs from them; run: inventory-server verify"
        )
    return rows


def _counted(
    connection: Connection, cut: Cut, since: int, after: tuple[str, str, int, int] | None
) -> list[tuple[Key, Count]]:
    """A page of the counts before `cut` on which a level may still be based.

    These are the last count that can no longer be voided, and all later ones. Only keys changed after position `since`.
    """
    c, above = t.count.c, t.count.alias().c
    key = (c.location, c.sku, c.effective_at, c.position)
    settled = and_(above.position <= cut.position, above.voided_position.is_(None), above.effective_at < cut.closed_at)
    covered = exists().where(
        above.location == c.location,
        above.sku == c.sku,
        settled,
        tuple_(above.effective_at, above.position) > tuple_(c.effective_at, c.position),
    )
    counted = select(*key).where(c.effective_at < cut.closed_at, ~covered)
    counted = counted.where(or_(c.voided_position.is_(None), c.voided_position > cut.position))
    if since:
        changed = t.count.alias().c
        news = or_(changed.position > since, changed.voided_position > since)
        counted = counted.where(tuple_(c.location, c.sku).in_(select(changed.location, changed.sku).where(news)))
    if after is not None:
        counted = counted.where(tuple_(*key) > after)
    rows = connection.execute(counted.order_by(*key).limit(ARCHIVE_ROWS))
    return [((row[0], row[1]), Count(row[2], row[3], 0)) for row in rows]


def _last(connection: Connection) -> ArchivedPart | None:
    """The partition that was archived last."""
    a = t.archive.c
    row = connection.execute(select(t.archive).order_by(a.position.desc()).limit(1)).first()
    if row is None:
        return None
    tables = [f"{ARCHIVE_SCHEMA}.{table.name}_{row.first_position}" for table in PARTITIONED]
    return ArchivedPart(row.first_position, row.position, row.closed_at, tables)


def _bring_back(changes: MaintenanceTransactions, last: ArchivedPart) -> None:
    part = Partition(last.first, last.last + 1)
    changes.aside(lambda connection: _assert_whole(connection, last))
    changes.aside(lambda connection: _bind(connection, part))
    changes.alone(lambda connection: _put_back(connection, last, part))


def _assert_whole(connection: Connection, last: ArchivedPart) -> None:
    for name in last.tables:
        if connection.execute(select(func.to_regclass(name))).scalar() is None:
            raise StoreError(f"There is no table {name}; restore it with pg_restore and run this again.")
    before = select(func.max(t.archive.c.position)).where(t.archive.c.position < last.last)
    position = connection.execute(before).scalar() or 0
    digest = ArchivedDigest(heads_at(connection, position))
    table = t.posting.to_metadata(MetaData(), schema=ARCHIVE_SCHEMA, name=f"{t.posting.name}_{last.first}")
    for page in pages(connection, table, max(last.first, position + 1), last.last):
        digest.add(page)
    kept = connection.execute(select(t.archive.c.sha256).where(t.archive.c.position == last.last)).scalar_one()
    if digest.sha256() != kept:
        raise StoreError(f"{last.tables[-1]} does not hold what was archived; restore the right one.")


def _bind(connection: Connection, part: Partition) -> None:
    """Add CHECK constraints, so that PostgreSQL scans the tables now and not under the lock of ATTACH PARTITION."""
    for table, (first, end) in _bounds(part).items():
        name, column = f"{ARCHIVE_SCHEMA}.{part.name(table)}", partitions.CUT_BY[table]
        connection.execute(text(f"ALTER TABLE {name} DROP CONSTRAINT IF EXISTS {_BOUNDS}"))
        check = f"{column} >= {first} AND {column} < {end}"
        connection.execute(text(f"ALTER TABLE {name} ADD CONSTRAINT {_BOUNDS} CHECK ({check})"))


def _bounds(part: Partition) -> dict[str, tuple[int, int]]:
    assert part.end is not None, "the open-ended one is never archived"
    return {
        table.name: (partitions.bound(table.name, part.first), partitions.bound(table.name, part.end))
        for table in PARTITIONED
    }


def _put_back(connection: Connection, last: ArchivedPart, part: Partition) -> None:
    if _last(connection) != last:
        raise StoreError("Another command has changed the archive meanwhile; check its state and run this again.")
    partitions.lock(connection)
    home = connection.execute(select(func.current_schema())).scalar_one()
    for table in (each.name for each in PARTITIONED):
        name = part.name(table)
        connection.execute(text(f'ALTER TABLE {ARCHIVE_SCHEMA}.{name} SET SCHEMA "{home}"'))
        connection.execute(text(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {part.values(table)}"))
        connection.execute(text(f"ALTER TABLE {name} DROP CONSTRAINT {_BOUNDS}"))
    connection.execute(t.archive.delete().where(t.archive.c.position == last.last))
    before = _last(connection)
    _say_archived(connection, *((before.last, before.closed_at) if before else (0, 0)))


def _forget(changes: MaintenanceTransactions, finished: Callable[[Connection], None]) -> None:
    """Delete rows beyond the end of the archive, page by page: left from partitions taken back or never archived."""
    while changes.aside(partial(_forget_page, finished=finished)):
        continue


def _forget_page(connection: Connection, finished: Callable[[Connection], None]) -> bool:
    """Delete one page of them; False, after a call of `finished`, if none is left."""
    archived = head_of(connection).archived_position
    for table in (t.archived, t.archived_head, t.archived_count):
        keys = list(table.primary_key.columns)
        some = select(*keys).where(table.c.position > archived).limit(ARCHIVE_ROWS)
        if connection.execute(table.delete().where(tuple_(*keys).in_(some))).rowcount:
            return True
    finished(connection)
    return False
