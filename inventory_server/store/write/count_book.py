"""The counts of one commit, with the stock that moved after each: read beforehand, decided on in memory."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from inventory_server.domain.inventory import Account, Count, Level, Movement, base_count
from inventory_server.store.ledger.head import Head
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.timetravel import NOW, LedgerAt
from inventory_server.store.write.statements import Statements

_LAST = 2**63 - 1
"""Behind every position: a new count is behind all that the ledger holds of its instant."""


class CountBook:
    """All counts of the keys that this commit counts or uncounts, and the movements of this commit on them."""

    def __init__(self, connection: Connection, statements: Statements, began: Head, latest_at: int | None) -> None:
        self._connection = connection
        self._sql = statements
        self._began = began
        self._latest_at = latest_at
        self.counts: dict[Key, list[Count]] = {}
        self._moved_after: dict[tuple[str, str, int, int], int] = {}
        self._moved: dict[Key, list[Movement]] = {}
        self._levels: dict[Key, Level] = {}
        self._moved_until: dict[Key, int] = {}
        self._changed: list[tuple[Key, Count]] = []

    # ------------------------------------------------------------------------------ reading first

    def read(
        self,
        levels: dict[Key, Level],
        counted: Iterable[tuple[Key, int]],
        voided: Iterable[Key],
        merged: Iterable[Key] = (),
    ) -> None:
        """Read the counts of all keys, and what moved after those on which a level may be based at the end.

        `counted` are the keys and instants of new counts, `voided` has the key of each count that is voided. Of
        products that merges connect (`merged`) it reads only the counts; for what moved see `read_moved_after`.
        """
        counted, voided = list(counted), list(voided)
        self.counts = {key: [] for key in (*(key for key, _ in counted), *voided, *merged)}
        self._moved = {key: [] for key in self.counts}
        for location, sku, *count in self._sql.counts(self._connection, list(self.counts)):
            self.counts[location, sku].append(Count(*count))
        self._levels = levels
        self._moved_until = {key: levels[key].last_movement_at or 0 for key in self.counts}
        wanted = {
            (*key, at, _LAST)
            for key, at in counted
            if at <= self._moved_until[key] and not self._began.is_before(at)  # such a count is refused
        }
        for key in set(voided):
            standing = sorted((each for each in self.counts[key] if each.voided_position is None), reverse=True)
            wanted |= {(*key, *count.order) for count in standing[: voided.count(key) + 1]}
        self._read_moved_after(wanted)

    def read_moved_after(self, asked: Iterable[tuple[Key, tuple[int, int]]]) -> None:
        """Read what moved after places in the order of events of keys that have been read."""
        wanted = {self._place(key, order) for key, order in asked if order[0] <= self._moved_until[key]}
        self._read_moved_after(wanted - self._moved_after.keys())

    def _place(self, key: Key, order: tuple[int, int]) -> tuple[str, str, int, int]:
        effective_at, position = order
        return (*key, effective_at, _LAST if position > self._began.position else position)

    def _read_moved_after(self, wanted: set[tuple[str, str, int, int]]) -> None:
        for place in [place for place in wanted if self._began.is_before(place[2])]:
            location, sku, effective_at, position = place
            before = LedgerAt(self._connection, NOW).until((effective_at, position)).moved(location, sku)
            self._moved_after[place] = self._levels[location, sku].moved - before
        live = [place for place in wanted if place not in self._moved_after]
        if not live:
            return
        head = self._began
        since = self._sql.moved_since(self._connection, after=min(place[2] for place in live))[0][0]
        bounds = {"first": head.segment if since is None else since, "open": head.segment}
        rows = self._sql.moved_after(self._connection, live, latest_at=self._latest_at or 0, **bounds)
        self._moved_after |= dict.fromkeys(live, 0) | {row[:4]: row[4] for row in rows}

    # ------------------------------------------------------------------------------ deciding

    def note(self, key: Key, movement: Movement) -> None:
        """Note a stock movement of this commit."""
        if (noted := self._moved.get(key)) is not None:
            noted.append(movement)

    def add(self, key: Key, count: Count) -> None:
        """Add a count, or replace it by its voided version."""
        self.counts[key] = [each for each in self.counts[key] if each.position != count.position] + [count]
        self._changed.append((key, count))

    def base(self, key: Key) -> Count | None:
        """The count on which the level of `key` is based now."""
        return base_count(self.counts[key], None, None)

    def moved_after(self, key: Key, order: tuple[int, int]) -> int:
        """The sum of all stock movements of `key` after a place in the order of events, including this commit's."""
        now = sum(each.quantity for each in self._moved[key] if each.order > order)
        if order[0] > self._moved_until[key]:
            return now
        place = self._place(key, order)
        if place not in self._moved_after:  # a tick clock has corrected an instant, or merges ask for more
            self._read_moved_after({place})
        return self._moved_after[place] + now

    def rows(self) -> list[tuple[object, ...]]:
        """The rows of `count` to write."""
        return [(*key, *count) for key, count in self._changed]


def keys_of(movements: Iterable[Movement]) -> list[Key]:
    """The keys of the counts among `movements`."""
    return [(each.location, each.sku) for each in movements if each.account is Account.COUNT]
