"""Levels as the ledger makes them, rebuilt movement by movement in one walk, without a question per level."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from itertools import chain, groupby
from typing import Any

from sqlalchemy import Connection, Select, and_, or_, select, tuple_

from inventory_server.config import VERIFY_ROWS
from inventory_server.domain.inventory import Account, Level, Movement
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import Head
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import plain_rows
from inventory_server.store.verify import archive

_NOT_VOIDED = 2**63 - 1
"""Behind every position."""


class CountsInOrder:
    """All counts of one (location, sku) in the order of events, and the sum of what moved between each two.

    `moved[n]` is what moved after the first n counts and before the next. Kept in arrays: 40 bytes for each count.
    """

    __slots__ = ("effective_at", "moved", "position", "quantity", "voided")

    def __init__(self, rows: list[tuple[Any, ...]], archived: int) -> None:
        """`rows` hold what moved before each, as far as that is archived; `archived` is the sum of all of that."""
        columns = zip(*rows, strict=True)
        self.effective_at, self.position, self.quantity, self.voided, before = (array("q", each) for each in columns)
        starts, ends = [0, *before], [*before, archived]
        self.moved = array("q", (end - start for start, end in zip(starts, ends, strict=True)))

    def before(self, order: tuple[int, int]) -> int:
        """How many counts are before a place in the order of events."""
        number = bisect_left(self.effective_at, order[0])
        while number < len(self.position) and (self.effective_at[number], self.position[number]) < order:
            number += 1
        return number

    def stands(self, number: int, position: int) -> bool:
        """True if the count of that number, from 1, is known at `position` and not voided by then."""
        return bool(self.position[number - 1] <= position < self.voided[number - 1])


class RebuiltLevel:
    """The level of one (location, sku) after the postings so far.

    `base` is the number of the count that it rests on (0: none), `since` the sum of what moved after it.
    """

    __slots__ = ("base", "counts", "latest_at", "moved", "since")

    def __init__(self, moved: int = 0, latest_at: int | None = None) -> None:
        self.moved = self.since = moved
        self.latest_at = latest_at
        self.counts: CountsInOrder | None = None
        self.base = 0

    @property
    def on_hand(self) -> int:
        """What is on hand."""
        return self.since + (self.counts.quantity[self.base - 1] if self.counts and self.base else 0)

    def follow(self, movement: Movement, position: int) -> None:
        """Apply the next movement, which the posting at `position` made."""
        if self.counts is not None:
            self._leave_voided(self.counts, position)
        if movement.account is Account.COUNT:
            self._count(movement, position)
        elif movement.account is Account.STOCK:
            self._move(movement)

    def _move(self, movement: Movement) -> None:
        self.moved += movement.quantity
        if self.latest_at is None or movement.effective_at > self.latest_at:
            self.latest_at = movement.effective_at
        number = 0
        if self.counts is not None:
            number = self.counts.before(movement.order)
            self.counts.moved[number] += movement.quantity
        if number >= self.base:
            self.since += movement.quantity

    def rest(self, position: int) -> None:
        """Rest on the last count that stands at `position`."""
        if self.counts is not None:
            self._rest_on(self.counts, len(self.counts.position))
            self._leave_voided(self.counts, position)

    def level(self, in_transit: int) -> Level:
        """The level, of which `in_transit` is known from its documents."""
        at = (None, None)
        if self.counts is not None and self.base:
            at = (self.counts.effective_at[self.base - 1], self.counts.position[self.base - 1])
        return Level(self.on_hand, self.moved, in_transit, *at, self.latest_at)

    def _count(self, movement: Movement, position: int) -> None:
        if self.counts is None:
            return
        number = self.counts.before((movement.effective_at, movement.event_position + 1))
        if number > self.base and self.counts.position[number - 1] == position < self.counts.voided[number - 1]:
            self._rest_on(self.counts, number)

    def _leave_voided(self, counts: CountsInOrder, position: int) -> None:
        number = self.base
        while number and not counts.stands(number, position):
            number -= 1
        if number != self.base:
            self._rest_on(counts, number)

    def _rest_on(self, counts: CountsInOrder, number: int) -> None:
        first, last = sorted((self.base, number))
        between = sum(counts.moved[first:last])
        self.since += between if number < self.base else -between
        self.base = number


def rebuilt_from_archive(connection: Connection, head: Head) -> dict[Key, RebuiltLevel]:
    """The levels at the end of the archive, by key, with all counts on which they may rest, then or later."""
    levels: dict[Key, RebuiltLevel] = {}
    if head.archived_position:
        levels = {(row[0], row[1]): RebuiltLevel(row[2], row[3]) for row in archive.balances(connection, head)}
    counted = chain.from_iterable(_counts(connection, head))
    for key, found in groupby(counted, key=lambda row: (row[0], row[1])):
        level = levels.setdefault(key, RebuiltLevel())
        level.counts = CountsInOrder([_in_order(row, level.moved) for row in found], level.moved)
        level.rest(head.archived_position)
    return levels


def _in_order(row: tuple[Any, ...], archived: int) -> tuple[int, ...]:
    _, _, effective_at, position, quantity, voided_position, before = row
    voided = _NOT_VOIDED if voided_position is None else voided_position
    return effective_at, position, quantity, voided, archived if before is None else before


def _counts(connection: Connection, head: Head) -> Iterator[list[tuple[Any, ...]]]:
    """All counts in the order of their keys, page by page, with what the archive says had moved before each."""
    key = list(t.count.primary_key.columns)
    page = _counts_with_archive(head).order_by(*key).limit(VERIFY_ROWS)
    found = plain_rows(connection, page)
    while found:
        yield found
        found = plain_rows(connection, page.where(tuple_(*key) > found[-1][: len(key)]))


def _counts_with_archive(head: Head) -> Select[Any]:
    """Counts from before the end of the archive are needed only where it kept what had moved by then."""
    c, kept = t.count.c, t.archived_count.c
    same = and_(
        kept.location == c.location,
        kept.sku == c.sku,
        kept.position == head.archived_position,
        kept.count_position == c.position,
    )
    is_later = or_(c.position > head.archived_position, c.effective_at >= head.archived_until)
    columns = (*t.count.primary_key.columns, c.quantity, c.voided_position, kept.moved)
    counts = select(*columns).select_from(t.count.outerjoin(t.archived_count, same))
    return counts.where(or_(is_later, kept.moved.is_not(None)))
