"""The writer thread: group commit of everything that waits in the queue, then the answers."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine

from inventory_server.config import STORAGE_RETRY_MS, Settings
from inventory_server.domain.door import OnOutcome, Outcome, OutcomeUnknown
from inventory_server.domain.requests import Post, TerminalRequest
from inventory_server.store.database.base import ErrorClass, LedgerMoved, TransactionBackend, said_by
from inventory_server.store.database.transactions import StoreFatal, Transactions
from inventory_server.store.write.judge import CommitJudge
from pos_client.protocol.errors import ErrorCode, RequestError, TillwireError

log = logging.getLogger("tillwire.store")

Job = Callable[[Connection], Any]
"""Work of an administrator: runs in a transaction of its own."""


class Ticket:
    """A queued piece of work, and later its outcome or error."""

    __slots__ = ("_done", "_then", "error", "outcome", "settled", "weight", "work")

    def __init__(self, work: TerminalRequest | Job, then: OnOutcome | None = None) -> None:
        self.work = work
        self._then = then
        self.weight = len(work.items) if isinstance(work, Post) else 1
        self.outcome: Any = None
        self.error: Exception | None = None
        self.settled = False
        self._done = threading.Lock()
        self._done.acquire()

    def settle(self, outcome: Any, error: Exception | None = None) -> None:
        """Deliver the outcome or error: call `then`, or wake the waiting thread."""
        self.outcome, self.error, self.settled = outcome, error, True
        if self._then is None:
            self._done.release()
            return
        try:
            self._then(outcome, error)
        except Exception:  # a failed answer is lost, as if its connection had broken; the others go on
            log.exception("event=answer_failed")

    def wait(self) -> Any:
        """Wait for the outcome; raise the error, if any."""
        self._done.acquire()
        if self.error is not None:
            raise self.error
        return self.outcome


class Writer:
    """Owns the writing connection. `on_fatal` is called once, when the store must stop."""

    def __init__(
        self,
        engine: Engine,
        database: TransactionBackend,
        judge: CommitJudge,
        settings: Settings,
        on_fatal: Callable[[Exception], None] | None,
    ) -> None:
        self._database = database
        self._judge = judge
        self._settings = settings
        self._on_fatal = on_fatal
        self._transactions = Transactions(engine, database, judge.forget, settings.commit_retry_seconds)
        # Guards `_live`, `_backlog`, `_weight`, `_closing` and `_failure`; nothing slow happens under it.
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._live: deque[Ticket] = deque()
        self._backlog: deque[Ticket] = deque()
        self._weight = 0
        self._closing = False
        self._failure: Exception | None = None
        self._refusing = False  # logged once, not at every commit
        self._taken: list[Ticket] = []
        self._thread = threading.Thread(target=self._run, name="tillwire-writer", daemon=True)

    def start(self) -> None:
        """Start the writer thread; it runs until `close`."""
        self._thread.start()

    def perform(self, work: TerminalRequest | Job) -> Any:
        """Queue `work` for the next commit and wait; return its outcome once it is durable.

        Raises RequestError (`busy`, `draining`, or an error of the work itself) and `OutcomeUnknown`.
        """
        return self.submit(work).wait()

    def submit(self, work: TerminalRequest | Job, then: OnOutcome | None = None) -> Ticket:
        """Queue `work` like `perform`, without waiting; `then` runs on the writer thread and must not block.

        A frame of up to `live_postings_max` postings is live, a larger one a backlog's, which yields to live ones.
        """
        ticket = Ticket(work, then)
        with self._lock:
            if self._failure is not None:
                raise OutcomeUnknown("The store has failed; the server is shutting down.") from self._failure
            if self._closing:
                raise self._later(ErrorCode.draining, "The server is shutting down; send again to its successor.")
            full = self._weight and self._weight + ticket.weight > self._settings.queue_postings_max
            if full and not callable(work):  # administrators' jobs are few: each waits for its own
                raise self._later(ErrorCode.busy, f"{self._weight} postings are waiting; send again later.")
            is_live = ticket.weight <= self._settings.live_postings_max
            (self._live if is_live else self._backlog).append(ticket)
            self._weight += ticket.weight
            self._arrived.notify()
        return ticket

    def close(self) -> None:
        """Commit what is queued, then stop; new work is refused."""
        with self._lock:
            self._closing = True
            self._arrived.notify()
        self._transactions.end()
        self._thread.join()
        self._transactions.close()

    def _later(self, code: ErrorCode, message: str) -> RequestError:
        return RequestError(code, message, retry_after_ms=self._settings.busy_retry_ms)

    # ------------------------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            while self.step():
                pass
        except Exception as error:  # noqa: BLE001 - if the thread ended silently, every waiter would hang
            self._fail(error)

    def step(self) -> bool:
        """Wait for work and commit it; False once the writer is closed and its queue empty, or has failed.

        The writer thread only loops over this; the simulator calls it on a virtual clock.
        """
        self._taken = self._take()
        try:
            self._commit(self._taken)
        except StoreFatal as error:
            self._fail(error)
            return False
        return bool(self._taken)

    def _take(self) -> list[Ticket]:
        """The work of one commit; an empty list when closing and nothing is left.

        While live sales are queued, backlogs share `commit_backlog_max` postings of each commit, so that a sale does
        not wait behind a draining outbox. At least one backlog frame is taken each time, so that backlogs progress.
        """
        settings = self._settings
        with self._lock:
            while not self._live and not self._backlog and not self._closing:
                self._arrived.wait()
            taken = _draw(self._live, settings.commit_postings_max)
            taken += _draw(self._backlog, settings.commit_backlog_max if taken else settings.commit_postings_max)
            self._weight -= sum(ticket.weight for ticket in taken)
            return taken

    def _commit(self, tickets: list[Ticket]) -> None:
        works = [ticket.work for ticket in tickets if not callable(ticket.work)]
        try:
            outcomes = iter(
                self._transact(lambda connection: self._judge.carry_out(connection, works)) if works else ()
            )
        except StoreFatal:
            raise
        except OutcomeUnknown as error:
            outcomes = iter([error] * len(works))
        except Exception as error:  # noqa: BLE001 - an error in one frame must not end the writer
            self._isolate(tickets, error)
            return
        if self._refusing and any(isinstance(work, Post) for work in works):
            self._refusing = False
            log.warning("event=commits_resumed")
        for ticket in tickets:
            if callable(ticket.work):
                self._run_job(ticket, ticket.work)
            else:
                _settle(ticket, next(outcomes))

    def _isolate(self, tickets: list[Ticket], error: Exception) -> None:
        """After a rollback: refuse all if the database is the cause, else commit one by one to find the faulty one."""
        is_moved = isinstance(error, LedgerMoved)
        if is_moved or self._database.classify_error(error, committing=False) is not ErrorClass.WORK_FAILED:
            self._refuse(tickets, error)
        elif len(tickets) == 1:
            log.error("event=commit_failed", exc_info=error)
            tickets[0].settle(None, error)
        else:
            for ticket in tickets:
                self._commit([ticket])

    def _refuse(self, tickets: list[Ticket], error: Exception) -> None:
        """Every commit would fail alike: answer `busy`, so that tills retry."""
        if not self._refusing:
            self._refusing = True
            log.error("event=commits_refused error=%s", said_by(error))
        message = "HQ's database accepts no writes at the moment; nothing was posted."
        for ticket in tickets:
            ticket.settle(None, RequestError(ErrorCode.busy, message, retry_after_ms=STORAGE_RETRY_MS))

    def _run_job(self, ticket: Ticket, job: Job) -> None:
        try:
            ticket.settle(self._transact(lambda connection: self._judge.change(connection, job)))
        except StoreFatal:
            raise
        except TillwireError as error:  # the job's own refusal, or an unknown outcome: for the administrator
            ticket.settle(None, error)
        except Exception as error:
            log.error("event=job_failed", exc_info=error)
            ticket.settle(None, error)

    def _transact(self, job: Callable[[Connection], Any]) -> Any:
        return self._transactions.run(job)

    def _fail(self, reason: Exception) -> None:
        """Stop for good: all queued work ends with OutcomeUnknown, so no waiter gets an answer."""
        log.critical("event=store_failed reason=%s", reason, exc_info=reason)
        error = OutcomeUnknown(str(reason))
        error.__cause__ = reason.__cause__
        with self._lock:
            self._failure = error
            unserved = [ticket for ticket in (*self._taken, *self._live, *self._backlog) if not ticket.settled]
            self._live.clear()
            self._backlog.clear()
        for ticket in unserved:
            ticket.settle(None, error)
        if self._on_fatal is not None:
            self._on_fatal(error)


def _draw(waiting: deque[Ticket], most: int) -> list[Ticket]:
    """Take tickets of at most `most` postings in total from the front, but at least one if there is any."""
    drawn: list[Ticket] = []
    weight = 0
    while waiting and (not drawn or weight + waiting[0].weight <= most):
        drawn.append(waiting.popleft())
        weight += drawn[-1].weight
    return drawn


def _settle(ticket: Ticket, outcome: Outcome | RequestError | OutcomeUnknown) -> None:
    if isinstance(outcome, RequestError | OutcomeUnknown):
        ticket.settle(None, outcome)
    else:
        ticket.settle(outcome)
