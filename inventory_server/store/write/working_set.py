"""The working set of one commit: rows read beforehand, decisions in memory, rows written at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, delete

from inventory_server.domain.exceptions import FlaggedPosting
from inventory_server.domain.inventory import Account, Level, Movement
from inventory_server.domain.limits import FIGURE_MAX
from inventory_server.domain.lineage import Lineage
from inventory_server.domain.merge import Merge, Merges
from inventory_server.domain.roles import Speaker
from inventory_server.domain.tick_clock import ClockLimits
from inventory_server.store.database.base import LedgerMoved
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import rights_of
from inventory_server.store.ledger.documents import know_location
from inventory_server.store.ledger.head import Head
from inventory_server.store.ledger.records import Key, Posted, Rejected, Rights, Void, held_lineage
from inventory_server.store.ledger.sql import Insert, among
from inventory_server.store.write.cache import WriterCache
from inventory_server.store.write.count_book import CountBook
from inventory_server.store.write.document_book import DocumentBook
from inventory_server.store.write.judged_posting import too_large
from inventory_server.store.write.merge_book import MergeBook
from inventory_server.store.write.statements import Statements
from inventory_server.store.write.tick_clocks import TickClocks

Row = tuple[object, ...]
"""A row to write, in the order of its table's columns."""


