"""The variance of counts: counted − book just before, as known when a count was recorded and as known later."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

from sqlalchemy import Connection

from inventory_server.domain.inventory import Count, standing_counts
from inventory_server.domain.merge import Merge, Merges, Order, families, on_hand, standing
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import Lookup
from inventory_server.store.query.intervals import Interval, IntervalReader, IntervalSum

counts_of = Lookup(t.count, [t.count.c.location, t.count.c.sku])
"""All counts of many (location, sku), voided ones included."""


class Counted(NamedTuple):
    """A row of `count` that stands."""

    location: str
    sku: str
    taken: Count


class Variance(NamedTuple):
    """The variance of the count of a product; `changes` are by how much each later posting changed it, by position."""

    location: str
    sku: str
    position: int
    counted: int
    then: int
    now: int
    changes: dict[int, int]


class Variances:
    """The variances of many counts, as known at the position `known_at`, in a few statements."""

    def __init__(self, connection: Connection, rows: Iterable[Counted], known_at: int) -> None:
        self._connection = connection
        self._known_at = known_at
        self._head = head_of(connection)
        self._merges = [merge for merge in merges_of(connection, self._head) if merge.position <= known_at]
        self._families = families((merge.ended, merge.into) for merge in self._merges)
        self._rows = list(rows)
        self._counts = self._read_counts()

    def _read_counts(self) -> dict[Key, list[Count]]:
        keys = {(row.location, member) for row in self._rows for member in self.family(row.sku)}
        counts: dict[Key, list[Count]] = {key: [] for key in keys}
        for location, sku, *count in counts_of(self._connection, list(keys)):
            counts[location, sku].append(Count(*count))
        return counts

    def family(self, sku: str) -> frozenset[str]:
        """The SKUs that merges connect with one, or once did."""
        return self._families.get(sku) or frozenset((sku,))

    def found(self) -> list[Variance]:
        """The variances, in the order of the rows; of lines that now mean one product a single one."""
        now = self.names(self._known_at)
        cases = [case for row in self._rows if (case := self._case(row, now)) is not None]
        asked = {interval for case in cases for interval in case.intervals()}
        moved = IntervalReader(self._connection, self._head, self._known_at).read(asked)
        return [case.variance(moved) for case in cases]

    def _case(self, row: Counted, now: Merges) -> _Case | None:
        product = now.name(row.sku, row.taken.order)
        lines = {
            sku: each.quantity
            for sku in sorted(self.family(row.sku))
            for each in self._counts[row.location, sku]
            if each.position == row.taken.position and now.name(sku, each.order) == product
        }
        return None if row.sku != min(lines) else _Case(self, row, product, lines)

    def names(self, position: int) -> Merges:
        """The merges that stand, as known at a position."""
        return standing(self._merges, known_at=position)

    def counts(self, location: str, sku: str, position: int) -> dict[str, list[Count]]:
        """The counts of a family that stand, as known at a position."""
        return {member: standing_counts(self._counts[location, member], None, position) for member in self.family(sku)}

    def steps(self, row: Counted) -> list[int]:
        """The positions after a count, in order, whose postings may change on which count or merge its book rests."""
        family = self.family(row.sku)
        others: list[Count | Merge] = [each for member in family for each in self._counts[row.location, member]]
        others += [merge for merge in self._merges if merge.ended in family]
        before = [each for each in others if each.order < row.taken.order]
        changed = {each.position for each in before} | {each.voided_position or 0 for each in before}
        return sorted(each for each in changed if row.taken.position < each <= self._known_at)


class _Case:
    """One count of a product: its `lines` are the SKUs counted with their figures."""

    def __init__(self, all_: Variances, row: Counted, product: str, lines: Mapping[str, int]) -> None:
        self._all = all_
        self._row = row
        self._product = product
        self._lines = lines

    @cached_property
    def _positions(self) -> list[int]:
        return [self._row.taken.position, *self._all.steps(self._row)]

    @cached_property
    def _books(self) -> list[tuple[int, list[Interval]]]:
        """The book as known from each of the positions on: a quantity, and the movements that are added to it."""
        return [self._book(position) for position in self._positions]

    def intervals(self) -> set[Interval]:
        """What has to be read of movements: what the book rests on does not depend on their sums."""
        return {interval for _, intervals in self._books for interval in intervals}

    def _book(self, position: int) -> tuple[int, list[Interval]]:
        """What makes up the stock just before the count of what its lines meant, as known at a position."""
        row, names = self._row, self._all.names(position)
        counts = self._all.counts(row.location, row.sku, position)
        products = {names.name(sku, row.taken.order) for sku in self._lines}
        added: list[Interval] = []

        def note(sku: str, begin: Order | None, end: Order | None) -> int:
            added.append(Interval(row.location, sku, begin, end, row.taken.position))
            return 0

        counted = sum(on_hand(names, product, counts, note, row.taken.order) for product in sorted(products))
        return counted, added

    def variance(self, sums: Mapping[Interval, IntervalSum]) -> Variance:
        """The variance, with what each later posting changed."""
        counted = sum(self._lines.values())
        late = {position for interval in self.intervals() for position in sums[interval].positions}
        then = now = counted - self._known_book(self._row.taken.position, sums)
        changes: dict[int, int] = {}
        for position in sorted(late.union(self._positions[1:])):
            before, now = now, counted - self._known_book(position, sums)
            if now != before:
                changes[position] = now - before
        place = (self._row.location, self._product, self._row.taken.position)
        return Variance(*place, counted, then, now, changes)

    def _known_book(self, position: int, sums: Mapping[Interval, IntervalSum]) -> int:
        """The stock just before the count, as known at a position."""
        counted, added = self._books[bisect_right(self._positions, position) - 1]
        return counted + sum(sums[interval].known_at(position) for interval in added)
