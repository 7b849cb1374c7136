"""Cost of a sale inside the server, without sockets or contention: CPU time and SQL statements by stage.

`python -m benchmarks.stages` prints microseconds of CPU per sale for reading the frame, judging and writing it, and
answering, with the number of SQL statements a commit takes. CPU time is steadier than wall time on a busy machine.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from benchmarks import ledgers, trade
from inventory_server.clock import now_microseconds
from inventory_server.commands.serve import collect_rarely
from inventory_server.config import Settings
from inventory_server.domain.door import perform
from inventory_server.domain.requests import TerminalRequest
from inventory_server.jsonserver import Peer
from inventory_server.protocol.session import Session
from inventory_server.store import open_store
from inventory_server.store.ledger import sql

WARM_UP_COMMITS = 3
_AGO_MICROS = 3_600_000_000
"""The first sale was made so long ago: one ahead of HQ's clock would be flagged, which costs more."""


class _Frames:
    """Frames as the load generator sends them, with the sequence and lineage of each till."""

    def __init__(self, tills: int, batch: int) -> None:
        self.tills = tills
        self._batch = batch
        self._rng = Random(1)
        self._sales = trade.sales(now_microseconds() - _AGO_MICROS, 1_000, self._rng)
        self._seq = [0] * tills

    def hello(self, till: int) -> bytes:
        lineage = UUID(int=self._rng.getrandbits(128))
        location = trade.LOCATIONS[till % len(trade.LOCATIONS)]
        params = f'{{"terminal":"stage-{till}","lineage":"{lineage}","location":"{location}"}}'
        return f'{{"jsonrpc":"2.0","id":0,"method":"hello","params":{params}}}'.encode()

    def post(self, till: int) -> bytes:
        items = []
        for _ in range(self._batch):
            self._seq[till] += 1
            sale = next(self._sales)
            items.append(f'{{"id":"{UUID(bytes=sale.id)}","seq":{self._seq[till]},"body":{sale.body.decode()}}}')
        return f'{{"jsonrpc":"2.0","id":1,"method":"post","params":{{"postings":[{",".join(items)}]}}}}'.encode()


def _session(settings: Settings) -> Session:
    peer = Peer("127.0.0.1:1", loopback=True)
    return Session(settings, peer, now_microseconds, lambda: "incident", lambda: b"{}", dev=True)


def _finish(steps: Any, outcome: Any) -> None:
    try:
        steps.send(outcome)
    except StopIteration:
        return
    raise AssertionError("a post takes one step")


class Staged:
    """Drives one frame of each till through session and ledger, and sums the seconds of each stage."""

    def __init__(self, url: str, tills: int, batch: int, profiler: cProfile.Profile | None = None) -> None:
        settings = Settings()
        self._frames = _Frames(tills, batch)
        self._sessions = [_session(settings) for _ in range(tills)]
        self._store = open_store(url, settings, now_microseconds)
        self._profiler = profiler
        self.forget()
        for till, session in enumerate(self._sessions):
            steps = session.handle(self._frames.hello(till))
            _finish(steps, perform(self._store, next(steps)))

    def commit(self, tills: int | None = None) -> None:
        """One commit of one frame of every till, or of the first `tills`."""
        sessions = self._sessions[:tills]
        frames = [self._frames.post(till) for till in range(len(sessions))]
        steps = [session.handle(frame) for session, frame in zip(sessions, frames, strict=True)]
        works = self._timed("read the frame", lambda: [next(step) for step in steps])
        with self._calls_watched():
            wall, processor = time.perf_counter(), time.thread_time()
            outcomes = self._store._writer._transact(lambda connection: self._carry_out(connection, works))
            self.transaction_seconds += time.thread_time() - processor
            self.wall_seconds += time.perf_counter() - wall
        self._timed("answer", lambda: deque(map(_finish, steps, outcomes), maxlen=0))

    def _carry_out(self, connection: Any, works: list[TerminalRequest]) -> Any:
        judge = self._store._writer._judge
        if self._profiler:
            self._profiler.enable()
        outcomes = self._timed("judge and write", lambda: judge.carry_out(connection, works))
        if self._profiler:
            self._profiler.disable()
        return outcomes

    @contextmanager
    def _calls_watched(self) -> Iterator[None]:
        """Count the calls of the database driver and their processor time."""
        call = sql.run

        def watched(connection: Any, text: str, parameters: Any) -> Any:
            began = time.thread_time()
            rows = call(connection, text, parameters)
            self.calls_seconds += time.thread_time() - began
            self.calls += 1
            return rows

        sql.run = watched
        try:
            yield
        finally:
            sql.run = call

    def queue(self, frames: int) -> float:
        """Seconds of processor time for the ledger's queue to take one frame, while the writer is busy."""
        sessions = self._sessions[:frames]
        works: list[Any] = [next(session.handle(self._frames.post(till))) for till, session in enumerate(sessions)]
        busy, left = threading.Event(), threading.Semaphore(0)
        self._store._writer.submit(lambda _: busy.wait())
        began = time.thread_time()
        for work in works:
            self._store.submit(work, lambda *_: left.release())
        spent = time.thread_time() - began
        busy.set()
        for _ in works:
            left.acquire()
        return spent / len(works)

    def _timed(self, stage: str, step: Callable[[], Any]) -> Any:
        began = time.thread_time()
        done = step()
        self.spent[stage] += time.thread_time() - began
        return done

    def forget(self) -> None:
        """Reset the sums, once all statements are rendered and the caches are warm."""
        self.spent = {"read the frame": 0.0, "judge and write": 0.0, "answer": 0.0}
        self.wall_seconds = self.transaction_seconds = self.calls_seconds = 0.0
        self.calls = 0
        if self._profiler:
            self._profiler.clear()

    def close(self) -> None:
        """Close the ledger."""
        self._store.close()


def measure(folder: Path, tills: int, batch: int, commits: int, profile: bool) -> None:
    """Commit `commits` times one frame of every till; print the time by stage."""
    path = ledgers.copy(ledgers.prepared(0), folder / f"stages-{tills}-{batch}.db")
    profiler = cProfile.Profile() if profile else None
    bench = Staged(f"sqlite:///{path}", tills, batch, profiler)
    for _ in range(WARM_UP_COMMITS):
        bench.commit()
    bench.forget()
    for _ in range(commits):
        bench.commit()
    bench.close()
    print(f"{tills} tills × {batch} sales a frame, one commit for all of them:")
    for stage, seconds in bench.spent.items():
        print(f"  {stage:16} {seconds / (tills * batch * commits) * 1e6:7.1f} µs CPU a sale")
    print(f"  commit, wall     {bench.wall_seconds / commits * 1e3:7.2f} ms, {bench.calls / commits:.0f} statements")
    if profiler:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(30)


def main() -> None:
    """Measure the two workloads of the goals, and the lone till."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--profile", action="store_true", help="print the profile of judging and writing")
    chosen = options.parse_args()
    collect_rarely()
    with tempfile.TemporaryDirectory(prefix="tillwire-stages-") as folder:
        for tills, batch, commits in ((64, 1, 60), (8, 250, 6), (1, 1, 300)):
            measure(Path(folder), tills, batch, commits, chosen.profile)


if __name__ == "__main__":
    main()
