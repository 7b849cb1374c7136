"""The working set of one commit: rows read beforehand, decisions in memory, rows written at the end."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import Connection

from inventory_server.domain import inventory
from inventory_server.domain.inventory import Account, Count, Level, Movement
from inventory_server.domain.lineage import Lineage
from inventory_server.domain.requests import Hello, Item, Post, TerminalRequest
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import Head
from inventory_server.store.ledger.records import (
    NEVER,
    UNNAMED,
    UNSEEN,
    Key,
    Place,
    Posted,
    Rejected,
    Terminal,
    Void,
    held_lineage,
)
from inventory_server.store.ledger.reservations import reserved_of
from inventory_server.store.ledger.sql import Insert
from inventory_server.store.ledger.timetravel import NOW, LedgerAt
from inventory_server.store.write.cache import WriterCache
from inventory_server.store.write.statements import Statements
from pos_client.protocol.messages import Line

Row = tuple[object, ...]
"""A row to write, in the order of its table's columns."""


class WorkingSet:
    """What one transaction has read and decided so far; `flush` writes the decisions.

    It changes the writer's cache directly: after a rollback the cache must be emptied. `stamp` is the new one.
    """

    def __init__(
        self, connection: Connection, statements: Statements, cache: WriterCache, now: int, stamp: int
    ) -> None:
        self._connection = connection
        self._sql = statements
        self._cache = cache
        self.now = now
        self._stamp = stamp
        [head] = statements.head(connection)
        _, self.position, self.recorded_at, self._segment_latest_at, before, archived, until = head
        self.began = Head(self.position, archived, until)
        cache.begin(before)
        self.terminals = cache.terminals
        self.lineages = cache.lineages
        self._levels = cache.levels
        self.known: dict[bytes, Posted | Rejected] = {}
        self.waiting_voids: dict[bytes, list[Void]] = {}
        self.skus_by_gtin: dict[str, str] = {}
        self._reservations: dict[tuple[bytes, str, str], list[int]] = {}
        self._identities: list[Row] = []
        self._postings: list[Row] = []
        self._movements: list[Row] = []
        self._segments: list[Row] = []
        self._counts: list[Row] = []
        self._voids: list[Row] = []
        self._rejections: list[Row] = []
        self._quarantine: list[Row] = []
        self._changed_levels: set[Key] = set()
        self._changed_reservations: set[tuple[bytes, str, str]] = set()
        self._locations: list[Row] = []
        self.changed_terminals: set[str] = set()
        self.changed_lineages: set[tuple[str, bytes]] = set()

    # ------------------------------------------------------------------------------ reading first

    def read(self, works: list[TerminalRequest]) -> None:
        """Read everything that `works` can touch, in a few set-based statements."""
        posts = [work for work in works if isinstance(work, Post)]
        names = {work.terminal if isinstance(work, Hello) else work.actor.terminal for work in works}
        unknown = [(name,) for name in names if name not in self.terminals]
        for row in self._sql.terminals(self._connection, unknown):
            self.terminals[row[0]] = Terminal(*row)
        self._read_lineages(works)
        if posts:
            items = [item for work in posts for item in work.items]
            self._read_identities({item.key for item in items})
            self._read_barcodes(items)
            self.read_levels(_keys(posts, self.skus_by_gtin))

    def _read_lineages(self, works: list[TerminalRequest]) -> None:
        wanted = set()
        for work in works:
            if not isinstance(work, Hello):
                if work.actor.lineage_key is not None:
                    wanted.add((work.actor.terminal, work.actor.lineage_key))
            elif work.lineage is not None:
                wanted.add((work.terminal, work.lineage.bytes))
        self.read_lineages(wanted)

    def read_lineages(self, wanted: set[tuple[str, bytes]]) -> None:
        """Load the lineages of `wanted` (terminal, lineage); new ones start empty."""
        unknown = [key for key in wanted if key not in self.lineages]
        for key in unknown:
            self.lineages[key] = Lineage()
        for row in self._sql.lineages(self._connection, unknown):
            self.lineages[row[0], row[1]] = held_lineage(row)

    def _read_identities(self, ids: set[bytes]) -> None:
        keys = [(id_,) for id_ in ids]
        for row in self._sql.rejections(self._connection, keys):
            posting_id, _, lineage, seq, _, code, reason, digest, _, reopened_at = row
            self.known[posting_id] = Rejected(digest, code, reason, lineage, seq, reopened_at is not None)
        ids_by_position = {position: id_ for id_, position in self._sql.identities(self._connection, keys)}
        live = [(position,) for position in ids_by_position if not self.is_archived(position)]
        archived = [(position,) for position in ids_by_position if self.is_archived(position)]
        rows = self._sql.postings(self._connection, live)
        for row in rows + self._sql.archived_postings(self._connection, archived):
            posted = Posted(*row)
            self.known[ids_by_position[posted.position]] = posted
        for row in self._sql.voids(self._connection, keys):
            self.waiting_voids.setdefault(row[0], []).append(Void(*row))

    def _read_barcodes(self, items: list[Item]) -> None:
        gtins = {line.gtin for item in items for line in _lines(item) if isinstance(line.gtin, str)}
        for row in self._sql.barcodes(self._connection, [(gtin,) for gtin in gtins]):
            self.skus_by_gtin[row[0]] = row[1]

    def read_levels(self, keys: set[Key]) -> None:
        """Load the levels of `keys` and which of their SKUs are in the catalogue; new levels start at zero."""
        levels, listed = self._levels, self._cache.listed_skus
        wanted = [key for key in keys if key not in levels]
        for key in wanted:
            levels[key] = Level()
        for row in self._sql.levels(self._connection, wanted):
            levels[row[0], row[1]] = Level(*row[2:])
        skus = {sku for _, sku in wanted if sku not in listed}
        listed.update(row[0] for row in self._sql.products(self._connection, [(sku,) for sku in skus]))

    def level(self, key: Key) -> Level:
        """The level of `key`, loaded if necessary."""
        if key not in self._levels:
            self.read_levels({key})
        return self._levels[key]

    def is_listed(self, sku: str) -> bool:
        """True if `sku` is in the catalogue."""
        return sku in self._cache.listed_skus

    # ------------------------------------------------------------------------------ deciding

    def next_position(self) -> tuple[int, int]:
        """The position and the instant of the next posting: without gaps, strictly increasing."""
        if (self.position + 1) >> t.SEGMENT_POSITIONS_LOG2 != self.position >> t.SEGMENT_POSITIONS_LOG2:
            if self._segment_latest_at is not None:
                self._segments.append((self.position >> t.SEGMENT_POSITIONS_LOG2, self._segment_latest_at))
            self._segment_latest_at = None
        self.position += 1
        self.recorded_at = max(self.now, self.recorded_at + 1)
        return self.position, self.recorded_at

    def add_posting(self, row: Row) -> None:
        """Add a row of `posting`, in column order."""
        self._identities.append(row[1::-1])
        self._postings.append(row)

    def add_movement(self, movement: Movement, position: int, entry: int) -> None:
        """Add a movement that has been applied to its level."""
        key = (movement.location, movement.sku)
        self._changed_levels.add(key)
        latest_at = self._segment_latest_at
        if latest_at is None or movement.occurred_at > latest_at:
            self._segment_latest_at = movement.occurred_at
        self._movements.append(
            (
                position >> t.SEGMENT_POSITIONS_LOG2,
                *key,
                position,
                entry,
                int(movement.account),
                movement.occurred_at,
                movement.quantity,
                self._levels[key].on_hand,
                movement.reservation,
            )
        )

    def add_count(self, key: Key, count: Count) -> None:
        """Add a count, or replace it by its voided version."""
        self._counts.append((*key, count.occurred_at, count.position, count.quantity, count.voided_position))

    def add_void(self, void: Void) -> None:
        """Add a void; its target may not have arrived yet."""
        self.waiting_voids.setdefault(void.voids, []).append(void)
        self._voids.append(msgspec.structs.astuple(void))

    def add_location(self, location: str) -> None:
        """Add `location` to the known ones."""
        if location not in self._cache.locations:
            self._cache.locations.add(location)
            self._locations.append((location,))

    def add_rejection(self, row: Row) -> None:
        """Add a row of `rejection`, in column order."""
        self._rejections.append(row)

    def add_quarantine(self, row: Row) -> None:
        """Add a row of `quarantine`, in column order."""
        self._quarantine.append(row)

    def draw(self, movement: Movement, expires_at: int | None) -> bool:
        """Change the remainder of a reservation; False if its `reserve` has not arrived yet.

        `expires_at` is that of the `reserve` itself, and None for postings that draw on it.
        """
        key = (movement.reservation or UNNAMED, movement.location, movement.sku)
        if key not in self._reservations:
            rows = self._sql.reservations(self._connection, [key])
            unseen = NEVER if key[0] == UNNAMED else UNSEEN
            self._reservations[key] = list(rows[0][3:]) if rows else [0, unseen]
        state = self._reservations[key]
        state[0] += movement.quantity
        state[1] = state[1] if expires_at is None else expires_at
        self._changed_reservations.add(key)
        return state[1] != UNSEEN

    # ------------------------------------------------------------------------------ reading history

    def counts(self, key: Key) -> list[Count]:
        """All counts of `key`, including those of this transaction."""
        self.flush()
        return [Count(*row) for row in self._sql.counts(self._connection, [key])]

    def moved_after(self, key: Key, occurred_at: int) -> int:
        """The sum of all stock movements of `key` after `occurred_at`, including those of this transaction.

        For an instant within the archive, only the instants of counts are available.
        """
        self.flush()
        if self.began.is_before(occurred_at):
            return self.level(key).moved - LedgerAt(self._connection, NOW).until(occurred_at).moved(*key)
        open_segment = self.position >> t.SEGMENT_POSITIONS_LOG2
        [(first,)] = self._sql.moved_since(self._connection, after=occurred_at)
        bounds = {"after": occurred_at, "first": open_segment if first is None else first, "open": open_segment}
        of = {"location": key[0], "sku": key[1], "account": int(Account.STOCK)}
        [(total,)] = self._sql.moved_after(self._connection, **bounds, **of)
        if not self.began.archived_position:
            return total or 0
        beyond = {"after": occurred_at, "archived_position": self.began.archived_position}
        [(archived,)] = self._sql.archived_after(self._connection, **beyond, **of)
        return (total or 0) + (archived or 0)

    def place_of(self, posting_id: bytes) -> Place | None:
        """The place of a posting, including those of this transaction; None if there is none."""
        self.flush()
        for _, position in self._sql.identities(self._connection, [(posting_id,)]):
            places = self._sql.archived_places if self.is_archived(position) else self._sql.places
            [row] = places(self._connection, [(position,)])
            return Place(*row)
        return None

    def is_archived(self, position: int) -> bool:
        """True if the posting at `position` is archived."""
        return position <= self.began.archived_position

    def movements_of(self, position: int) -> list[Movement]:
        """The movements of the posting at `position`."""
        segment = position >> t.SEGMENT_POSITIONS_LOG2
        rows = self._sql.movements(self._connection, segment=segment, position=position)
        return [Movement(row[1], row[2], Account(row[3]), *row[4:]) for row in sorted(rows, key=itemgetter(0))]

    def voids_of(self, posting_id: bytes) -> list[Void]:
        """The voids that name `posting_id`, including those of this transaction."""
        self.flush()
        return [Void(*row) for row in self._sql.voids(self._connection, [(posting_id,)])]

    def reserved(self, key: Key) -> int:
        """The quantity of `key` that is reserved now."""
        self.flush()
        return reserved_of(self._connection, *key, self.now)

    # ------------------------------------------------------------------------------ writing last

    def flush(self) -> None:
        """Write all decisions so far; the transaction stays open."""
        sql, connection = self._sql, self._connection
        self._movements.sort(key=itemgetter(slice(5)))  # in primary key order, as they are stored
        for put, rows in (
            (sql.put_locations, self._locations),
            (sql.put_identities, self._identities),
            (sql.put_postings, self._postings),
            (sql.put_movements, self._movements),
            (sql.put_segments, self._segments),
            (sql.put_counts, self._counts),
            (sql.put_voids, self._voids),
            (sql.put_rejections, self._rejections),
            (sql.put_quarantine, self._quarantine),
        ):
            if rows:
                put(connection, rows)
                rows.clear()
        changes: tuple[tuple[Insert, set[Any], Callable[[Any], Row]], ...] = (
            (sql.put_levels, self._changed_levels, self._level_row),
            (sql.put_reservations, self._changed_reservations, self._reservation_row),
            (sql.put_terminals, self.changed_terminals, self._terminal_row),
            (sql.put_lineages, self.changed_lineages, self._lineage_row),
        )
        for put, changed, row_of in changes:
            if changed:
                put(connection, [row_of(key) for key in sorted(changed)])
                changed.clear()
        # Time travel within this transaction visits the open segment of the ledger's row: keep it up to date.
        sql.put_head(
            connection,
            position=self.position,
            recorded_at=self.recorded_at,
            segment_latest_at=self._segment_latest_at,
            stamp=self._stamp,
        )
        self._cache.stamp = self._stamp

    def _reservation_row(self, key: tuple[bytes, str, str]) -> Row:
        return (*key, *self._reservations[key])

    def _terminal_row(self, name: str) -> Row:
        return msgspec.structs.astuple(self.terminals[name])

    def _level_row(self, key: Key) -> Row:
        level = self._levels[key]
        return (
            *key,
            level.on_hand,
            level.moved,
            level.in_transit,
            level.counted_at,
            level.counted_position,
            level.last_movement_at,
        )

    def _lineage_row(self, key: tuple[str, bytes]) -> Row:
        held = self.lineages[key]
        beyond = msgspec.json.encode(held.beyond).decode()
        said: tuple[int | None, ...] = (None, None, None, None)
        if held.said is not None:
            said = (held.said.at, held.said.last_seq, held.said.count, held.said.quantity)
        return (*key, held.acked_seq, beyond, held.count, held.quantity, held.acked_at, *said)


def _lines(item: Item) -> list[Line]:
    return [] if item.body is None or not isinstance(item.body.lines, list) else item.body.lines


def _keys(posts: list[Post], skus_by_gtin: dict[str, str]) -> set[Key]:
    keys = set()
    for work in posts:
        for item in work.items:
            if item.body is None:
                continue
            location = item.body.location if isinstance(item.body.location, str) else work.actor.location
            for line in _lines(item):
                sku = inventory.sku_of(line, skus_by_gtin)
                keys.add((location, sku))
                if item.body.type == "transfer_out" and isinstance(item.body.other_location, str):
                    keys.add((item.body.other_location, sku))
    return keys
