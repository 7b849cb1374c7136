"""The till's durable outbox: every posting is on disk here before `add` returns, and until HQ has it.

A row is `pending` until HQ gives a definite answer about it, then `done` or `parked`. Ids never change; sequence
numbers belong to a lineage, which is replaced when this file turns out to be a copy, and when another terminal takes
the file over. What the former terminal had not delivered stays behind in its lineage: it is held until HQ lets the new
one deliver it.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO
from uuid import UUID

import msgspec

from pos_client.protocol.errors import ErrorCode, HqRefused, OutboxError
from pos_client.protocol.limits import ITEM_OVERHEAD_BYTES
from pos_client.protocol.messages import OutboxReport, PostingResult
from pos_client.protocol.tick import Tick
from pos_client.protocol.units import instant
from pos_client.protocol.uuid7 import Uuid7
from pos_client.till import outbox_statements as sql
from pos_client.till.clock import wall_clock
from pos_client.till.outbox_file import OutboxFile, open_outbox_file
from pos_client.till.outbox_records import (
    ControlTotals,
    Counts,
    Found,
    HeldPostings,
    NewPosting,
    Parked,
    PendingEntry,
    is_repeated,
    is_word_of_hq,
    leads_to,
    parked_of,
    row_of,
)
from pos_client.till.policy import KEEP_DONE, OUTBOX_BUSY_SECONDS, PRUNE_STEP, RECOGNISE_BYTES_MAX


class Outbox:
    """The outbox in the file at `path`, created if it does not exist. Thread-safe.

    Any number of processes may `add`; only the one that holds the sending lock (`acquire_sending`) may also send and
    settle. Every method raises OutboxError, which says what to do, if the file cannot be used. `terminal` takes the
    file over (None: leave it to the terminal that has it). `clock` gives the time in µs since 1970, `ids` new lineages,
    `open_file` the file itself.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        terminal: str | None = None,
        clock: Callable[[], int] = wall_clock,
        ids: Callable[[], UUID] | None = None,
        busy_seconds: float = OUTBOX_BUSY_SECONDS,
        keep_done: int = KEEP_DONE,
        open_file: Callable[[str | Path, float], OutboxFile] = open_outbox_file,
    ) -> None:
        self._clock = clock
        self._ids = ids or Uuid7(clock, random.SystemRandom())
        self._keep_done = max(1, keep_done)  # keep the newest row: places are never reused
        self._settled_since_pruning = PRUNE_STEP
        self._terminal = terminal
        self._file = open_file(path, busy_seconds)
        self.path = self._file.path
        with ExitStack() as undo:
            undo.callback(self._file.close)
            with self._file.write() as db:
                db.execute(
                    "INSERT INTO lineage (number, uuid, base) SELECT 1, ?, 0 WHERE NOT EXISTS (SELECT 1 FROM lineage)",
                    (self._ids().bytes,),
                )
                if terminal is not None:
                    self._take_over(db, terminal)
            undo.pop_all()

    def _take_over(self, db: sqlite3.Connection, terminal: str) -> None:
        """Have the file be the outbox of `terminal`; what another one had not delivered is held."""
        former = _owner(db)
        if former is None:
            db.execute("UPDATE lineage SET terminal = ?", (terminal,))
        elif former != terminal:
            if not self._file.sending.try_acquire():
                raise OutboxError(f"The outbox {self.path} is in use as {former}: end the program that uses it first.")
            db.execute(sql.DISMISS_WITNESS)
            self._begin_lineage(db, None, terminal)

    def close(self) -> None:
        """Close the file and let another process send."""
        self._file.close()

    def acquire_sending(self) -> bool:
        """Become the process that sends from this file; False while another process is.

        Also False if another terminal has taken the file over: its postings are not this one's.
        """
        if not self._file.sending.try_acquire():
            return False
        if self._terminal in (None, self.terminal):
            return True
        self._file.sending.release()
        return False

    # ------------------------------------------------------------------ selling

    def add(self, *postings: NewPosting) -> None:
        """Store `postings` in one commit; they are durable when this returns.

        Adding the same id with the same bytes again changes nothing; with different bytes it raises OutboxError.
        """
        if len(postings) == 1:
            if not self._file.write_once(sql.INSERT, (*row_of(postings[0]), self._terminal)):
                with self._file.read() as db:
                    self._assert_same(db, postings[0])
            return
        with self._file.write() as db:
            for posting in postings:
                if not db.execute(sql.INSERT, (*row_of(posting), self._terminal)).rowcount:
                    self._assert_same(db, posting)

    def _assert_same(self, db: sqlite3.Connection, posting: NewPosting) -> None:
        """OutboxError unless the posting that was not stored was stored before, with the same bytes."""
        stored = db.execute("SELECT body FROM posting WHERE id = ?", (posting.id.bytes,)).fetchone()
        if stored is None:
            raise OutboxError(
                f"The outbox {self.path} is in use as {_owner(db)} by now: nothing was stored. Start this program "
                "again under that name, or with an outbox of its own."
            )
        if stored[0] != posting.body:
            raise OutboxError(
                f"The outbox already holds a different posting with the id {posting.id}: void that one if it is wrong."
            )

    def find(self, posting_id: UUID) -> Found | None:
        """The state of a posting; None if it was never added, or was pruned after delivery."""
        rows = self._file.rows("SELECT state, attempts, result FROM posting WHERE id = ?", (posting_id.bytes,))
        if not rows:
            return None
        [(state, attempts, result)] = rows
        return Found(state, attempts, result and msgspec.json.decode(result, type=PostingResult))

    def latest(self, postings_max: int) -> list[tuple[UUID, bytes]]:
        """The ids and bodies of the postings that were stored last, in any state; the latest first."""
        return [(UUID(bytes=key), body) for key, body in self._file.rows(sql.LATEST, (postings_max,))]

    # ------------------------------------------------------------------ sending

    def next_batch(self, max_postings: int, max_bytes: int, *, skip: int = 0) -> list[PendingEntry]:
        """The next pending postings by seq, at least one if there is one, without the first `skip`.

        `max_bytes` limits the bytes they take in a frame, its envelope excluded.
        """
        batch: list[PendingEntry] = []
        left = max_bytes
        with self._file.read() as db:
            rows = db.execute(sql.PENDING, (max_postings, skip))
            for key, seq, body, boot, tick_ms in rows:
                left -= len(body) + ITEM_OVERHEAD_BYTES
                if batch and left < 0:
                    break
                batch.append(PendingEntry(UUID(bytes=key), seq, body, boot and Tick(UUID(bytes=boot), tick_ms)))
            rows.close()
        return batch

    def settle(self, results: Iterable[PostingResult], head: str | None = None) -> bool:
        """Store HQ's definite answers and the chain head that came with them, in one commit.

        True if HQ has lost what it had acknowledged, because it was restored from a backup. A new lineage has then
        begun, in which every delivered posting that is still kept is pending again.
        """
        now, done, quantity, forgotten = self._clock(), 0, 0, False
        with self._file.write() as db:
            witness = db.execute(sql.WITNESS).fetchone()
            for result in results:
                if witness is not None and result.id.bytes == witness[0] and head is not None:
                    forgotten = not is_repeated(witness[1], result)
                acknowledged = result.status in ("posted", "duplicate")
                row = ("done" if acknowledged else "parked", msgspec.json.encode(result), now, result.id.bytes)
                changed = db.execute(sql.SETTLE, row).fetchall()
                self._settled_since_pruning += len(changed)
                if acknowledged and changed:
                    done += 1
                    quantity += changed[0][0]
            db.execute(sql.ACKNOWLEDGE, (done, quantity, head))
            if self._settled_since_pruning >= PRUNE_STEP:
                db.execute(sql.PRUNE, (PRUNE_STEP, self._keep_done))
                self._settled_since_pruning = 0
            if forgotten:
                db.execute(sql.REOPEN + f"state = 'done' AND {sql.OF}", (_json([_owner(db)]),))
                self._begin_lineage(db, head, _owner(db))
        return forgotten

    def note_attempt(self, ids: Iterable[UUID]) -> None:
        """Count one unanswered attempt for each posting of a frame."""
        with self._file.write() as db:
            db.executemany("UPDATE posting SET attempts = attempts + 1 WHERE id = ?", [(each.bytes,) for each in ids])

    def park(self, posting_id: UUID, code: str, reason: str) -> PostingResult:
        """Set aside a pending posting that cannot be delivered, so that it does not block the others."""
        result = PostingResult(posting_id, "rejected", code=code, reason=reason)
        self.settle([result])
        return result

    # ------------------------------------------------------------------ identity

    @property
    def lineage(self) -> UUID:
        """The id of this file at HQ; it changes when the file turns out to be a copy."""
        [(key,)] = self._file.rows("SELECT uuid FROM lineage ORDER BY number DESC LIMIT 1")
        return UUID(bytes=key)

    @property
    def terminal(self) -> str | None:
        """The terminal whose outbox this is; None if it was never used."""
        terminal: str | None
        [(terminal,)] = self._file.rows(sql.OWNER)
        return terminal

    @property
    def location(self) -> str | None:
        """Where that terminal is, as HQ said last; None before its first `hello`."""
        location: str | None
        [(location,)] = self._file.rows("SELECT location FROM lineage ORDER BY number DESC LIMIT 1")
        return location

    def note_location(self, location: str) -> None:
        """Store where HQ said that the terminal is."""
        with self._file.write() as db:
            db.execute(sql.NOTE_LOCATION, (location,))

    @property
    def refusal(self) -> HqRefused | None:
        """Why HQ refused this till when it said hello last; None if HQ accepted it."""
        rows = self._file.rows("SELECT code, message FROM refusal")
        return HqRefused(ErrorCode[rows[0][0]], rows[0][1]) if rows else None

    def note_refusal(self, refusal: HqRefused | None) -> None:
        """Store that HQ refused this till, for other processes to show; None: it accepted it."""
        with self._file.write() as db:
            db.execute("DELETE FROM refusal")
            if refusal is not None:
                db.execute("INSERT INTO refusal VALUES (?, ?)", (refusal.code.name, refusal.message))

    @property
    def head(self) -> str | None:
        """The chain head of HQ's last answer; None before the first answer in this lineage."""
        head: str | None
        [(head,)] = self._file.rows("SELECT head FROM lineage ORDER BY number DESC LIMIT 1")
        return head

    def adopt_head(self, head: str) -> None:
        """Store the chain head that HQ gave."""
        with self._file.write() as db:
            db.execute(sql.ACKNOWLEDGE, (0, 0, head))

    def recognises(self, head: str, acked_seq: int, max_postings: int) -> bool:
        """True if HQ's state is the one this file left behind.

        HQ must hold everything it acknowledged in this lineage (it holds all up to `acked_seq`), and `head` must be
        the stored head, or follow from it by one unanswered frame: by any run of the first `max_postings` pending
        postings, as those before it may have been answered in an earlier lineage. The run is searched for instead of
        stored, which would cost a commit per frame. It cannot contain the witness, unless HQ had lost that one.
        """
        return not self._was_acknowledged(acked_seq + 1) and self._explains(head, max_postings)

    def _was_acknowledged(self, seq: int) -> bool:
        [(number, last_seq)] = self._file.rows(sql.LAST_SEQ)
        rows = self._file.rows("SELECT state, result FROM posting WHERE lineage = ? AND seq = ?", (number, seq))
        if not rows:
            return bool(seq <= last_seq)  # a pruned posting was done
        [(state, result)] = rows
        return state == "done" or (state == "parked" and is_word_of_hq(result))

    def _explains(self, head: str, max_postings: int) -> bool:
        known = self.head
        if known is None or head == known:
            return True
        asking = bool(self._file.rows(sql.WITNESS))
        return leads_to(head, known, self.next_batch(max_postings, RECOGNISE_BYTES_MAX)[asking:])

    def new_lineage(self, *, head: str | None = None, adopting: Iterable[str] = ()) -> UUID:
        """Begin a new lineage: pending postings keep their ids and bytes and are numbered from 1 again.

        So are those held of the terminals `adopting`, before this terminal's own. `head` is HQ's chain head, from
        which the lineage continues; if HQ returns with another one, it has lost data in between. Number 1, the
        witness, is the newest posting of this terminal that HQ has acknowledged: HQ must give the same answer again,
        or it has lost that posting and perhaps more (see `settle`). A restore only ever loses the latest postings, so
        the witness vouches for everything acknowledged before it, in any lineage. If the previous lineage's witness
        was never answered, every posting that is kept is sent again.
        """
        with self._file.write() as db:
            return self._begin_lineage(db, head, _owner(db), adopting)

    def _begin_lineage(
        self, db: sqlite3.Connection, head: str | None, terminal: str | None, adopting: Iterable[str] = ()
    ) -> UUID:
        lineage, own = self._ids(), _json([terminal])
        if db.execute(sql.WITNESS).fetchone() is None:
            db.execute(sql.ASK_AGAIN, (own,))
        else:
            answered = "(state = 'done' OR (state = 'pending' AND result IS NOT NULL))"
            db.execute(sql.REOPEN + f"{answered} AND {sql.OF}", (own,))
        number = db.execute("SELECT max(number) + 1 FROM lineage").fetchone()[0]
        places = db.execute(sql.PLACES, (_json([terminal, *adopting]),)).fetchall()
        db.execute(sql.BEGIN_LINEAGE, (number, lineage.bytes, head, len(places), terminal, terminal))
        rows = [(number, seq, place) for seq, (place,) in enumerate(places, 1)]
        db.executemany("UPDATE posting SET lineage = ?, seq = ? WHERE place = ?", rows)
        return lineage

    # ------------------------------------------------------------------ inspection and repair

    @property
    def pending(self) -> int:
        """The number of postings that HQ has not answered yet, those that are held included."""
        count: int
        [(count,)] = self._file.rows("SELECT count(*) FROM posting WHERE state = 'pending'")
        return count

    @property
    def deliverable(self) -> int:
        """The number of pending postings that this terminal may deliver: all but those that are held."""
        count: int
        [(count, *_)] = self._file.rows(sql.REPORT, (None,))
        return count

    def held(self) -> list[HeldPostings]:
        """The pending postings that other terminals made, by terminal and location."""
        return [HeldPostings(*row) for row in self._file.rows(sql.HELD)]

    def counts(self) -> Counts:
        """The number of postings in each state."""
        return Counts(*self._file.rows(sql.COUNTS)[0])

    def report(self, boot: UUID | None = None) -> OutboxReport:
        """The outbox's state, as it is reported to HQ; with the oldest tick if all that is pending is of `boot`.

        What is held does not count: it is another terminal's.
        """
        [(pending, parked, oldest, tick_ms)] = self._file.rows(sql.REPORT, (boot and boot.bytes,))
        return OutboxReport(pending, parked, None if oldest is None else instant(oldest), tick_ms)

    def totals(self) -> ControlTotals:
        """The control totals of the current lineage."""
        with self._file.read() as db:
            last_seq = db.execute(sql.LAST_SEQ).fetchone()[1]
            row = db.execute("SELECT uuid, count, quantity FROM lineage ORDER BY number DESC LIMIT 1").fetchone()
        return ControlTotals(UUID(bytes=row[0]), last_seq, row[1], row[2])

    def parked(self) -> Iterator[Parked]:
        """The parked postings, oldest first."""
        place = 0
        while True:
            rows = self._file.rows(sql.PARKED, (place,))
            if not rows:
                return
            yield from (parked_of(row) for _, *row in rows)
            place = rows[-1][0]

    def export_parked(self, target: IO[str]) -> int:
        """Write the parked postings to `target`, one JSON object per line; return how many."""
        written = 0
        for parked in self.parked():
            target.write(msgspec.json.encode(parked).decode() + "\n")
            written += 1
        return written

    def redrive(self, posting_id: UUID) -> None:
        """Make a parked posting pending again, with the same id and bytes.

        HQ gives the same answer as before unless an operator has reopened the id there.
        """
        with self._file.write() as db:
            row = db.execute(sql.OWNER_OF, (posting_id.bytes,)).fetchone()
            if row is None or row[0] != "parked":
                raise OutboxError(f"{posting_id} is not parked: list the parked postings to see their ids.")
            db.execute(sql.REOPEN + "id = ?", (posting_id.bytes,))
            number, last_seq = db.execute(sql.LAST_SEQ).fetchone()
            if row[1] != number and row[2] == _owner(db):  # a number of an old lineage means nothing in the current one
                db.execute("UPDATE lineage SET base = base - 1 WHERE number = ?", (number,))
                db.execute(
                    "UPDATE posting SET lineage = ?, seq = ? WHERE id = ?", (number, last_seq + 1, posting_id.bytes)
                )


def _owner(db: sqlite3.Connection) -> str | None:
    terminal: str | None
    (terminal,) = db.execute(sql.OWNER).fetchone()
    return terminal


def _json(names: list[str | None]) -> str:
    return msgspec.json.encode(names).decode()