class WorkingSet:
    """What one transaction has read and decided so far; `flush` writes the decisions.

    It changes the writer's cache directly: after a rollback the cache must be emptied. `stamp` is the new one.
    """

    def __init__(
        self,
        connection: Connection,
        statements: Statements,
        cache: WriterCache,
        now: int,
        stamp: int,
        clock_limits: ClockLimits,
    ) -> None:
        self.connection = connection
        self.sql = statements
        self._cache = cache
        self.now = now
        self._stamp = stamp
        [head] = statements.head(connection)
        _, self.position, self.recorded_at, self._segment_latest_at, before, archived, until, moved_to, merges = head
        if moved_to is not None:
            raise LedgerMoved(f"The ledger was moved to {moved_to}; serve that one.")
        self.began = Head(self.position, archived, until, merges)
        cache.begin(before)
        self.terminals = cache.terminals
        self.tick_clocks = TickClocks(statements, cache, clock_limits)
        self.lineages = cache.lineages
        self.levels = cache.levels
        self.new_levels: set[Key] = set()
        self.known: dict[bytes, Posted | Rejected] = {}
        self.voids: dict[bytes, list[Void]] = {}
        self.counts = CountBook(connection, statements, self.began, self._segment_latest_at)
        if merges and cache.merges is None:
            cache.merges = Merges(Merge(*row) for row in statements.merges(connection))
        self.merging = MergeBook(cache.merges or Merges(), cache.levels, self.counts)
        self._documents: DocumentBook | None = None
        self.named: set[bytes] = set()
        self.references: dict[bytes, dict[int, int | None]] = {}
        self._moved: dict[int, list[Movement]] = {}
        self._entry = 0
        self._identities: list[Row] = []
        self._postings: list[Row] = []
        self._movements: list[Row] = []
        self._segments: list[Row] = []
        self._voids: list[Row] = []
        self._references: list[Row] = []
        self._flagged: list[FlaggedPosting] = []
        self._unflagged: set[int] = set()
        self._rejections: list[Row] = []
        self._quarantine: list[Row] = []
        self._changed_levels: set[Key] = set()
        self.changed_terminals: set[str] = set()
        self.changed_lineages: set[tuple[str, bytes]] = set()

    @property
    def documents(self) -> DocumentBook:
        """The documents that this commit draws on; a commit of plain sales makes no book of them."""
        if self._documents is None:
            self._documents = DocumentBook(self.connection, self.sql, self.merging)
        return self._documents

    # ------------------------------------------------------------------------------ reading

    def read_lineages(self, wanted: set[tuple[str, bytes]]) -> None:
        """Load the lineages of `wanted` (terminal, lineage); new ones start empty."""
        unknown = wanted.difference(self.lineages)
        for key in unknown:
            self.lineages[key] = Lineage()
        for row in self.sql.lineages(self.connection, list(unknown)):
            self.lineages[row[0], row[1]] = held_lineage(row)

    def read_rights(self, terminals: set[str]) -> None:
        """Load where else than at its present location each of `terminals` may post."""
        if unread := terminals.difference(self._cache.rights):
            self._cache.rights |= rights_of(self.connection, unread)

    def read_levels(self, keys: set[Key]) -> None:
        """Load the levels of `keys` and which of their SKUs are in the catalogue; new levels start at zero."""
        levels, listed = self.levels, self._cache.listed_skus
        wanted = keys.difference(levels)
        if not wanted:
            return
        for key in wanted:
            levels[key] = Level()
        self.new_levels |= wanted
        for row in self.sql.levels(self.connection, list(wanted)):
            levels[row[0], row[1]] = Level(*row[2:])
            self.new_levels.discard((row[0], row[1]))
        skus = {sku for _, sku in wanted if sku not in listed}
        listed.update(row[0] for row in self.sql.products(self.connection, [(sku,) for sku in skus]))

    def read_locations(self, names: set[str]) -> None:
        """Load which of the locations HQ knows."""
        unread = names.difference(self._cache.locations)
        known = self.sql.locations(self.connection, [(name,) for name in unread])
        self._cache.locations |= dict.fromkeys(unread, False) | dict.fromkeys((row[0] for row in known), True)

    def read_movements(self, positions: set[int]) -> None:
        """Load the movements of the postings at `positions`."""
        keys = [(position >> t.SEGMENT_POSITIONS_LOG2, position) for position in positions]
        for position, _, location, sku, account, quantity, at, event in sorted(
            self.sql.movements(self.connection, keys)
        ):
            if account != Account.CARRIED:
                movement = Movement(location, sku, Account(account), quantity, at, event or position)
                self._moved.setdefault(position, []).append(movement)

    def movements_of(self, position: int) -> list[Movement]:
        """The movements of a posting that a posting of this commit names, as it is read or entered."""
        return self._moved.get(position, [])

    def is_listed(self, sku: str) -> bool:
        """True if `sku` is in the catalogue."""
        return sku in self._cache.listed_skus

    def are_listed(self, skus: set[str]) -> bool:
        """True if all of `skus` are in the catalogue."""
        return skus <= self._cache.listed_skus

    def is_known_location(self, location: str) -> bool:
        """True if a terminal was enrolled there, or an operator named it."""
        return self._cache.locations[location]

    def rights_of(self, terminal: str) -> Rights:
        """What was read of the rights of a terminal."""
        return self._cache.rights[terminal]

    def may_post_at(self, location: str, speaker: Speaker) -> bool:
        """True if `speaker` may post at `location`: a till where it is, where it was and where those it adopted were.

        The rights of a till that is elsewhere must have been read.
        """
        at_home = speaker.role != "till" or location == speaker.location
        return at_home or location in self._cache.rights[speaker.terminal].places

    def is_archived(self, position: int) -> bool:
        """True if the posting at `position` is archived."""
        return position <= self.began.archived_position

    # ------------------------------------------------------------------------------ deciding

    @property
    def upcoming(self) -> tuple[int, int]:
        """The position and the instant of the next posting: without gaps, strictly increasing."""
        return self.position + 1, max(self.now, self.recorded_at + 1)

    def take_position(self) -> None:
        """Give the upcoming position to a posting."""
        if (self.position + 1) >> t.SEGMENT_POSITIONS_LOG2 != self.position >> t.SEGMENT_POSITIONS_LOG2:
            if self._segment_latest_at is not None:
                self._segments.append((self.position >> t.SEGMENT_POSITIONS_LOG2, self._segment_latest_at))
            self._segment_latest_at = None
        self.position, self.recorded_at = self.upcoming
        self._entry = 0

    def add_posting(self, row: Row, moved: list[Movement]) -> None:
        """Add a row of `posting`, in column order; its movements are kept if a posting of this commit names it."""
        self._identities.append(row[1::-1])
        self._postings.append(row)
        if row[1] in self.named:
            self._moved[self.position] = moved

    def add_movement(self, key: Key, movement: Movement) -> None:
        """Add the next movement of the posting at the last position; it has been applied to the level of `key`."""
        position, entry = self.position, self._entry
        self._entry = entry + 1
        self._changed_levels.add(key)
        latest_at = self._segment_latest_at
        if latest_at is None or movement.effective_at > latest_at:
            self._segment_latest_at = movement.effective_at
        self._movements.append(
            (
                position >> t.SEGMENT_POSITIONS_LOG2,
                *key,
                position,
                entry,
                int(movement.account),
                movement.effective_at,
                None if movement.event_position == position else movement.event_position,
                movement.quantity,
                self.levels[key].on_hand,
            )
        )

    def add_carried(self, order: tuple[int, int]) -> None:
        """Add what merges have carried since the last movement of the posting; it has been applied to its levels."""
        self.read_levels(set(self.merging.carried))
        for key, quantity in self.merging.carried.items():
            self.add_movement(key, Movement(*key, Account.CARRIED, quantity, *order))
        self.merging.carried.clear()

    def touch_level(self, key: Key) -> None:
        """Have HQ know of a level, even if nothing moved it, and of those of the products that its SKU comes to mean.

        One of them may have stock only between two instants of the past, which a list as of then shows.
        """
        location, sku = key
        self._changed_levels.add(key)
        self._changed_levels.update((location, later) for later in self.merging.standing.later_names(sku))

    def add_void(self, void: Void) -> None:
        """Add a void; its target may not have arrived yet."""
        self.voids.setdefault(void.voids, []).append(void)
        self._voids.append(msgspec.structs.astuple(void))

    def add_reference(self, digest: bytes, position: int, voided_position: int | None) -> None:
        """Add a document with a reference, or replace it by its voided version."""
        self.references.setdefault(digest, {})[position] = voided_position
        self._references.append((digest, position, voided_position))

    def void_references(self, position: int, by: int) -> None:
        """Void the document at `position`."""
        for digest, positions in self.references.items():
            if position in positions:
                self.add_reference(digest, position, by)

    def add_flagged(self, flagged: Iterable[FlaggedPosting]) -> None:
        """Have a person look into a posting."""
        self._flagged += flagged

    def unflag(self, position: int) -> None:
        """Have nobody look into the posting at `position`: it is voided."""
        self._unflagged.add(position)

    def know_location(self, location: str) -> None:
        """Have HQ know a location, if it does not yet; what is on the road to it is in transit from now on."""
        if not self._cache.locations.get(location):
            self._cache.locations[location] = True
            know_location(self.connection, location)
            keys = [key for key in self.levels if key[0] == location]
            for row in self.sql.levels(self.connection, keys):
                self.levels[row[0], row[1]].in_transit = Level(*row[2:]).in_transit

    def add_rejection(self, row: Row) -> None:
        """Add a row of `rejection`, in column order."""
        self._rejections.append(row)

    def add_quarantine(self, row: Row) -> None:
        """Add a row of `quarantine`, in column order."""
        self._quarantine.append(row)

    # ------------------------------------------------------------------------------ writing last

    def flush(self) -> None:
        """Write all decisions; the transaction stays open."""
        sql, connection = self.sql, self.connection
        self.read_levels(self._changed_levels)
        documents = self._documents
        if documents is not None:
            documents.assert_fits()
            if changed_transit := documents.changed_transit():
                self._change_transit(changed_transit)
        self._movements.sort()  # in primary key order, as they are stored
        if self._unflagged:
            self._flagged = [each for each in self._flagged if each.position not in self._unflagged]
            gone = among(connection, t.flagged.c.position, list(self._unflagged))
            connection.execute(delete(t.flagged).where(gone))
        for put, rows in (
            (sql.put_identities, self._identities),
            (sql.put_postings, self._postings),
            (sql.put_movements, self._movements),
            (sql.put_segments, self._segments),
            (sql.put_counts, self.counts.rows()),
            (sql.put_document_lines, documents.line_rows() if documents is not None else ()),
            (sql.put_documents, documents.document_rows() if documents is not None else ()),
            (sql.put_references, self._references),
            (sql.put_flagged, self._flagged),
            (sql.put_voids, self._voids),
            (sql.put_merges, self.merging.rows()),
            (sql.put_rejections, self._rejections),
            (sql.put_quarantine, self._quarantine),
        ):
            if rows:
                put(connection, rows)
        changes: tuple[tuple[Insert, set[Any], Callable[[Any], Row]], ...] = (
            (sql.put_levels, self._changed_levels, self._level_row),
            (sql.put_terminals, self.changed_terminals, self._terminal_row),
            (sql.put_lineages, self.changed_lineages, self._lineage_row),
        )
        for put, changed, row_of in changes:
            if changed:
                put(connection, [row_of(key) for key in sorted(changed)])
        self.tick_clocks.flush(connection)
        if self.merging.added:
            sql.put_merge_count(connection, more=self.merging.added)
        self._cache.merges = self.merging.standing
        sql.put_head(
            connection,
            position=self.position,
            recorded_at=self.recorded_at,
            segment_latest_at=self._segment_latest_at,
            stamp=self._stamp,
        )
        self._cache.stamp = self._stamp

    def _change_transit(self, changes: dict[Key, int]) -> None:
        """Change what is in transit at locations that HQ knows."""
        self._changed_levels |= changes.keys()
        self.read_levels(set(changes))
        self.read_locations({location for location, _ in changes})
        for key, change in changes.items():
            level = self.levels[key]
            level.in_transit += change if self.is_known_location(key[0]) else 0
            if abs(level.in_transit) > FIGURE_MAX:
                raise too_large(f"what is in transit of {key[1]!r} at {key[0]!r}")

    def _terminal_row(self, name: str) -> Row:
        return msgspec.structs.astuple(self.terminals[name])

    def _level_row(self, key: Key) -> Row:
        return (*key, *msgspec.structs.astuple(self.levels[key]))

    def _lineage_row(self, key: tuple[str, bytes]) -> Row:
        held = self.lineages[key]
        if abs(held.quantity) > FIGURE_MAX:
            raise too_large(f"the control total of terminal {key[0]}")
        beyond = msgspec.json.encode(held.beyond).decode()
        said: tuple[int | None, ...] = (None, None, None, None)
        if held.said is not None:
            said = (held.said.at, held.said.last_seq, held.said.count, held.said.quantity)
        return (*key, held.acked_seq, beyond, held.count, held.quantity, held.acked_at, *said)
