"""Carries out administrators' changes between commits of postings, and records them in the audit trail."""

from __future__ import annotations

import hashlib
import logging
import random
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from inventory_server.clock import Clock
from inventory_server.domain.answers import Redeemed
from inventory_server.domain.door import OnOutcome, Outcome, OutcomeUnknown, Pending, Progress
from inventory_server.domain.requests import REQUESTS, Administrative, Item, Post
from inventory_server.domain.roles import HQ_POSTING
from inventory_server.store.admin import audit
from inventory_server.store.admin.counts import PostWithIds
from inventory_server.store.database.base import Database, StoreError
from inventory_server.store.dispatch import CHANGES, MAINTENANCE, Changing, Maintaining
from inventory_server.store.query.service import QueryService
from inventory_server.store.write.cache import KeepingCaches
from inventory_server.store.write.judge import CommitJudge
from inventory_server.store.write.writer import Writer
from pos_client.protocol import wire
from pos_client.protocol.errors import RequestError
from pos_client.protocol.messages import Body, PostingResult, PostResult
from pos_client.protocol.uuid7 import Uuid7

log = logging.getLogger("tillwire.store")


class Settled:
    """A change that has ended."""

    def __init__(self, outcome: Outcome, error: Exception | None) -> None:
        self._outcome = outcome
        self._error = error

    def wait(self) -> Outcome:
        """The outcome, without waiting; raises the error if there is one."""
        if self._error is not None:
            raise self._error
        return self._outcome


class Administration:
    """Administrators' changes, in transactions of `writer`; `queries` reads for those of many transactions.

    `judge` is the writer's: it enters HQ's own postings.
    """

    def __init__(
        self, database: Database, writer: Writer, judge: CommitJudge, queries: QueryService, clock: Clock
    ) -> None:
        self._database = database
        self._writer = writer
        self._judge = judge
        self._ids = Uuid7(clock, random.SystemRandom())
        self._queries = queries
        self._clock = clock

    def carry_out(self, change: Administrative, then: OnOutcome | None, progress: Progress) -> Pending:
        """Carry out `change`: queued as one transaction of the writer, or in many transactions on this thread."""
        if type(change) in MAINTENANCE:
            return self._maintain(change, then, progress)
        under_way = _UnderWay(lambda outcome, error: self._end(change, outcome, error, then))

        def job(connection: Connection) -> Outcome:
            now = self._clock()
            post = partial(self._post, connection)
            changing = Changing(connection, self._database, now, progress, partial(self._post_new, post), post)
            outcome = CHANGES[type(change)](changing, change)
            refused = outcome.refused if isinstance(outcome, Redeemed) else None
            self._record(connection, change, now, audit.DONE if refused is None else f"refused: {refused}")
            return outcome

        try:
            self._writer.submit(KeepingCaches(job) if REQUESTS[type(change)].keeps_caches else job, under_way.settle)
        except (RequestError, OutcomeUnknown) as error:
            if then is None:
                raise
            under_way.settle(None, error)
        return under_way

    def _post_new(self, post: PostWithIds, bodies: Sequence[Body]) -> list[PostingResult]:
        """Enter postings under new ids."""
        return post([(self._ids(), body) for body in bodies])

    def _post(self, connection: Connection, postings: Sequence[tuple[UUID, Body]]) -> list[PostingResult]:
        """Enter HQ's own postings into the ledger, in the writer's transaction on `connection`."""
        items = []
        for id_, body in postings:
            raw = wire.encode_body(body)
            digest = hashlib.sha256(raw).digest()
            items.append(Item(id_, None, raw, digest, body, wire.check_body(body), None))
        [outcome] = self._judge.carry_out(connection, [Post(HQ_POSTING, items, None)])
        assert isinstance(outcome, PostResult), outcome
        return outcome.results

    def _maintain(self, change: Administrative, then: OnOutcome | None, progress: Progress) -> Pending:
        """Record `change` as not finished, then carry it out; its last transaction makes that `done`."""
        entry, outcome, error = None, None, None
        run = self._writer.perform
        try:
            entry = run(lambda connection: audit.record(connection, change, self._clock(), audit.NOT_FINISHED))
            finished = partial(audit.settle, entry=entry, outcome=audit.DONE)
            maintaining = Maintaining(self._database, self._queries.snapshot, run, finished, self._clock, progress)
            outcome = MAINTENANCE[type(change)](maintaining, change)
        except Exception as failure:  # noqa: BLE001 (returned to the caller)
            error = failure
        return Settled(*self._end(change, outcome, error, then, entry))

    def _end(
        self,
        change: Administrative,
        outcome: Outcome,
        error: Exception | None,
        then: OnOutcome | None,
        entry: int | None = None,
    ) -> tuple[Outcome, Exception | None]:
        """Explain and audit an error, in `entry` if the change has one; call `then`; return (outcome, error)."""
        if error is not None:
            error = self._explained(error)
            self._audit(change, f"{'refused' if isinstance(error, StoreError) else 'unknown'}: {error}", entry)
        if then is not None:
            then(outcome, error)
        return outcome, error

    def _record(self, connection: Connection, change: Administrative, now: int, outcome: str) -> None:
        if REQUESTS[type(change)].is_audited:
            audit.record(connection, change, now, outcome)

    def _audit(self, change: Administrative, outcome: str, entry: int | None) -> None:
        """Record `outcome` in a transaction of its own: that of a refused change was rolled back."""

        def job(connection: Connection) -> None:
            if entry is None:
                self._record(connection, change, self._clock(), outcome)
            else:
                audit.settle(connection, entry, outcome)

        try:
            self._writer.submit(job, _log_loss)
        except (RequestError, OutcomeUnknown) as error:
            _log_loss(None, error)

    def _explained(self, error: Exception) -> Exception:
        """A database error as a StoreError: one sentence with the next step."""
        try:
            with self._database.explained():
                raise error
        except Exception as explained:  # noqa: BLE001 (it is the result)
            return explained


class _UnderWay:
    """A change that the writer carries out; `end` gets its outcome or error, and returns what to report."""

    def __init__(self, end: Callable[[Outcome, Exception | None], tuple[Outcome, Exception | None]]) -> None:
        self._end = end
        self._told: Any = None
        self._over = threading.Event()

    def settle(self, outcome: Outcome, error: Exception | None) -> None:
        self._told = (outcome, error)
        try:
            self._told = self._end(outcome, error)
        finally:  # whatever a callback does, the waiter is woken
            self._over.set()

    def wait(self) -> Outcome:
        self._over.wait()
        return Settled(*self._told).wait()


def _log_loss(_: Outcome, error: Exception | None) -> None:
    if error is not None:
        log.error("event=audit_entry_lost error=%s", error)
