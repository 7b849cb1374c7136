"""What must hold when a run has come to rest: the promises P1 to P6, and the rules of stock."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from uuid import UUID

import msgspec

from pos_client.protocol.messages import CHAIN_START, PostingResult
from pos_client.protocol.units import micros
from pos_client.till.outbox_records import ISOLATED
from tests.simulation.book import Book, Created
from tests.simulation.disk import Disk
from tests.simulation.stock_checks import Row, check_flags, check_stock
from tests.simulation.world import SECOND, Violation
from tests.support.model import Model

_DONE = ("posted", "duplicate")

CLOCK_SLACK = 4 * SECOND
"""HQ's tolerance, and how late a frame is in slow but orderly weather: HQ knows no better when a boot began."""


def check(
    database: sqlite3.Connection,
    book: Book,
    disks: Iterable[Disk],
    refused_merges: Mapping[UUID, int],
    *,
    orderly: bool,
    thoroughly: bool,
) -> Model:
    """Raise Violation where a promise is broken; otherwise return what the ledger means.

    `refused_merges` are those with the position that HQ was at. In an `orderly` run no disk was copied or lost, no
    clock set and no frame doubled: HQ knows how far it is complete.
    """
    columns = "position, id, digest, terminal, lineage, seq, recorded_at, effective_at, boot, flags"
    rows = [
        Row(row[0], UUID(bytes=row[1]), *row[2:])
        for row in database.execute(f"SELECT {columns} FROM posting ORDER BY position")
    ]
    _once(rows)
    _no_phantom(rows, book)
    _durable({row.id: row for row in rows}, book)
    _rejections(database, book, {row.id for row in rows})
    _delivered(database, {row.id for row in rows}, book, disks)
    _chains(database, rows)
    if orderly:
        _complete(rows, book)
    model = check_stock(database, rows, book, refused_merges)
    if thoroughly:
        check_flags(rows, model)
    return model


def _once(rows: list[Row]) -> None:
    """P2: one ledger entry per id, positions without a gap, one id per seq of a lineage."""
    for posting_id, times in Counter(row.id for row in rows).items():
        if times > 1:
            raise Violation("P2", f"{posting_id} is in the ledger {times} times")
    if [row.position for row in rows] != list(range(1, len(rows) + 1)):
        raise Violation("P2", "the positions have a gap")
    instants = [row.recorded_at for row in rows]
    if any(later <= earlier for earlier, later in pairwise(instants)):
        raise Violation("P2", "recorded_at does not rise with the position")
    numbered = Counter((row.terminal, row.lineage, row.seq) for row in rows if row.seq is not None)
    for number, times in numbered.items():
        if times > 1:
            raise Violation("fork", f"{times} postings are {number[0]}'s number {number[2]} of one lineage")


def _no_phantom(rows: list[Row], book: Book) -> None:
    """P4: everything in the ledger was created by a device, with this content."""
    for row in rows:
        if book.find(row.id, row.digest) is None:
            raise Violation("P4", f"position {row.position}: nobody created {row.id} with this content")


def _durable(ledger: dict[UUID, Row], book: Book) -> None:
    """P1: what a device read as posted or duplicate is in the ledger, as it was answered."""
    for (posting_id, digest), answers in book.answers.items():
        row = ledger.get(posting_id)
        for answer in answers:
            if answer.status not in _DONE:
                continue
            if row is None or row.digest != digest:
                raise Violation("P1", f"{posting_id} was answered {answer.status} and is not in the ledger")
            assert answer.recorded_at is not None
            if (row.position, row.recorded_at) != (answer.position, micros(answer.recorded_at)):
                raise Violation("P1", f"{posting_id} was answered position {answer.position}, it is at {row.position}")


