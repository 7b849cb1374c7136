"""The writer: group commit of everything that waits in the queue, then the answers, on a thread of its own or not."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import count
from typing import Any

from sqlalchemy import Connection, Engine

from inventory_server.config import (
    BACKLOG_SHARES_MAX,
    STORAGE_RETRY_MS,
    SWIFT_COMMIT_MOVEMENTS,
    SWIFT_COMMIT_SECONDS,
    Settings,
)
from inventory_server.domain.door import OnOutcome, OutcomeUnknown, SharedTurn
from inventory_server.domain.metrics import WriterCounters
from inventory_server.domain.requests import FigureTooLarge, Post, TerminalRequest
from inventory_server.store.database.base import ErrorClass, LedgerMoved, TransactionBackend, said_by
from inventory_server.store.database.transactions import StoreFatal, Transactions
from inventory_server.store.write.judge import CommitJudge
from inventory_server.store.write.waiting import NUMBER_OF, Job, TerminalTurns, Ticket
from pos_client.protocol.errors import ErrorCode, RequestError, TillwireError

log = logging.getLogger("tillwire.store")


class Writer:
    """Owns the writing connection. `on_fatal` is called once, when the store must stop.

    `counters` are what it has done, timed by `nanoseconds`.
    It judges and answers in `turn`, so that it and other threads do not keep each other waiting for the interpreter.
    Whoever hands in a few live frames in that turn also commits them when the turn has ended, since a lone till waits
    for the waking of the writer's thread. Only where the last commit was swift: it keeps the caller from its own work.
    """

    def __init__(
        self,
        engine: Engine,
        database: TransactionBackend,
        judge: CommitJudge,
        settings: Settings,
        on_fatal: Callable[[Exception], None] | None,
        turn: SharedTurn | None = None,
        timer: Callable[[], float] = time.monotonic,
        nanoseconds: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.counters = WriterCounters()
        self._nanoseconds = nanoseconds
        self._commit_took = 0
        self._turn = turn or nullcontext()
        self._is_in_turn: Callable[[], bool] = _never if turn is None else turn.is_callers
        self._timer = timer
        self._database = database
        self._judge = judge
        self._settings = settings
        self._on_fatal = on_fatal
        self._transactions = Transactions(engine, database, judge.forget, settings.commit_retry_seconds)
        # Guards what follows, up to `_failure`; nothing slow happens under it.
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        numbers = count()
        self._live = TerminalTurns(numbers)
        self._backlog = TerminalTurns(numbers)
        self._closing = False
        self._failure: Exception | None = None
        self._is_committing = False  # True while some thread has the writing connection
        self._is_handed_in = False  # True where the writer's thread is not woken yet for what was handed in
        # All below belongs to the thread that commits.
        self._is_swift = False  # whether the last commit was
        self._is_backlogs_turn = False
        self._refusing = False  # logged once, not at every commit
        self._taken: list[Ticket] = []
        self._thread = threading.Thread(target=self._run, name="tillwire-writer", daemon=True)
        if turn is not None:
            turn.afterwards = self.see_to_what_came

    def start(self) -> None:
        """Start the writer thread; it runs until `close`."""
        self._thread.start()

    def perform(self, work: TerminalRequest | Job) -> Any:
        """Queue `work` for the next commit and wait; return its outcome once it is durable.

        Raises RequestError (`busy`, `draining`, or an error of the work itself) and `OutcomeUnknown`.
        """
        return self.submit(work).wait()

    def submit(self, work: TerminalRequest | Job, then: OnOutcome | None = None) -> Ticket:
        """Queue `work` like `perform`, without waiting; `then` runs on the thread that commits and must not block.

        A frame of up to `live_postings_max` postings is live, a larger or heavier one a backlog's, which yields to
        live ones and leaves them half of the queue.
        """
        ticket, settings = Ticket(work, then), self._settings
        ticket.arrived = self._nanoseconds()
        is_live = ticket.postings <= settings.live_postings_max and ticket.weight <= settings.commit_backlog_max
        most = settings.queue_postings_max if is_live else settings.queue_postings_max // 2
        with self._lock:
            if self._failure is not None:
                raise OutcomeUnknown("The store has failed; the server is shutting down.") from self._failure
            if self._closing:
                raise self._later(ErrorCode.draining, "The server is shutting down; send again to its successor.")
            waiting = self._live.postings + self._backlog.postings
            full = waiting and waiting + ticket.postings > most
            if full and not callable(work):  # administrators' jobs are few: each waits for its own
                raise self._later(ErrorCode.busy, f"{waiting} postings are waiting; send again later.")
            (self._live if is_live else self._backlog).add(ticket)
            if self._is_in_turn():
                self._is_handed_in = True  # `see_to_what_came` follows, once more of it may have come
            else:
                self._arrived.notify()
        return ticket

    def see_to_what_came(self) -> None:
        """Commit a little that was handed in during the caller's turn, or wake the writer's thread for it."""
        if not self._is_handed_in:
            return
        with self._lock:
            self._is_handed_in = False
            if self._is_committing:
                return  # that thread looks for itself
            is_little = self._live.are_light(SWIFT_COMMIT_MOVEMENTS) and not self._backlog and not self._closing
            if not is_little or not self._is_swift:
                self._arrived.notify()
                return
            self._is_committing = True
        try:
            self._commit_next()
        except Exception as error:  # noqa: BLE001 - as on the writer's thread
            self._fail(error)
        with self._lock:
            self._is_committing = False
            if self._live or self._backlog or self._closing or self._failure:
                self._arrived.notify()

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
        self._await_work()
        try:
            return self._commit_next()
        finally:
            self._is_committing = False

    def _await_work(self) -> None:
        """Wait for work and have the writing connection for it."""
        with self._lock:
            while self._is_committing or not (self._live or self._backlog or self._closing or self._failure):
                self._arrived.wait()
            self._is_committing = True

    def _commit_next(self) -> bool:
        """Commit what waits; False where nothing does, or the store has failed."""
        with self._turn:  # whoever is handing work in has it committed together
            self._taken = self._take()
        began = self._timer()
        try:
            self._commit(self._taken)
        except StoreFatal as error:
            self._fail(error)
            return False
        self._is_swift = self._timer() - began <= SWIFT_COMMIT_SECONDS
        return bool(self._taken)

    def _take(self) -> list[Ticket]:
        """The work of one commit; an empty list when closing and nothing is left.

        While live sales are queued, backlogs share `commit_backlog_max` movements of a commit, so that a sale does not
        wait behind a draining outbox: light frames in the commit of the sales, heavy ones in turns with it.
        """
        settings = self._settings
        with self._lock:
            if self._live and self._backlog.next_weight > BACKLOG_SHARES_MAX:
                self._is_backlogs_turn = not self._is_backlogs_turn
                if not self._is_backlogs_turn:
                    return self._backlog.draw(settings.commit_backlog_max)
                return self._live.draw(settings.commit_movements_max)
            taken = self._live.draw(settings.commit_movements_max)
            if not self._backlog:
                return taken
            return taken + self._backlog.draw(settings.commit_backlog_max if taken else settings.commit_movements_max)

    def _commit(self, tickets: list[Ticket]) -> None:
        outcomes: list[Any] = []
        fitting = tickets
        try:
            if not all(callable(ticket.work) for ticket in tickets):
                fitting, outcomes = self._carry_out_durably(tickets)
        except StoreFatal:
            raise
        except OutcomeUnknown as error:
            self.counters.failed += 1
            outcomes = [error] * sum(not callable(ticket.work) for ticket in tickets)
        except Exception as error:  # noqa: BLE001 - an error in one frame must not end the writer
            self._isolate(tickets, error)
            return
        if self._refusing and any(isinstance(ticket.work, Post) for ticket in fitting):
            self._refusing = False
            log.warning("event=commits_resumed")
        grouped = [ticket for ticket in fitting if not callable(ticket.work)]
        # A lone till may answer before its reply is out: the loop should read that, not wait for its turn.
        with self._turn if len(grouped) > 1 else nullcontext():
            for ticket, outcome in zip(grouped, outcomes, strict=True):
                self._settle(ticket, outcome)
        self._count(grouped, outcomes)
        for ticket in fitting:
            if callable(ticket.work):
                self._run_job(ticket, ticket.work)
        if fitting is not tickets:
            carried_out = set(fitting)
            self._put_back([ticket for ticket in tickets if ticket not in carried_out])

    def _carry_out_durably(self, tickets: list[Ticket]) -> tuple[list[Ticket], list[Any]]:
        began = self._nanoseconds()
        carried_out: tuple[list[Ticket], list[Any]]
        carried_out = self._transact(lambda connection: self._carry_out(connection, tickets))
        self._commit_took = self._nanoseconds() - began
        return carried_out

    def _count(self, grouped: list[Ticket], outcomes: list[Any]) -> None:
        """Count the commit that has just been answered, if there was one."""
        if self._commit_took:
            first = min([ticket.arrived for ticket in grouped if ticket.settled], default=None)
            waited = None if first is None else self._nanoseconds() - first
            self.counters.committed(self._commit_took, waited, outcomes)
            self._commit_took = 0

    def _carry_out(self, connection: Connection, tickets: list[Ticket]) -> tuple[list[Ticket], list[Any]]:
        """The tickets that one commit carries out, and the outcome of each that is no administrator's."""
        with self._turn:
            fitting = self._fitting(connection, tickets)
            works = [ticket.work for ticket in fitting if not callable(ticket.work)]
            return fitting, self._judge.carry_out(connection, works)

    def _fitting(self, connection: Connection, tickets: list[Ticket]) -> list[Ticket]:
        """Have the ledger tell how heavy voids and counts are; the tickets that still share a commit.

        One that turns out heavy waits for a commit without live sales; there at least a part of it is carried out.
        """
        unweighed = [(ticket, post) for ticket in tickets if (post := ticket.unweighed)]
        if not unweighed:
            return tickets
        heavier: dict[Ticket, None] = {}
        for ticket, post in unweighed:
            before = ticket.weight
            ticket.weigh(self._judge.weigh(connection, post))
            if ticket.weight > before:
                heavier[ticket] = None
        settings = self._settings
        fitting = [ticket for ticket in tickets if ticket not in heavier]
        shared = min(settings.commit_backlog_max, BACKLOG_SHARES_MAX)
        left = shared if fitting else settings.commit_movements_max
        for ticket in heavier:
            if fitting and ticket.weight > left:
                break
            left -= ticket.cut(max(1, left))
            fitting.append(ticket)
        fitting.sort(key=NUMBER_OF)
        return fitting

    def _settle(self, ticket: Ticket, outcome: Any) -> None:
        """Answer a frame once all of it is durable; the rest of a heavy one waits for its terminal's next turn."""
        if isinstance(outcome, Exception):
            ticket.fail(outcome)
        elif not ticket.carried_out(outcome):
            self._put_back([ticket])

    def _put_back(self, tickets: list[Ticket]) -> None:
        with self._lock:
            for ticket in tickets:
                self._backlog.put_back(ticket)

    def _isolate(self, tickets: list[Ticket], error: Exception) -> None:
        """After a rollback: refuse all if the database is the cause, else commit one by one to find the faulty one."""
        self.counters.failed += 1
        is_moved = isinstance(error, LedgerMoved)
        if is_moved or self._database.classify_error(error, committing=False) is not ErrorClass.WORK_FAILED:
            self._refuse(tickets, error)
        elif len(tickets) == 1 and isinstance(error, FigureTooLarge):
            tickets[0].refuse(error)
            self._commit(tickets)
        elif len(tickets) == 1:
            log.error("event=commit_failed", exc_info=error)
            tickets[0].fail(error)
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
            ticket.fail(RequestError(ErrorCode.busy, message, retry_after_ms=STORAGE_RETRY_MS))

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
            unserved = dict.fromkeys((*self._taken, *self._live.clear(), *self._backlog.clear()))
        for ticket in unserved:
            if not ticket.settled:
                ticket.settle(None, error)
        if self._on_fatal is not None:
            self._on_fatal(error)


def _never() -> bool:
    """Nobody's turn."""
    return False
