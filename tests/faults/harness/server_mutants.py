"""Servers that break a promise on purpose: each is the positive control of some faults, and must be caught."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from inventory_server.domain.requests import Post
from inventory_server.jsonserver import server
from inventory_server.jsonserver.connection import ServerConnection
from inventory_server.jsonserver.stream import ServerStream
from inventory_server.protocol import session
from inventory_server.store.database import schema, sqlite
from inventory_server.store.ledger import sql
from inventory_server.store.ledger.records import Posted
from inventory_server.store.write import judge, posting, reading, writer
from inventory_server.store.write.judge import CommitJudge
from inventory_server.store.write.judged_posting import Refusal
from inventory_server.store.write.waiting import Ticket
from inventory_server.store.write.working_set import WorkingSet
from inventory_server.store.write.writer import Writer
from pos_client.protocol import wire
from pos_client.protocol.errors import RequestError
from pos_client.protocol.messages import CHAIN_START, PostingResult, PostResult
from pos_client.protocol.units import instant, micros
from tests.faults.harness.patching import put

Options = Mapping[str, Any]
EARLY_SECONDS = 0.02
WINDOW_POSTINGS = 20
STALE_MICROS = 7 * 86_400 * 1_000_000


def answer_early(_: Options) -> None:
    """Answers leave before the commit."""

    def commit(self: Writer, tickets: list[Ticket]) -> None:
        works: list[Any] = [ticket.work for ticket in tickets]
        connection = self._transactions.connection
        transaction = connection.begin()
        outcomes = self._judge.carry_out(connection, works)
        for ticket, outcome in zip(tickets, outcomes, strict=True):
            self._settle(ticket, outcome)
        time.sleep(EARLY_SECONDS)
        transaction.commit()

    put(Writer, _commit=commit)


def abrupt_end(options: Options) -> None:
    """SIGTERM ends the process at once, with answers given before the commit."""
    answer_early(options)
    register = signal.signal

    def refuse(number: int, handler: Any) -> Any:
        return register(number, (lambda *_: os._exit(0)) if number == signal.SIGTERM else handler)

    put(signal, signal=refuse)


def no_transaction(_: Options) -> None:
    """Every statement is a commit of its own."""
    begin = sql.run

    def begin_(connection: Connection, statement: str, parameters: tuple[Any, ...]) -> Any:
        return begin(connection, "SELECT 1" if statement == "BEGIN IMMEDIATE" else statement, parameters)

    put(sqlite, run=begin_)


def no_dedup(options: Options) -> None:
    """What was posted before is not looked up."""
    _dedup_only(options, lambda _batch, _known: False)


def dedup_window(options: Options) -> None:
    """Only the newest postings are remembered."""
    _dedup_only(options, lambda opened, known: known.position > opened.position - WINDOW_POSTINGS)


def _dedup_only(options: Options, is_remembered: Callable[[WorkingSet, Any], bool]) -> None:
    with sqlite3.connect(options["db"]) as connection:
        connection.executescript("DROP TABLE IF EXISTS identity; CREATE TABLE identity (id, position)")
    connection.close()
    put(schema, assert_schema=lambda *_: None)
    _no_forks()
    read = reading._read_identities

    def read_(opened: WorkingSet, posts: list[Post]) -> None:
        read(opened, posts)
        opened.known = {
            key: known
            for key, known in opened.known.items()
            if isinstance(known, Posted) and is_remembered(opened, known)
        }

    put(reading, _read_identities=read_)


def _no_forks() -> None:
    put(judge, _assert_no_fork=lambda *_: None)


def seq_is_identity(_: Options) -> None:
    """A sequence number that was seen before, in whatever lineage, is taken for a posting that was."""
    seen: dict[tuple[str, int], object] = {}
    _by_seq(lambda speaker, item: seen.setdefault((speaker.terminal, item.seq), item.id) != item.id)


def high_water(_: Options) -> None:
    """A sequence number below the highest one seen is taken for a duplicate."""
    highest: dict[object, int] = {}

    def is_old(speaker: Any, item: Any) -> bool:
        before = highest.get(speaker.lineage, 0)
        highest[speaker.lineage] = max(before, item.seq)
        return bool(item.seq < before)

    _by_seq(is_old)


def _by_seq(is_taken_for_old: Callable[[Any, Any], bool]) -> None:
    _no_forks()
    post_item = CommitJudge._post_item

    def post_item_(
        self: CommitJudge, opened: WorkingSet, speaker: Any, known: Any, held: Any, item: Any
    ) -> PostingResult:
        if item.seq is not None and is_taken_for_old(speaker, item) and item.id.bytes not in opened.known:
            return PostingResult(item.id, "duplicate", 1, instant(opened.now))
        return post_item(self, opened, speaker, known, held, item)

    put(CommitJudge, _post_item=post_item_)


def merge_bodies(_: Options) -> None:
    """The same id with another content is called a duplicate."""

    def again(_judge: Any, _batch: Any, _speaker: Any, item: Any, before: Any) -> PostingResult:
        return judge._posted(item, "duplicate", before)

    put(CommitJudge, _again=again)


def swallow_errors(_: Options) -> None:
    """A commit that failed is answered as if it had not."""
    refused = writer.Writer._isolate

    def isolate(self: Writer, tickets: list[Ticket], error: Exception) -> None:
        for ticket in [ticket for ticket in tickets if isinstance(ticket.work, Post)]:
            results = [PostingResult(item.id, "posted", 1, instant(0)) for item in ticket.work.items]  # type: ignore[union-attr]
            ticket.settle(PostResult(results, CHAIN_START, 1, []))
            tickets = [other for other in tickets if other is not ticket]
        if tickets:
            refused(self, tickets, error)

    put(writer.Writer, _isolate=isolate)
    no_fail_stop({})


def no_fail_stop(_: Options) -> None:
    """An error of the disk is taken for one that passes."""
    sqlite._FATAL.clear()
    sqlite._UNAVAILABLE.update({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT})


def no_flush(_: Options) -> None:
    """SQLite never waits for the disk."""
    sqlite.PRAGMAS["synchronous"] = 0


def clock_as_it_is(_: Options) -> None:
    """HQ records what its clock says, even where that went back."""

    put(WorkingSet, upcoming=property(lambda opened: (opened.position + 1, opened.now)))


def drop_ext(_: Options) -> None:
    """Bodies are stored as this version would write them."""
    add = WorkingSet.add_posting

    def add_posting(self: WorkingSet, row: tuple[Any, ...], moved: list[Any]) -> None:
        body = wire.encode_body(wire.decode_body(row[-1])).replace(b'"ext":{', b'"ext":{"v":1,')
        add(self, (*row[:-1], body), moved)

    put(WorkingSet, add_posting=add_posting)


def refuse_stale(_: Options) -> None:
    """Sales that come late are refused."""
    enter = posting.enter

    def enter_(opened: WorkingSet, settings: Any, speaker: Any, item: Any) -> Any:
        if item.body is not None and micros(item.body.occurred_at) < opened.now - STALE_MICROS:
            raise Refusal("too_old", "This sale is too old.")
        return enter(opened, settings, speaker, item)

    put(judge, enter=enter_)


def die_of_garbage(_: Options) -> None:
    """A frame that is no request ends the server."""
    decode = wire.decode_frame

    def decode_(frame: bytes) -> Any:
        try:
            return decode(frame)
        except RequestError:
            os._exit(1)

    put(session, decode_frame=decode_)


def no_idle_limit(_: Options) -> None:
    """Whoever says nothing keeps the place of a connection for ever."""
    put(ServerConnection, on_deadline=lambda _: math.inf)


def no_keepalive(_: Options) -> None:
    """The server never asks whether the other end is still there."""
    put(ServerStream, configure=lambda _: None)


def no_cap(_: Options) -> None:
    """Connections are accepted until no file can be opened any more, the database's own included."""
    put(server, connections_possible=lambda _: 1_000_000)


MUTANTS: dict[str, Callable[[Options], None]] = {
    mutant.__name__: mutant
    for mutant in (
        answer_early,
        abrupt_end,
        no_transaction,
        no_dedup,
        dedup_window,
        seq_is_identity,
        high_water,
        merge_bodies,
        swallow_errors,
        no_fail_stop,
        no_flush,
        clock_as_it_is,
        drop_ext,
        refuse_stale,
        die_of_garbage,
        no_idle_limit,
        no_keepalive,
        no_cap,
    )
}
