"""Verification of derived data: levels and counts, compared with the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, select

from inventory_server.domain.answers import Proof
from inventory_server.domain.inventory import Account
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import Head
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import Lookup
from inventory_server.store.ledger.timetravel import NOW, LedgerAt, Moment
from inventory_server.store.verify import archive
from inventory_server.store.verify.postings import Moved

_counts = Lookup(t.count, list(t.count.primary_key.columns))


class DerivedCheck:
    """Follows `on_hand_after` from movement to movement; the last one of each key must be that of its level."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.on_hand: dict[Key, int] = {}
        self.counts = 0

    def _before(self, connection: Connection, key: Key) -> int:
        """The stock before the next movement of `key`; after an archive, computed from what it keeps."""
        if key not in self.on_hand and self.head.archived_position:
            self.on_hand[key] = _on_hand_at(connection, key, self.head.archived_position)
        return self.on_hand.get(key, 0)

    def wrong_figures(self, connection: Connection, row: Any, moved: list[Moved]) -> Iterator[str]:
        """Check one posting. After a late or voided count, the expected figure is computed by time travel."""
        for movement, _, after in moved:
            key = (movement.location, movement.sku)
            before = self._before(connection, key)
            self.on_hand[key] = after
            follows = after == before
            if movement.account is Account.COUNT:
                follows |= after == movement.quantity or after == _on_hand_at(connection, key, row.position)
            else:
                follows |= after == before + movement.quantity
                if not follows and row.type == "void" and not movement.quantity:
                    follows = after == _on_hand_at(connection, key, row.position)
            if not follows:
                yield f"{movement.sku!r} at {movement.location!r} went from {before} to {after}"

    def wrong_counts(self, connection: Connection, postings: list[Any], moved: dict[int, list[Moved]]) -> Iterator[str]:
        """Compare the counts of one segment with the rows of `count`."""
        expected: dict[tuple[Any, ...], tuple[int, int | None, str]] = {}
        for row in postings:
            if row.type == "count":
                voided = None if row.void_position is None else max(row.void_position, row.position)
                for movement, _, _ in moved.get(row.position, ()):
                    if movement.account is Account.COUNT:
                        key = (movement.location, movement.sku, movement.effective_at, row.position)
                        expected[key] = (movement.quantity, voided, row.terminal)
        self.counts += len(expected)
        found = {row[:4]: row[4:] for row in _counts(connection, list(expected))}
        for key, figure in expected.items():
            if found.get(key) != figure:
                yield f"position {key[3]}: the count of {key[1]!r} is {found.get(key)}, the ledger says {figure}"


def _on_hand_at(connection: Connection, key: Key, position: int) -> int:
    return LedgerAt(connection, Moment(None, position)).of(*key).level().on_hand


def wrong_latest(connection: Connection, segment: int, moved: dict[int, list[Moved]]) -> Iterator[str]:
    """Compare the latest instant in a segment with the stored one, by which time travel skips segments."""
    latest = max((each.movement.effective_at for group in moved.values() for each in group), default=None)
    head = connection.execute(select(t.ledger)).one()
    if segment == head.position >> t.SEGMENT_POSITIONS_LOG2:
        noted = head.segment_latest_at
    else:
        noted = connection.execute(select(t.segment.c.latest_at).where(t.segment.c.segment == segment)).scalar()
    if noted != latest:
        yield f"segment {segment}: the latest instant in it is {latest}, stored is {noted}"


def wrong_levels(
    connection: Connection, proof: Proof, check: DerivedCheck, in_transit: dict[Key, int]
) -> Iterator[str]:
    """Compare levels: those without counts with sums in one pass, the others by time travel one by one."""
    moved, now, on_hand = _sums(connection, check.head), LedgerAt(connection, NOW), check.on_hand
    families = now.merges.families
    counted = {tuple(row) for row in connection.execute(select(t.count.c.location, t.count.c.sku).distinct())}
    for row in connection.execute(select(t.level).order_by(t.level.c.location, t.level.c.sku)):
        proof.levels += 1
        key = (row.location, row.sku)
        (total, latest), on_the_road = moved.pop(key, (0, None)), in_transit.pop(key, 0)
        expected: tuple[Any, ...] = (total, total, on_the_road, None, None, latest)
        if key in counted or row.sku in families:
            level = now.of(*key).level(on_the_road)
            expected = (level.on_hand, level.moved, level.in_transit)
            expected += (level.counted_at, level.counted_position, level.last_movement_at)
        if tuple(row)[2:] != expected:
            yield f"{row.sku!r} at {row.location!r}: the level is {tuple(row)[2:]}, the ledger says {expected}"
        untouched = row.on_hand if check.head.archived_position else 0
        if on_hand.pop(key, untouched) != row.on_hand:
            yield f"{row.sku!r} at {row.location!r}: the last movement did not leave {row.on_hand}"
    on_the_road_only = {key for key, quantity in in_transit.items() if quantity}
    for location, sku in moved.keys() | on_hand.keys() | on_the_road_only:
        yield f"{sku!r} at {location!r}: has movements but no level"


def _sums(connection: Connection, head: Head) -> dict[Key, tuple[int, int | None]]:
    """Per (location, sku): sum and latest effective instant of its stock movements."""
    m = archive.moved(head)
    sums = select(m.location, m.sku, func.sum(m.quantity), func.max(m.latest_at)).group_by(m.location, m.sku)
    return {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(sums)}
