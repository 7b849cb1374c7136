"""Bugs to plant at HQ: in how it knows a posting again, in its commits, in the rules of stock."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, cast

from msgspec import structs
from sqlalchemy.exc import DBAPIError

from inventory_server.domain import completeness, inventory
from inventory_server.domain.requests import Item, Post
from inventory_server.domain.tick_clock import TerminalClock
from inventory_server.store.ledger.records import Posted
from inventory_server.store.write import judge as ledger_module
from inventory_server.store.write import levels, posting, reading
from inventory_server.store.write.count_book import CountBook
from inventory_server.store.write.judge import CommitJudge
from inventory_server.store.write.tick_clocks import TickClocks
from inventory_server.store.write.waiting import Ticket
from inventory_server.store.write.working_set import WorkingSet
from inventory_server.store.write.writer import Writer
from pos_client.protocol.control_totals import STOCK_SIGN
from pos_client.protocol.messages import PostingResult
from pos_client.protocol.units import instant
from pos_client.till.outbox import Outbox
from tests.simulation.planting import never, replaced, together
from tests.simulation.watch import Poisoned
from tests.simulation.world import DAY


def ids_remembered_in_memory() -> AbstractContextManager[Any]:
    remembered: set[bytes] = set()

    def make_read(original: Any) -> Any:
        def read(batch: WorkingSet, posts: list[Post]) -> None:
            original(batch, posts)
            for key in batch.known.keys() - remembered:
                del batch.known[key]
            remembered.update(item.key for post in posts for item in post.items)

        return read

    def make_forget(original: Any) -> Any:
        def forget(ledger: CommitJudge) -> None:
            remembered.clear()
            original(ledger)

        return forget

    return together(replaced(reading, "_read_identities", make_read), replaced(CommitJudge, "forget", make_forget))


def ids_remembered_for_a_day() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def read(batch: WorkingSet, posts: list[Post]) -> None:
            original(batch, posts)
            for key, before in list(batch.known.items()):
                if isinstance(before, Posted) and before.recorded_at < batch.now - DAY:
                    del batch.known[key]

        return read

    return replaced(reading, "_read_identities", make)


def checked_before_the_transaction() -> AbstractContextManager[Any]:
    """Whether an id is known is looked up as the frame arrives; by the time of the insert it may not be so."""
    looked_up: dict[int, bytes] = {}

    def make_submit(original: Any) -> Any:
        def submit(writer: Writer, work: Any) -> Ticket:
            if isinstance(work, Post):
                for item in work.items:
                    query = "SELECT 1 FROM identity WHERE id = ?"
                    handle = cast(Any, writer._transactions.connection).handle
                    if not handle.execute(query, (item.id.bytes,)).fetchall():
                        looked_up[id(item)] = item.id.bytes
            return cast(Ticket, original(writer, work))

        return submit

    def make_post_item(original: Any) -> Any:
        def post_item(ledger: CommitJudge, batch: WorkingSet, speaker: Any, known: Any, held: Any, item: Item) -> Any:
            if looked_up.pop(id(item), None) is not None and isinstance(batch.known.get(item.id.bytes), Posted):
                del batch.known[item.id.bytes]
            return original(ledger, batch, speaker, known, held, item)

        return post_item

    return together(
        replaced(Writer, "submit", make_submit),
        replaced(CommitJudge, "_post_item", make_post_item),
    )


def known_below_the_high_water_mark() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def post_item(ledger: CommitJudge, batch: WorkingSet, speaker: Any, known: Any, held: Any, item: Item) -> Any:
            if held is not None and item.seq is not None and item.seq <= held.last_seq:
                moment = instant(batch.recorded_at)
                return PostingResult(item.id, "duplicate", position=batch.position, recorded_at=moment)
            return original(ledger, batch, speaker, known, held, item)

        return post_item

    return together(
        replaced(CommitJudge, "_post_item", make), replaced(ledger_module, "_assert_no_fork", lambda _: never)
    )


def copies_not_noticed() -> AbstractContextManager[Any]:
    return together(
        replaced(Outbox, "recognises", lambda _: lambda *_: True),
        replaced(ledger_module, "_assert_no_fork", lambda _: never),
    )


def epochs_not_checked() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def post(ledger: CommitJudge, batch: WorkingSet, work: Post) -> Any:
            epoch = batch.terminals[work.actor.terminal].epoch
            return original(ledger, batch, structs.replace(work, actor=replace(work.actor, epoch=epoch)))

        return post

    return replaced(CommitJudge, "_post", make)


def rejections_not_recorded() -> AbstractContextManager[Any]:
    return replaced(WorkingSet, "add_rejection", lambda _: never)


def answered_before_the_commit() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def commit(writer: Writer, tickets: list[Ticket]) -> None:
            if any(callable(ticket.work) for ticket in tickets):
                original(writer, tickets)
                return
            connection = writer._transactions.connection
            transaction = connection.begin()
            works = [cast(Any, ticket.work) for ticket in tickets]
            try:
                outcomes = writer._judge.carry_out(connection, works)
            except Poisoned:
                transaction.rollback()
                original(writer, tickets)
                return
            for ticket, outcome in zip(tickets, outcomes, strict=True):
                writer._settle(ticket, outcome)
            try:
                transaction.commit()
            except DBAPIError:
                transaction.rollback()

        return commit

    return replaced(Writer, "_commit", make)


def recorded_when_the_clock_says() -> AbstractContextManager[Any]:
    return replaced(WorkingSet, "upcoming", lambda _: property(lambda batch: (batch.position + 1, batch.now)))


def stock_moved_by_a_duplicate() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def post_item(ledger: CommitJudge, batch: WorkingSet, speaker: Any, known: Any, held: Any, item: Item) -> Any:
            result = original(ledger, batch, speaker, known, held, item)
            if result.status == "duplicate" and item.body is not None and isinstance(item.body.lines, list):
                sign = STOCK_SIGN.get(item.body.type, 0)
                for line, quantity in zip(item.body.lines, item.quantities, strict=True):
                    key = (speaker.location, str(line.sku))
                    if key in batch.levels:
                        batch.levels[key].on_hand += sign * quantity
                        batch._changed_levels.add(key)
            return result

        return post_item

    return replaced(CommitJudge, "_post_item", make)


def count_ignores_what_moved_since() -> AbstractContextManager[Any]:
    return replaced(CountBook, "moved_after", lambda _: lambda _book, _key, _count: 0)


def count_is_overrun_by_late_sales() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def move(level: Any, movement: Any) -> int:
            counted_at, level.counted_at = level.counted_at, None
            flags: int = original(level, movement)
            level.counted_at = counted_at
            return flags

        return move

    return replaced(inventory, "move", make)


def older_count_overtakes() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def count(batch: WorkingSet, entry: Any, movement: Any) -> int:
            batch.levels[movement.location, movement.sku].counted_at = None
            return cast(int, original(batch, entry, movement))

        return count

    return replaced(levels, "_count", make)


def voided_count_still_counts() -> AbstractContextManager[Any]:
    return replaced(posting, "void_count", lambda _: never)


def pending_postings_not_minded() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        return lambda till: original(replace(till, pending=0))

    return replaced(completeness, "told_everything_to", make)


def ticks_ignored() -> AbstractContextManager[Any]:
    return replaced(TerminalClock, "happened", lambda _: never)


def boots_remembered_in_memory() -> AbstractContextManager[Any]:
    return replaced(TickClocks, "flush", lambda _: never)


def void_that_comes_first_is_forgotten() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def read(batch: WorkingSet, posts: list[Post]) -> None:
            original(batch, posts)
            for key in batch.voids.keys() - batch.known.keys():
                del batch.voids[key]

        return read

    return replaced(reading, "_read_identities", make)