def _rejections(database: sqlite3.Connection, book: Book, posted: set[UUID]) -> None:
    """P6, and a sale is never refused: what HQ has rejected it said so, for a reason that the posting gave."""
    query = "SELECT id, digest, code, reason, reopened_at FROM rejection"
    for raw_id, digest, code, reason, reopened_at in database.execute(query):
        posting_id = UUID(bytes=raw_id)
        made = book.find(posting_id, digest)
        if made is None:
            raise Violation("P4", f"nobody created the rejected {posting_id}")
        if code not in made.refusals or not reason:
            raise Violation("P5", f"{posting_id} ({made.raw!r}) was rejected as {code}: {reason}")
        if posting_id in posted and reopened_at is None:
            raise Violation("P6", f"{posting_id} is both posted and rejected")


def _delivered(database: sqlite3.Connection, posted: set[UUID], book: Book, disks: Iterable[Disk]) -> None:
    """P5: what a cashier was promised is in the ledger, or parked with a reason; nothing is done that is not posted."""
    accounted = set(posted)
    for disk in disks:
        for raw_id, state, stored, body in disk.query("SELECT id, state, result, body FROM posting"):
            posting_id = UUID(bytes=raw_id)
            if state == "parked":
                made = book.find(posting_id, hashlib.sha256(body).digest())
                if not any(other.reused for other in book.created.get(posting_id, ())):
                    _no_conflict(posting_id, stored)
                _parked(database, made, msgspec.json.decode(stored, type=PostingResult), book.hq_was_restored)
                accounted.add(posting_id)
            elif state == "pending":
                raise Violation("P5", f"{posting_id} is still pending")
            elif posting_id not in posted:
                raise Violation("P5", f"{posting_id} is done at its till and not in the ledger")
    if lost := book.promised - accounted:
        raise Violation("P5", f"{len(lost)} postings are nowhere, {min(lost)} for one")


def _no_conflict(posting_id: UUID, stored: bytes) -> None:
    if msgspec.json.decode(stored, type=PostingResult).status == "conflict":
        raise Violation("P5", f"{posting_id} is in conflict, and no program has used this id twice")


def _parked(database: sqlite3.Connection, made: Created | None, result: PostingResult, hq_was_restored: bool) -> None:
    if made is None or not result.reason:
        raise Violation("P5", f"{result.id} is parked without a reason or an origin")
    held = {
        "rejected": "SELECT 1 FROM rejection WHERE id = ? AND digest = ?",
        "conflict": "SELECT 1 FROM quarantine WHERE id = ? AND digest = ?",
    }[result.status]
    if result.code == ISOLATED:
        if not made.poisoned:
            raise Violation("P5", f"{result.id} is parked as poison and is none")
    elif not hq_was_restored and database.execute(held, (made.id.bytes, made.digest)).fetchone() is None:
        raise Violation("P5", f"{result.id} is parked as {result.status} {result.code}, and HQ knows nothing of it")


def _chains(database: sqlite3.Connection, rows: list[Row]) -> None:
    """Each terminal's chain of digests ends at the head that HQ remembers."""
    heads: dict[str, bytes] = {}
    for row in rows:
        head = heads.get(row.terminal, bytes.fromhex(CHAIN_START))
        heads[row.terminal] = hashlib.sha256(head + row.id.bytes + row.digest).digest()
    for terminal, head in database.execute("SELECT terminal, head FROM terminal"):
        if heads.get(terminal, bytes.fromhex(CHAIN_START)) != head:
            raise Violation("P3", f"the chain of {terminal} does not verify")


def _complete(rows: list[Row], book: Book) -> None:
    """HQ had everything that the tills it had heard of had sold up to where it said that it had.

    What somebody wrote down later, dated back, was not there to be told of before.
    """
    for seen in book.seen:
        heard_of = {row.terminal for row in rows[: seen.position]}
        for row in rows[seen.position :]:
            made = book.find(row.id, row.digest)
            assert made is not None
            assert made.body is not None
            told = seen.complete_to.get(made.location)
            known_at = made.made_at + CLOCK_SLACK
            sold_at = max(made.occurred_at, known_at) if made.by_hand else known_at
            late = told is not None and sold_at <= told and made.role == "till"
            if late and made.terminal in heard_of and made.body.type in ("sale", "void"):
                raise Violation(
                    "complete_to", f"position {row.position} came later than {seen.position} and was sold before"
                )
