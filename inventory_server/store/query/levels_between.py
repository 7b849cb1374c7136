"""What was on hand of many products, as known at either of two positions."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection

from inventory_server.domain.inventory import Count, standing_counts
from inventory_server.domain.merge import Order, families, on_hand, standing
from inventory_server.store.ledger.head import Head
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.records import Key
from inventory_server.store.query.intervals import Interval, IntervalReader, IntervalSum
from inventory_server.store.query.variance import counts_of
from pos_client.protocol.units import Quantity, unscaled


class PositionPair(NamedTuple):
    """The positions that are compared: what was recorded after `since` and up to `until` has changed the figures."""

    since: int
    until: int


class LevelsBetween:
    """What was on hand of many products, as known at either of two positions."""

    def __init__(self, connection: Connection, head: Head, keys: list[Key], bounds: PositionPair) -> None:
        merges = [merge for merge in merges_of(connection, head) if merge.position <= bounds.until]
        self._names = {position: standing(merges, known_at=position) for position in bounds}
        self._families = families((merge.ended, merge.into) for merge in merges)
        self._since = bounds.since
        self._counts: dict[Key, list[Count]] = {}
        for location, sku in keys:
            self._counts |= {(location, member): [] for member in self._family(sku)}
        for location, sku, *count in counts_of(connection, list(self._counts)):
            self._counts[location, sku].append(Count(*count))
        asked: set[Interval] = set()
        for key in keys:
            for position in bounds:
                self._level(key, position, asked)
        self._moved: dict[Interval, IntervalSum] = IntervalReader(connection, head, bounds.until).read_twice(asked)

    def _family(self, sku: str) -> frozenset[str]:
        return self._families.get(sku) or frozenset((sku,))

    def at(self, key: Key, position: int) -> Quantity:
        """What was on hand, as known at a position."""
        return unscaled(self._level(key, position, None))

    def _level(self, key: Key, position: int, asked: set[Interval] | None) -> int:
        """The level of a key; or note in `asked` what has to be read for it, which does not depend on any figure."""
        location, sku = key
        counts = {
            member: standing_counts(self._counts[location, member], None, position) for member in self._family(sku)
        }

        def moved(member: str, begin: Order | None, end: Order | None) -> int:
            interval = Interval(location, member, begin, end, self._since)
            if asked is None:
                return self._moved[interval].known_at(position)
            asked.add(interval)
            return 0

        return on_hand(self._names[position], sku, counts, moved)
