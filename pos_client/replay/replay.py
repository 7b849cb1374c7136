"""`Replay`: posts the sales of files through simulated tills, for `pos-client replay`.

Every (location, lane) is a till with its own terminal name, connection, lineage and sequence. A few worker threads
drive them; each till is driven by one worker, in the order its sales occurred.

There is no outbox. A till at a counter must store a sale before it confirms it; here the file is the durable source,
and ids derived from its natural keys make a second run idempotent. Frames are sent straight from memory, without an
fsync per sale; after a crash, replay the file again.
"""

from __future__ import annotations

import heapq
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from pos_client.files.postings import FilePosting, FileTill
from pos_client.protocol.messages import PostingResult
from pos_client.protocol.units import SECOND_MICROS
from pos_client.replay.limits import PROGRESS_SECONDS
from pos_client.replay.simulated_till import Link, Patience, SimulatedTill, terminal_name


@dataclass(frozen=True, slots=True)
class ReplaySpeed:
    """How fast to replay, and how long to keep trying."""

    factor: float | None = None
    """Times real time; None: as fast as HQ accepts the postings."""
    workers: int = 4
    """Threads that drive the tills: HQ commits the frames of several tills together."""
    patience_seconds: float = 60.0
    """How long HQ may be unreachable: a restart takes less, and nothing is lost by giving up."""
    heartbeat_seconds: float = 30.0
    """How often an idle till pings: well below the server's idle time-out."""


@dataclass(slots=True)
class ReplayOutcome:
    """The results so far. `lines` are those of what was posted in this run; `refused` is what HQ will never post."""

    statuses: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    refused: list[tuple[FilePosting, PostingResult]] = field(default_factory=list)


class Replay:
    """Posts everything in `tills`. `connect` opens a connection; `clock` is monotonic, in seconds."""

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
        """Guards `_outcome`; slow work happens outside it."""
        self._outcome = ReplayOutcome()
        patience = Patience(speed.patience_seconds, clock, rng, self._stopping)
        self._tills = [
            SimulatedTill(till, tokens.get(terminal_name(till)), connect, patience, self._note) for till in tills
        ]
        self._began = 0.0
        self._first = min((till.postings[0].occurred_at for till in tills), default=0)

    def run(self, progress: Callable[[int], None] = lambda _: None) -> ReplayOutcome:
        """Post everything and end each till's session; `progress` receives the number of postings answered so far.

        Raises ReplayError, RequestError or ConnectionLost if HQ is unreachable or refuses a till.
        """
        self._began = self._clock()
        count = min(self._speed.workers, len(self._tills)) or 1
        with ThreadPoolExecutor(count, "replay") as pool:
            working = {pool.submit(self._work, self._tills[at::count]) for at in range(count)}
            try:
                while working:
                    done, working = wait(working, timeout=PROGRESS_SECONDS, return_when=FIRST_EXCEPTION)
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
        """Drive `tills`, always the one whose next sale is the earliest, until all is sent or the replay stops."""
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
        """The replayed instant, in microseconds since 1970; None if everything is due."""
        if self._speed.factor is None:
            return None
        return self._first + int((self._clock() - self._began) * self._speed.factor * SECOND_MICROS)

    def _wait_until(self, occurred_at: int, tills: Sequence[SimulatedTill]) -> bool:
        """Wait until the replayed day reaches `occurred_at`, keeping the connections alive; False to stop."""
        while not self._stopping.is_set():
            now = self._now()
            if now is None or self._speed.factor is None or now >= occurred_at:
                return True
            left_seconds = (occurred_at - now) / SECOND_MICROS / self._speed.factor
            if not self._stopping.wait(min(left_seconds, self._speed.heartbeat_seconds)):
                for till in tills:
                    till.ping_if_idle(self._speed.heartbeat_seconds)
        return False

    def _note(self, postings: Sequence[FilePosting], results: Sequence[PostingResult]) -> None:
        """Count the results of one frame."""
        with self._lock:
            for posting, result in zip(postings, results, strict=True):
                self._outcome.statuses[result.status] += 1
                if result.status == "posted":
                    self._outcome.lines += posting.lines
                elif result.status != "duplicate":
                    self._outcome.refused.append((posting, result))
