"""Verification of derived data: levels and counts, compared with the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from inventory_server.config import VERIFY_ROWS
from inventory_server.domain.answers import Proof
from inventory_server.domain.inventory import Account
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import Head
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import Lookup, pages
from inventory_server.store.ledger.timetravel import NOW, LedgerAt, Moment
from inventory_server.store.verify.postings import Moved
from inventory_server.store.verify.rebuilt import RebuiltLevel, rebuilt_from_archive

_counts = Lookup(t.count, list(t.count.primary_key.columns))


class DerivedCheck:
    """Rebuilds every level from the movements: each must leave what the ledger says that it left."""

    def __init__(self, connection: Connection, head: Head) -> None:
        self.levels: dict[Key, RebuiltLevel] = rebuilt_from_archive(connection, head)
        self.merged = {sku for merge in merges_of(connection, head) for sku in (merge.ended, merge.into)}
        self.left: dict[Key, int] = {}
        self.counts = 0
        self._head = head

    def _left(self, connection: Connection, key: Key) -> int:
        """What the last movement of a product that was merged left; after an archive, computed from what it keeps."""
        if key not in self.left and self._head.archived_position:
            self.left[key] = _on_hand_at(connection, key, self._head.archived_position)
        return self.left.get(key, 0)

    def wrong_figures(self, connection: Connection, row: Any, moved: list[Moved]) -> Iterator[str]:
        """Check what the movements of one posting left on hand."""
        for movement, _, after in moved:
            key = (movement.location, movement.sku)
            level = self.levels.get(key)
            if level is None:
                level = self.levels[key] = RebuiltLevel()
            before, due = level.on_hand, None
            level.follow(movement, row.position)
            if movement.sku in self.merged:
                before = self._left(connection, key)
                self.left[key] = after
                if movement.account is Account.CARRIED:
                    due = before + movement.quantity
                elif after not in (before, before + movement.quantity):
                    due = _on_hand_at(connection, key, row.position)
            else:
                due = level.on_hand
            if due not in (None, after):
                yield f"{key[1]!r} at {key[0]!r} went from {before} to {after}, the ledger says {due}"

    def wrong_counts(self, connection: Connection, postings: list[Any], moved: dict[int, list[Moved]]) -> Iterator[str]:
        """Compare the counts of some postings with the rows of `count`."""
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


def wrong_latest(connection: Connection, segment: int, latest: int | None) -> Iterator[str]:
    """Compare the latest instant in a segment with the stored one, by which time travel skips segments."""
    head = connection.execute(select(t.ledger)).one()
    if segment == head.position >> t.SEGMENT_POSITIONS_LOG2:
        noted = head.segment_latest_at
    else:
        noted = connection.execute(select(t.segment.c.latest_at).where(t.segment.c.segment == segment)).scalar()
    if noted != latest:
        yield f"segment {segment}: the latest instant in it is {latest}, stored is {noted}"


def wrong_levels(
    connection: Connection,
    proof: Proof,
    check: DerivedCheck,
    in_transit: dict[Key, int],
    compared: Callable[[int], None],
) -> Iterator[str]:
    """Compare the stored levels with the rebuilt ones and with what is on the road; both dictionaries are emptied.

    Those of products that were ever merged are computed one by one. `compared` is told how many more were compared.
    """
    now, rebuilt = LedgerAt(connection, NOW), check.levels
    for page in pages(connection, list(t.level.columns), list(t.level.primary_key.columns), VERIFY_ROWS):
        for location, sku, *found in page:
            on_the_road = in_transit.pop((location, sku), 0)
            level = (rebuilt.pop((location, sku), None) or RebuiltLevel()).level(on_the_road)
            if sku in check.merged:
                level = now.of(location, sku).level(on_the_road)
                if check.left.get((location, sku), found[0]) != found[0]:
                    yield f"{sku!r} at {location!r}: the last movement did not leave {found[0]}"
            expected = msgspec.structs.astuple(level)
            if tuple(found) != expected:
                yield f"{sku!r} at {location!r}: the level is {tuple(found)}, the ledger says {expected}"
        proof.levels += len(page)
        compared(len(page))
    on_the_road_only = {key for key, quantity in in_transit.items() if quantity}
    has_moved = {key for key, level in rebuilt.items() if level.latest_at is not None or level.base}
    for location, sku in has_moved | on_the_road_only:
        yield f"{sku!r} at {location!r}: has movements but no level"
