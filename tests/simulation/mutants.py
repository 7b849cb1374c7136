"""Planted bugs, each of the kind that somebody will one day write: the simulator must find every one of them.

A mutant takes the place of a piece of production code for as long as it is planted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID, uuid5

from sqlalchemy.exc import DBAPIError

from inventory_server import inventory
from inventory_server.store import entries
from inventory_server.store import ledger as ledger_module
from inventory_server.store import writer as writer_module
from inventory_server.store.batch import Batch
from inventory_server.store.ledger import Ledger
from inventory_server.store.rows import Posted
from inventory_server.store.writer import Ticket, Writer
from inventory_server.work import Item, Post
from pos_client.actions import SendPost
from pos_client.exact import instant
from pos_client.isolation import Isolation
from pos_client.messages import PostingResult
from pos_client.outbox import Outbox
from pos_client.outbox_rows import Entry, NewPosting
from pos_client.sender import Sender
from tests.simulation.hq import Poisoned
from tests.simulation.till import Device
from tests.simulation.world import DAY

Plant = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted bug: its name, what is wrong with it, and whether it does without the database's unique ids."""

    name: str
    fault: str
    plant: Plant
    unique_ids: bool = True


@contextmanager
def _replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Put `make(original)` in the place of an attribute."""
    original = owner.__dict__[name]
    setattr(owner, name, make(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


def _all(*planted: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
    stack = ExitStack()
    for each in planted:
        stack.enter_context(each)
    return stack


def _never(*_: Any) -> None:
    """Leave out what should be done here."""


def _settle_as_posted(sender: Sender, asked: SendPost) -> None:
    sender.outbox.settle([PostingResult(posting.id, "posted") for posting in asked.params.postings])


# ---------------------------------------------------------------------------------- the till


def _done_when_sent() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def next_action(sender: Sender) -> Any:
            action = original(sender)
            if isinstance(action, SendPost):
                _settle_as_posted(sender, action)
            return action

        return next_action

    return _replaced(Sender, "next_action", make)


def _done_when_unanswered() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def on_lost(sender: Sender, reason: str) -> None:
            if isinstance(sender._asked, SendPost):
                _settle_as_posted(sender, sender._asked)
            original(sender, reason)

        return on_lost

    return _replaced(Sender, "on_lost", make)


def _parked_when_unanswered() -> AbstractContextManager[Any]:
    return _replaced(Isolation, "died", lambda _: lambda _isolation, ids, _now: ids[0])


def _sold_before_stored() -> AbstractContextManager[Any]:
    """The posting is only remembered, and stored with the next look at the outbox."""
    remembered: dict[int, list[NewPosting]] = {}

    def make_add(original: Any) -> Any:
        return lambda outbox, posting: remembered.setdefault(id(outbox), []).append(posting)

    def make_next_batch(original: Any) -> Any:
        def next_batch(outbox: Outbox, *args: Any, **kwargs: Any) -> Any:
            for posting in remembered.pop(id(outbox), []):
                add(outbox, posting)
            return original(outbox, *args, **kwargs)

        return next_batch

    add = Outbox.add
    return _all(_replaced(Outbox, "add", make_add), _replaced(Outbox, "next_batch", make_next_batch))


def _other_bytes_when_sent_again() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def next_batch(outbox: Outbox, *args: Any, **kwargs: Any) -> list[Entry]:
            found = []
            for entry in original(outbox, *args, **kwargs):
                row = outbox.find(entry.id)
                again = row is not None and row.attempts > 0
                found.append(entry._replace(body=entry.body[:-1] + b" }") if again else entry)
            return found

        return next_batch

    return _replaced(Outbox, "next_batch", make)


def _new_ids_with_a_new_lineage() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def new_lineage(outbox: Outbox, **kwargs: Any) -> UUID:
            lineage: UUID = original(outbox, **kwargs)
            with outbox._file.write() as db:
                for (key,) in db.execute("SELECT id FROM posting WHERE state = 'pending'").fetchall():
                    db.execute("UPDATE posting SET id = ? WHERE id = ?", (uuid5(lineage, key.hex()).bytes, key))
            return lineage

        return new_lineage

    return _replaced(Outbox, "new_lineage", make)


def _identity_is_terminal_and_number() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def boot(device: Device) -> None:
            original(device)
            device.new_id = lambda: uuid5(UUID(int=0), f"{device.terminal} {device.outbox.totals().last_seq + 1}")

        return boot

    return _replaced(Device, "boot", make)


# ---------------------------------------------------------------------------------- identity at HQ


def _ids_remembered_in_memory() -> AbstractContextManager[Any]:
    remembered: set[bytes] = set()

    def make_read(original: Any) -> Any:
        def read(batch: Batch, ids: set[bytes]) -> None:
            original(batch, ids & remembered)
            remembered.update(ids)

        return read

    def make_forget(original: Any) -> Any:
        def forget(ledger: Ledger) -> None:
            remembered.clear()
            original(ledger)

        return forget

    return _all(_replaced(Batch, "_read_identities", make_read), _replaced(Ledger, "forget", make_forget))


def _ids_remembered_for_a_day() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def read(batch: Batch, ids: set[bytes]) -> None:
            original(batch, ids)
            for key, before in list(batch.known.items()):
                if isinstance(before, Posted) and before.recorded_at < batch.now - DAY:
                    del batch.known[key]

        return read

    return _replaced(Batch, "_read_identities", make)


def _checked_before_the_transaction() -> AbstractContextManager[Any]:
    """Whether an id is known is looked up as the frame arrives; by the time of the insert it may not be so."""
    looked_up: dict[int, bytes] = {}

    def make_submit(original: Any) -> Any:
        def submit(writer: Writer, work: Any) -> Ticket:
            if isinstance(work, Post):
                for item in work.items:
                    query = "SELECT 1 FROM posting WHERE id = ?"
                    if not cast(Any, writer._connection).handle.execute(query, (item.id.bytes,)).fetchall():
                        looked_up[id(item)] = item.id.bytes
            return cast(Ticket, original(writer, work))

        return submit

    def make_post_item(original: Any) -> Any:
        def post_item(ledger: Ledger, batch: Batch, speaker: Any, known: Any, held: Any, item: Item) -> Any:
            if looked_up.pop(id(item), None) is not None and isinstance(batch.known.get(item.id.bytes), Posted):
                del batch.known[item.id.bytes]
            return original(ledger, batch, speaker, known, held, item)

        return post_item

    return _all(
        _replaced(Writer, "submit", make_submit),
        _replaced(Ledger, "_post_item", make_post_item),
    )


def _known_below_the_high_water_mark() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def post_item(ledger: Ledger, batch: Batch, speaker: Any, known: Any, held: Any, item: Item) -> Any:
            if held is not None and item.seq is not None and item.seq <= held.last_seq:
                moment = instant(batch.recorded_at)
                return PostingResult(item.id, "duplicate", position=batch.position, recorded_at=moment)
            return original(ledger, batch, speaker, known, held, item)

        return post_item

    return _all(_replaced(Ledger, "_post_item", make), _replaced(ledger_module, "_assert_no_fork", lambda _: _never))


def _copies_not_noticed() -> AbstractContextManager[Any]:
    return _all(
        _replaced(Outbox, "recognises", lambda _: lambda *_: True),
        _replaced(ledger_module, "_assert_no_fork", lambda _: _never),
    )


def _epochs_not_checked() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def post(ledger: Ledger, batch: Batch, work: Post) -> Any:
            epoch = batch.terminals[work.speaker.terminal].epoch
            return original(ledger, batch, replace(work, speaker=replace(work.speaker, epoch=epoch)))

        return post

    return _replaced(Ledger, "_post", make)


def _rejections_not_recorded() -> AbstractContextManager[Any]:
    return _replaced(Batch, "add_rejection", lambda _: _never)


# ---------------------------------------------------------------------------------- commits and levels at HQ


def _answered_before_the_commit() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def commit(writer: Writer, tickets: list[Ticket]) -> None:
            if any(callable(ticket.work) for ticket in tickets):
                original(writer, tickets)
                return
            transaction = writer._connection.begin()
            works = [cast(Any, ticket.work) for ticket in tickets]
            try:
                outcomes = writer._ledger.carry_out(writer._connection, works)
            except Poisoned:
                transaction.rollback()
                original(writer, tickets)
                return
            for ticket, outcome in zip(tickets, outcomes, strict=True):
                writer_module._settle(ticket, outcome)
            try:
                transaction.commit()
            except DBAPIError:
                transaction.rollback()

        return commit

    return _replaced(Writer, "_commit", make)


def _stock_moved_by_a_duplicate() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def post_item(ledger: Ledger, batch: Batch, speaker: Any, known: Any, held: Any, item: Item) -> Any:
            result = original(ledger, batch, speaker, known, held, item)
            if result.status == "duplicate" and item.body is not None and isinstance(item.body.lines, list):
                sign = inventory.STOCK_SIGN.get(item.body.type, 0)
                for line, quantity in zip(item.body.lines, item.quantities, strict=True):
                    key = (speaker.location, str(line.sku))
                    batch.level(key).on_hand += sign * quantity
                    batch._changed_levels.add(key)
            return result

        return post_item

    return _replaced(Ledger, "_post_item", make)


def _count_ignores_what_moved_since() -> AbstractContextManager[Any]:
    return _replaced(inventory, "needs_later_movements", lambda _: lambda _level, _at: False)


def _count_is_overrun_by_late_sales() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def move(level: Any, movement: Any) -> int:
            counted_at, level.counted_at = level.counted_at, None
            flags: int = original(level, movement)
            level.counted_at = counted_at
            return flags

        return move

    return _replaced(inventory, "move", make)


def _older_count_overtakes() -> AbstractContextManager[Any]:
    return _replaced(inventory, "is_overtaken", lambda _: lambda _level, _at: False)


def _voided_count_still_counts() -> AbstractContextManager[Any]:
    return _replaced(entries, "_void_count", lambda _: _never)


def _void_that_comes_first_is_forgotten() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def read(batch: Batch, ids: set[bytes]) -> None:
            original(batch, ids)
            batch.waiting_voids.clear()

        return read

    return _replaced(Batch, "_read_identities", make)


MUTANTS = (
    Mutant("done-when-sent", "the till marks a posting done as it goes out", _done_when_sent),
    Mutant(
        "dedup-in-memory", "HQ's process remembers the ids, its database does not", _ids_remembered_in_memory, False
    ),
    Mutant("check-then-insert", "ids are looked up outside of the transaction", _checked_before_the_transaction, False),
    Mutant("stock-by-duplicate", "a duplicate moves stock though nothing is inserted", _stock_moved_by_a_duplicate),
    Mutant("answer-before-commit", "the answer leaves before the commit", _answered_before_the_commit),
    Mutant("dedup-window", "ids are known for a day", _ids_remembered_for_a_day, False),
    Mutant("high-water-mark", "what is numbered below the last number seen is old", _known_below_the_high_water_mark),
    Mutant("terminal-seq-identity", "a posting's id is its terminal and number", _identity_is_terminal_and_number),
    Mutant("done-when-unanswered", "a time-out is taken for success", _done_when_unanswered),
    Mutant("parked-when-unanswered", "a time-out is taken for a refusal", _parked_when_unanswered),
    Mutant("sold-before-stored", "the cashier is told before the posting is on disk", _sold_before_stored),
    Mutant("other-bytes-when-resent", "a posting is encoded anew when sent again", _other_bytes_when_sent_again),
    Mutant("new-lineage-new-ids", "a new lineage gives new ids", _new_ids_with_a_new_lineage),
    Mutant("epoch-not-checked", "an older connection may still post", _epochs_not_checked),
    Mutant("copies-not-noticed", "neither the till nor HQ sees that an outbox was copied", _copies_not_noticed),
    Mutant("rejections-not-recorded", "HQ does not remember what it has refused", _rejections_not_recorded),
    Mutant("count-ignores-later", "a count forgets what moved after it", _count_ignores_what_moved_since),
    Mutant(
        "late-sale-after-count",
        "a sale from before a count changes the counted figure",
        _count_is_overrun_by_late_sales,
    ),
    Mutant("older-count-overtakes", "the count that arrived last wins", _older_count_overtakes),
    Mutant("voided-count-counts", "a voided count goes on counting", _voided_count_still_counts),
    Mutant("early-void-forgotten", "a void that comes before its posting is lost", _void_that_comes_first_is_forgotten),
)
