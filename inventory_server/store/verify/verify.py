"""Verification of a ledger: it is complete, every level follows from it, and transfers add up.

Reads everything once, slice by slice, in one snapshot: the work grows with the ledger and no faster. Memory is bounded
by one slice and by the number of terminals, of (location, sku) pairs, of counted figures (40 bytes each) and of
findings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from inventory_server.config import VERIFY_ROWS
from inventory_server.domain.answers import Proof
from inventory_server.domain.documents import DocumentLine
from inventory_server.domain.door import Progress, ProgressCounter, no_progress
from inventory_server.domain.lineage import FIRST_HEAD, next_head
from inventory_server.store.database.base import Database
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.records import NOT_KEPT, Key, held_lineage
from inventory_server.store.ledger.sql import pages
from inventory_server.store.verify import archive, derived, documents
from inventory_server.store.verify.closings import ClosingCheck
from inventory_server.store.verify.lookups import LookupCheck, wrong_ranges
from inventory_server.store.verify.merges import MergeCheck
from inventory_server.store.verify.packs import PackSizes
from inventory_server.store.verify.postings import (
    Moved,
    body_of,
    movements_between,
    postings_between,
    slices,
    wrong_identities,
    wrong_movements,
)
from pos_client.protocol.errors import BodyError


def verify(database: Database, connection: Connection, progress: Progress = no_progress) -> Proof:
    """Check the database's own files, then, if they are sound, `prove` the ledger."""
    files = Proof()
    files.all_found(database.check_files(connection))
    return prove(connection, progress) if files.holds else files


def prove(connection: Connection, progress: Progress = no_progress) -> Proof:
    """Verify postings, chains, movements, levels and transfers; the result lists what is wrong.

    `progress` is told rows: postings, document lines and levels.
    """
    proof = Proof()
    if (unfounded := archive.unfounded(connection)) is not None:
        proof.found(unfounded)
    if not proof.holds:
        return proof
    head = connection.execute(select(t.ledger)).one()
    last = connection.execute(select(func.max(t.posting.c.position))).scalar() or 0
    proof.position = head.position
    if last != head.position:
        proof.found(f"the ledger ends at position {head.position}, its last posting is {last}")
    try:
        recorded_at = _prove_all(connection, proof, min(last, head.position), progress)
        if recorded_at != head.recorded_at:
            proof.found(f"the ledger's last instant is {head.recorded_at}, that of its last posting {recorded_at}")
    except (TypeError, ValueError, AttributeError, OverflowError, msgspec.DecodeError) as error:
        proof.found(f"a column holds an unexpected value: {error}")
    return proof


def _prove_all(connection: Connection, proof: Proof, last: int, progress: Progress) -> int:
    """Verify everything up to the position `last`; return when that was recorded."""
    tables = (t.posting, t.document_line, t.level)
    sizes = (connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)
    proven = ProgressCounter(progress, sum(sizes))
    walk = _Walk(connection, proof)
    for segment in range(walk.head.first_segment, (last >> t.SEGMENT_POSITIONS_LOG2) + 1):
        walk.through(segment, proven)
    proof.all_found(_wrong_chains(connection, proof, walk.heads))
    proof.all_found(_wrong_copies(connection))
    since = t.count.c.position > walk.head.archived_position
    counts = connection.execute(select(func.count()).select_from(t.count).where(since)).scalar_one()
    if counts != walk.derived.counts:
        proof.found(f"the ledger says {walk.derived.counts} figures were counted, HQ goes by {counts}")
    identities = connection.execute(select(func.count()).select_from(t.identity)).scalar_one()
    if identities != walk.postings + proof.archived:
        proof.found(f"the ledger has {walk.postings + proof.archived} postings, HQ knows {identities} ids")
    proof.all_found(walk.lookups.unexplained(connection, walk.head))
    proof.all_found(wrong_ranges(connection))
    proof.all_found(walk.closings.unexplained())
    proof.all_found(walk.merges.unexplained())
    proof.closings = walk.closings.closed
    in_transit: dict[Key, int] = {}
    proof.all_found(documents.wrong_documents(connection, proof, in_transit, walk.merges, proven))
    proof.all_found(derived.wrong_levels(connection, proof, walk.derived, in_transit, proven))
    return walk.recorded_at


