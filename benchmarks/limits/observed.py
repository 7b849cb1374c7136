"""Tillwire's server, instrumented to record the cost of each commit. `… limits.observed PORT URL FILE`."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection

from inventory_server.app import Application
from inventory_server.clock import now_microseconds
from inventory_server.commands.serve import collect_rarely
from inventory_server.config import Settings
from inventory_server.domain.requests import Post, TerminalRequest
from inventory_server.store import open_store
from inventory_server.store.ledger import sql
from inventory_server.store.write.judge import CommitJudge
from inventory_server.store.write.writer import Writer
from pos_client.protocol.address import Address

WATCHED = 8
"""Database calls are timed in one commit out of this many, since reading a thread's clock takes time itself."""


class Commit(NamedTuple):
    """One commit of sales; times in seconds."""

    at: float
    sales: int
    wall: float
    processor: float
    """Processor time of the writer's thread."""
    durable_wall: float
    """The final part of `wall`: from the last statement until durable."""
    durable_processor: float
    process: float
    """Processor time of the whole process up to the end of this commit."""
    calls: int
    """Calls of the database driver; 0 if not timed."""
    inside: float
    """The part of `processor` spent inside these calls."""


class Observer:
    """Wraps the writer and reads its clocks. Everything but `writing_down` is used by the writer's thread only."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self._sales = self._calls = 0
        self._inside = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Observe every commit until the block ends."""
        transact, carry_out, run = Writer._transact, CommitJudge.carry_out, sql.run

        def observed_transact(writer: Writer, job: Callable[[Connection], Any]) -> Any:
            return self._observe(lambda watched: transact(writer, watched), job)

        def observed_carry_out(ledger: CommitJudge, connection: Connection, works: list[TerminalRequest]) -> Any:
            self._sales = sum(len(work.items) for work in works if isinstance(work, Post))
            return carry_out(ledger, connection, works)

        def observed_run(connection: Connection, text: str, parameters: tuple[Any, ...]) -> Any:
            if len(self.commits) % WATCHED:
                return run(connection, text, parameters)
            began = time.thread_time()
            rows = run(connection, text, parameters)
            self._inside += time.thread_time() - began
            self._calls += 1
            return rows

        Writer._transact = observed_transact  # type: ignore[method-assign]
        CommitJudge.carry_out = observed_carry_out  # type: ignore[method-assign]
        sql.run = observed_run
        try:
            yield
        finally:
            Writer._transact, CommitJudge.carry_out, sql.run = transact, carry_out, run  # type: ignore[method-assign]

    def _observe(self, transact: Callable[[Any], Any], job: Callable[[Connection], Any]) -> Any:
        self._sales = self._calls = 0
        self._inside = 0.0
        job_ended = (0.0, 0.0)

        def watched(connection: Connection) -> Any:
            nonlocal job_ended
            outcomes = job(connection)
            job_ended = (time.perf_counter(), time.thread_time())
            return outcomes

        began = (time.perf_counter(), time.thread_time())
        outcomes = transact(watched)
        ended = (time.perf_counter(), time.thread_time())
        if self._sales:
            whole = (last - first for first, last in zip(began, ended, strict=True))
            durable = (last - first for first, last in zip(job_ended, ended, strict=True))
            times = (*whole, *durable, time.process_time())
            self.commits.append(Commit(ended[0], self._sales, *times, self._calls, self._inside))
        return outcomes


def main(port: int, url: str, file: Path) -> None:
    """Serve until SIGTERM, then write the records."""
    collect_rarely()
    observer, settings = Observer(), Settings()
    with observer.watching():
        store = open_store(url, settings, now_microseconds)
        application = Application(settings, store, [Address("127.0.0.1", port)], dev=True)
        application.start()
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
        application.stop()
    file.write_text(json.dumps(observer.commits))


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
