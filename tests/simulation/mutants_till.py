"""Bugs to plant in the till: in its outbox, its sender, its ids."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID, uuid5

from pos_client.protocol.messages import PostingResult
from pos_client.till import outbox as outbox_module
from pos_client.till.actions import SendPost
from pos_client.till.outbox import Outbox
from pos_client.till.outbox_records import NewPosting, PendingEntry
from pos_client.till.poison import PoisonSearch
from pos_client.till.sender import Sender
from tests.simulation.planting import replaced, together
from tests.simulation.till import Device


def _settle_as_posted(sender: Sender, asked: SendPost) -> None:
    sender.outbox.settle([PostingResult(posting.id, "posted") for posting in asked.params.postings])


def done_when_sent() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def next_action(sender: Sender) -> Any:
            action = original(sender)
            if isinstance(action, SendPost):
                _settle_as_posted(sender, action)
            return action

        return next_action

    return replaced(Sender, "next_action", make)


def done_when_unanswered() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def on_lost(sender: Sender, reason: str) -> None:
            if isinstance(sender._asked, SendPost):
                _settle_as_posted(sender, sender._asked)
            original(sender, reason)

        return on_lost

    return replaced(Sender, "on_lost", make)


def parked_when_unanswered() -> AbstractContextManager[Any]:
    return replaced(PoisonSearch, "died", lambda _: lambda _isolation, ids, _now: ids[0])


def sold_before_stored() -> AbstractContextManager[Any]:
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
    return together(replaced(Outbox, "add", make_add), replaced(Outbox, "next_batch", make_next_batch))


def other_bytes_when_sent_again() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def next_batch(outbox: Outbox, *args: Any, **kwargs: Any) -> list[PendingEntry]:
            found = []
            for entry in original(outbox, *args, **kwargs):
                row = outbox.find(entry.id)
                again = row is not None and row.attempts > 0
                found.append(entry._replace(body=entry.body[:-1] + b" }") if again else entry)
            return found

        return next_batch

    return replaced(Outbox, "next_batch", make)


def new_ids_with_a_new_lineage() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def new_lineage(outbox: Outbox, **kwargs: Any) -> UUID:
            lineage: UUID = original(outbox, **kwargs)
            with outbox._file.write() as db:
                for (key,) in db.execute("SELECT id FROM posting WHERE state = 'pending'").fetchall():
                    db.execute("UPDATE posting SET id = ? WHERE id = ?", (uuid5(lineage, key.hex()).bytes, key))
            return lineage

        return new_lineage

    return replaced(Outbox, "new_lineage", make)


def acknowledged_seqs_not_compared() -> AbstractContextManager[Any]:
    return replaced(Outbox, "_was_acknowledged", lambda _: lambda *_: False)


def answers_not_compared() -> AbstractContextManager[Any]:
    return replaced(outbox_module, "is_repeated", lambda _: lambda *_: True)


def identity_is_terminal_and_number() -> AbstractContextManager[Any]:
    def make(original: Any) -> Any:
        def boot(device: Device) -> None:
            original(device)
            device.new_id = lambda: uuid5(UUID(int=0), f"{device.terminal} {device.outbox.totals().last_seq + 1}")

        return boot

    return replaced(Device, "boot", make)