class _Walk:
    """Walks through the ledger from its first posting to its last."""

    def __init__(self, connection: Connection, proof: Proof) -> None:
        self._connection = connection
        self._proof = proof
        self.head = head_of(connection)
        self.recorded_at = self.head.archived_until
        self.postings = 0
        self.heads = archive.prove(connection, self.head, proof)
        self.merges = MergeCheck(connection, self.head)
        self.lookups = LookupCheck(connection)
        self.packs = PackSizes(connection)
        self.derived = derived.DerivedCheck(connection, self.head)
        self.closings = ClosingCheck(connection, self.head, self.derived.levels)
        lineages = connection.execute(select(t.lineage))
        self._lineages = {(row.terminal, row.lineage): held_lineage(row) for row in lineages}

    def through(self, segment: int, proven: Callable[[int], None]) -> None:
        """Verify one segment; `proven` is told how many more postings were."""
        latest = [self._through(first, last, proven) for first, last in slices(self._connection, segment)]
        latest_at = max((each for each in latest if each is not None), default=None)
        self._proof.all_found(derived.wrong_latest(self._connection, segment, latest_at))
        self._proof.all_found(self.closings.wrong(segment, self.recorded_at))

    def _through(self, first: int, last: int, proven: Callable[[int], None]) -> int | None:
        """Verify the postings from position `first` to `last`; return the latest instant at which one moves stock."""
        connection, proof = self._connection, self._proof
        postings = postings_between(connection, first, last)
        movements = movements_between(connection, first, last)
        latest = max((each.movement.effective_at for group in movements.values() for each in group), default=None)
        proof.all_found(wrong_identities(connection, postings))
        drawn = documents.lines_between(connection, first, last)
        proof.all_found(self.derived.wrong_counts(connection, postings, movements))
        self.closings.follow(movements)
        for row in postings:
            moved, lines = movements.pop(row.position, []), drawn.pop(row.position, [])
            proof.movements += len(moved)
            proof.all_found(f"position {row.position}: {what}" for what in self._wrong(row, moved, lines))
        proof.all_found(self.lookups.wrong(connection, first, last))
        proof.all_found(f"position {position}: movements without a posting" for position in movements)
        archived = self.head.archived_position
        proof.all_found(f"position {at}: document lines without a posting" for at in drawn if at > archived)
        proven(len(postings))
        return latest

    def _wrong(self, row: Any, moved: list[Moved], lines: list[DocumentLine]) -> Iterator[str]:
        proof = self._proof
        proof.postings += 1
        self.postings += 1
        expected = self.head.archived_position + proof.postings
        if row.position != expected:
            yield f"expected {expected}, the ledger has a gap"
            proof.postings = row.position - self.head.archived_position
        if row.recorded_at <= self.recorded_at:
            yield "recorded before the posting that it follows"
        self.recorded_at = row.recorded_at
        if hashlib.sha256(row.body).digest() != row.digest:
            yield "the body does not have its digest"
        if row.lineage is not None:
            held = self._lineages.get((row.terminal, row.lineage))
            if held is None or (row.seq is not None and not held.holds(row.seq)):
                yield "its lineage is unknown or does not include its sequence number"
        self.heads[row.terminal] = next_head(self.heads.get(row.terminal, FIRST_HEAD), row.id, row.digest)
        if [each.entry for each in moved] != list(range(len(moved))):
            yield "its movements are not numbered consecutively"
        stored = [each.movement for each in moved]
        try:
            body, quantities = body_of(row)
        except BodyError as error:
            yield f"unreadable body, {error}"
        else:
            in_units = self.packs.in_units(body, quantities, stored)
            yield from wrong_movements(self._connection, row, body, in_units, stored, lines, self.packs)
            self.lookups.note(row, body, in_units, stored)
        yield from self.merges.wrong(row)
        yield from self.derived.wrong_figures(self._connection, row, moved)


def _wrong_chains(connection: Connection, proof: Proof, heads: dict[str, bytes]) -> Iterator[str]:
    for name, head in connection.execute(select(t.terminal.c.terminal, t.terminal.c.head)):
        proof.chains += 1
        if heads.pop(name, FIRST_HEAD) != head:
            yield f"terminal {name}: the chain does not end where HQ says it does"
    for name in heads:
        yield f"terminal {name}: has postings but is not enrolled"


def _wrong_copies(connection: Connection) -> Iterator[str]:
    """Rejected and quarantined bodies that were kept must still have their digest."""
    for table in (t.rejection, t.quarantine):
        columns = [table.c.id, table.c.digest, table.c.body]
        for page in pages(connection, columns, list(table.primary_key.columns), VERIFY_ROWS):
            for id_, digest, body in page:
                if body != NOT_KEPT and hashlib.sha256(body).digest() != digest:
                    yield f"{table.name} {id_.hex()}: the body does not have its digest"
