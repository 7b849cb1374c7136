"""Replays sales files through simulated tills: `pos-client replay`.

Every (location, lane) is a till of its own: its own terminal name, connection, lineage and sequence. A few
worker threads drive them, each till by one worker and in the order its sales happened.

There is no outbox. A till at a counter must store a sale before it says so; here the file already is the
durable source, and ids that follow from the file's natural keys make a second run harmless. So frames go out
straight from memory, without an fsync per sale; after a crash one simply replays the file again.
"""

from __future__ import annotations

import heapq
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from pos_client.files.sales_file import FilePosting, FileTill
from pos_client.protocol.messages import PostingResult
from pos_client.replay.simulated_till import Link, Patience, SimulatedTill, terminal_name


@dataclass(frozen=True, slots=True)
class ReplaySpeed:
    """How fast and how stubbornly: `factor` times real time (None: as fast as HQ takes them)."""

    factor: float | None = None
    workers: int = 4
    patience_seconds: float = 60.0
    heartbeat_seconds: float = 30.0


@dataclass(slots=True)
class Outcome:
    """What became of the postings so far. `refused` holds those that HQ will never post, and why."""

    statuses: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    refused: list[tuple[FilePosting, PostingResult]] = field(default_factory=list)


class Replay:
    """Posts what `tills` hold. `connect` opens a link; `clock` is in seconds, monotonic, as `stopping.wait` sleeps."""

    def __init__(
        self,
        tills: Sequence[FileTill],
        connect: Callable[[], Link],
        speed: ReplaySpeed,
        tokens: Mapping[str, str],
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._speed = speed
        self._clock = clock
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        """Guards `_outcome`; nothing slow happens under it."""
        self._outcome = Outcome()
        patience = Patience(speed.patience_seconds, clock, rng, self._stopping)
        self._tills = [
            SimulatedTill(till, tokens.get(terminal_name(till)), connect, patience, self._note) for till in tills
        ]
        self._began = 0.0
        self._first = min((till.postings[0].occurred_at for till in tills), default=0)

    def run(self, progress: Callable[[int], None] = lambda _: None) -> Outcome:
        """Post everything and say goodbye as every till; `progress` is told the postings answered so far.

        Raises ReplayError, RequestError or ConnectionLost where HQ cannot be reached or refuses a till.
        """
        self._began = self._clock()
        count = min(self._speed.workers, len(self._tills)) or 1
        with ThreadPoolExecutor(count, "replay") as pool:
            working = {pool.submit(self._work, self._tills[at::count]) for at in range(count)}
            try:
                while working:
                    done, working = wait(working, timeout=0.1, return_when=FIRST_EXCEPTION)
                    progress(self._answered())
                    for worker in done:
                        worker.result()
            finally:
                self._stopping.set()
        return self._outcome

    def _answered(self) -> int:
        with self._lock:
            return self._outcome.statuses.total()

    def _work(self, tills: Sequence[SimulatedTill]) -> None:
        """Drive `tills`, always the one whose next sale comes first, until all is sent or the replay stops."""
        try:
            agenda = [(till.next_at, at) for at, till in enumerate(tills)]
            heapq.heapify(agenda)
            while agenda and self._wait_until(agenda[0][0], tills):
                _, at = heapq.heappop(agenda)
                tills[at].send(self._now())
                if not tills[at].is_done:
                    heapq.heappush(agenda, (tills[at].next_at, at))
        finally:
            for till in tills:
                till.close()

    def _now(self) -> int | None:
        """The replayed instant, in microseconds since 1970; None where everything is due."""
        if self._speed.factor is None:
            return None
        return self._first + int((self._clock() - self._began) * self._speed.factor * 1_000_000)

    def _wait_until(self, occurred_at: int, tills: Sequence[SimulatedTill]) -> bool:
        """Wait until the replayed day reaches `occurred_at`, keeping the tills' connections alive; False to stop."""
        while not self._stopping.is_set():
            now = self._now()
            if now is None or self._speed.factor is None or now >= occurred_at:
                return True
            left_seconds = (occurred_at - now) / 1_000_000 / self._speed.factor
            if not self._stopping.wait(min(left_seconds, self._speed.heartbeat_seconds)):
                for till in tills:
                    till.ping_if_idle(self._speed.heartbeat_seconds)
        return False

    def _note(self, postings: Sequence[FilePosting], results: Sequence[PostingResult]) -> None:
        """Count what HQ answered for one frame."""
        with self._lock:
            for posting, result in zip(postings, results, strict=True):
                self._outcome.statuses[result.status] += 1
                if result.status in ("posted", "duplicate"):
                    self._outcome.lines += posting.lines
                else:
                    self._outcome.refused.append((posting, result))
