"""Verification of closings: balances and stragglers, computed again from the movements and compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, select

from inventory_server.domain.inventory import Account
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import Head
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import Lookup
from inventory_server.store.ledger.timetravel import Cut, cuts
from inventory_server.store.verify.postings import Moved
from inventory_server.store.verify.rebuilt import RebuiltLevel

_balances = Lookup(t.balance, list(t.balance.primary_key.columns))
_stragglers = Lookup(t.straggler, list(t.straggler.primary_key.columns))


class ClosingCheck:
    """Follows the ledger from closing to closing; memory grows with the keys and stragglers of one closing.

    `rebuilt` are the levels after the postings so far; whoever rebuilds them follows these, too.
    """

    def __init__(self, connection: Connection, head: Head, rebuilt: dict[Key, RebuiltLevel]) -> None:
        self._connection = connection
        self._cuts = cuts(connection)
        self._archived = head.archived_position
        self.closed = sum(cut.position <= self._archived for cut in self._cuts)
        self._rebuilt = rebuilt
        self._changed: set[Key] = set()
        self._stragglers: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        self._rows = [0, 0]

    def follow(self, moved: dict[int, list[Moved]]) -> None:
        """Note what the next postings moved."""
        if self.closed == len(self._cuts):
            return
        before = self._cuts[self.closed - 1].closed_at if self.closed else None
        for position, group in moved.items():
            for movement, entry, _ in group:
                if movement.account is not Account.STOCK:
                    continue
                if before is not None and movement.effective_at <= before:
                    place = (movement.location, movement.sku, position, entry)
                    event_position = None if movement.event_position == position else movement.event_position
                    at = (movement.effective_at, event_position)
                    self._stragglers[place] = (*at, movement.quantity)
                self._changed.add((movement.location, movement.sku))

    def wrong(self, segment: int, recorded_at: int) -> Iterator[str]:
        """Compare, if the next closing is at the end of `segment`; its last posting was recorded at `recorded_at`."""
        if self.closed == len(self._cuts) or self._cuts[self.closed].segment != segment:
            return
        cut = self._cuts[self.closed]
        if cut.closed_at != recorded_at or (cut.position + 1) >> t.SEGMENT_POSITIONS_LOG2 == segment:
            yield f"closed at position {cut.position} as of {cut.closed_at}, which is not the end of a segment"
        yield from self._wrong_balances(cut)
        yield from self._wrong_stragglers()
        self.closed += 1

    def unexplained(self) -> Iterator[str]:
        """Stored rows that nothing explains, once all closings have been passed."""
        if self.closed != len(self._cuts):
            yield f"closed at position {self._cuts[self.closed].position}, which the ledger does not reach"
        last = self._cuts[-1].position if self._cuts else 0
        for table, expected in zip((t.balance, t.straggler), self._rows, strict=True):
            counted = select(func.count()).select_from(table).where(table.c.position.between(self._archived + 1, last))
            found = self._connection.execute(counted).scalar_one()
            if found != expected:
                yield f"closing needs {expected} rows in {table.name}, there are {found}"

    def _wrong_balances(self, cut: Cut) -> Iterator[str]:
        keys = [(*key, cut.position) for key in self._changed]
        found = {row[:2]: row[3:] for row in _balances(self._connection, keys)}
        for key in self._changed:
            level = self._rebuilt.get(key) or RebuiltLevel()
            expected = (level.moved, level.latest_at)
            self._rows[0] += 1
            if found.get(key) != expected:
                yield f"{key[1]!r} at {key[0]!r}: closed with {found.get(key)}, the ledger says {expected}"
        self._changed.clear()

    def _wrong_stragglers(self) -> Iterator[str]:
        found = {row[:4]: row[4:] for row in _stragglers(self._connection, list(self._stragglers))}
        self._rows[1] += len(self._stragglers)
        for place, expected in self._stragglers.items():
            if found.get(place) != expected:
                yield f"position {place[2]}: {place[1]!r} takes effect before the closing that precedes it"
        self._stragglers.clear()
