"""Tills that break a promise on purpose: each is the positive control of some faults, and must be caught."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from pos_client.till import outbox
from pos_client.till.actions import SendPost
from pos_client.till.outbox import Outbox
from pos_client.till.outbox_file import OutboxFile
from pos_client.till.sender import Sender
from pos_client.till.sender_thread import SenderThread
from pos_client.transport.connection import Connection
from tests.faults.harness.patching import put

_TICK_MICROS = 200_000


def done_on_send(_: Any) -> None:
    """What was sent is forgotten, whether or not an answer comes."""
    carry_out = SenderThread._carry_out

    def carry_out_(self: SenderThread, action: Any) -> None:
        if isinstance(action, SendPost):
            with self.sender.outbox._file.write() as db:
                db.executemany(
                    "DELETE FROM posting WHERE id = ?", [(item.id.bytes,) for item in action.params.postings]
                )
        carry_out(self, action)

    put(SenderThread, _carry_out=carry_out_)
    put(Connection, is_dropped=lambda _: False)


def new_id_on_retry(_: Any) -> None:
    """What was not answered counts as failed, and is sent as something new."""
    died = Sender._died

    def died_(self: Sender, reason: str) -> None:
        ids = self._ids()
        died(self, reason)
        with self.outbox._file.write() as db:
            db.executemany("UPDATE posting SET id = ? WHERE id = ?", [(uuid4().bytes, each.bytes) for each in ids])

    put(Sender, _died=died_)


def keep_lineage(_: Any) -> None:
    """A copied outbox goes on under the sequence of the original."""
    put(Outbox, recognises=lambda *_: True)

    def begin_lineage(self: Sender, reason: str, _head: str | None = None) -> None:
        self._disconnect()
        self._back_off(reason)

    put(Sender, _begin_lineage=begin_lineage)


def no_flush(_: Any) -> None:
    """The outbox never waits for the disk."""

    def set_pragmas(_self: OutboxFile, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("PRAGMA synchronous = 0")

    put(OutboxFile, _set_pragmas=set_pragmas)


def never_again(_: Any) -> None:
    """What HQ once acknowledged is never sent again, whatever HQ remembers."""
    put(Outbox, recognises=lambda *_: True)
    put(outbox, is_repeated=lambda *_: True)


_ids: dict[int, itertools.count[int]] = {}


def clock_ids(clock: Any) -> UUID:
    """Ids are the time of day and a number within it: a clock that is set back makes them twice."""
    if not isinstance(clock, int):
        return UUID(int=0)
    tick = clock // _TICK_MICROS
    if tick not in _ids:
        _ids.clear()
        _ids[tick] = itertools.count()
    return UUID(int=tick << 64 | next(_ids[tick]))


def receipt_first(_: Any) -> None:
    """The customer has the receipt before the sale is stored: done by the till program itself."""


def ring_again(_: Any) -> None:
    """A basket without a receipt is rung up as a new one: done by the till program itself."""


MUTANTS: dict[str, Callable[[Any], Any]] = {
    mutant.__name__: mutant
    for mutant in (
        done_on_send,
        new_id_on_retry,
        keep_lineage,
        no_flush,
        never_again,
        clock_ids,
        receipt_first,
        ring_again,
    )
}
