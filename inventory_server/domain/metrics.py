"""What a server counts of its own work, and what its ledger says of its health. Pure.

Counters are plain integers: one thread adds to them, any may read. Durations are integer nanoseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from pos_client.protocol.messages import PostResult

MILLISECOND = 1_000_000
"""In nanoseconds."""
SECONDS_BOUNDS = tuple(
    MILLISECOND * each for each in (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000)
)
"""Upper bounds of the buckets of durations: from a commit to a fast disk to what a till waits at most."""
POSTINGS_BOUNDS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
"""Upper bounds of the buckets of postings in a commit: none (a hello), live sales, a backlog."""


@dataclass
class Histogram:
    """How many values were at most each of `bounds`, or beyond the last one; `total` is their sum."""

    bounds: tuple[int, ...]
    counts: list[int] = field(default_factory=list)
    total: int = 0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, value: int) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


def _durations() -> Histogram:
    return Histogram(SECONDS_BOUNDS)


def _batches() -> Histogram:
    return Histogram(POSTINGS_BOUNDS)


@dataclass
class WriterCounters:
    """What the writer has done: its commits, how long each took, and how long the first of its frames had waited.

    `failed` are commits of which nothing is durable, or nobody knows.
    """

    commit_nanoseconds: Histogram = field(default_factory=_durations)
    answer_nanoseconds: Histogram = field(default_factory=_durations)
    commit_postings: Histogram = field(default_factory=_batches)
    postings: dict[str, int] = field(default_factory=dict)
    failed: int = 0

    def committed(self, commit: int, answer: int | None, outcomes: Iterable[object]) -> None:
        """Count a commit that took `commit`; the frame that waited longest was answered after `answer`, if any was."""
        frames = [outcome.results for outcome in outcomes if isinstance(outcome, PostResult)]
        statuses = [result.status for results in frames for result in results]
        for status in set(statuses):
            self.postings[status] = self.postings.get(status, 0) + statuses.count(status)
        self.commit_nanoseconds.add(commit)
        self.commit_postings.add(len(statuses))
        if answer is not None:
            self.answer_nanoseconds.add(answer)


@dataclass
class ServerMetrics:
    """What one server process has counted since it began; `pid` tells the processes of a ledger apart.

    `ended` are connections by why they ended, `refused` are refusals by the reason that the client was told.
    """

    pid: int = 0
    connections: int = 0
    opened: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    writer: WriterCounters = field(default_factory=WriterCounters)


@dataclass(frozen=True, slots=True)
class TillFigures:
    """A till that is not revoked; instants in microseconds. `missing` are postings that later ones have overtaken.

    `is_silent`: it has not ended its day, and was not in contact for too long. `oldest_pending_at` is None where
    nothing is pending, or where it is not known since when.
    """

    terminal: str
    location: str
    contact_at: int | None
    is_silent: bool
    pending: int
    parked: int
    oldest_pending_at: int | None
    missing: int
    clock_offset_ms: int | None


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """A ledger's health. Instants in microseconds; `archived_until` is 0 without an archive.

    `exceptions` are causes that wait for a person, by flag, `alerts` those that are open, by kind. `ledger_bytes` is
    what the database takes, `free_bytes` what its disk has left, None where the database is on another machine.
    """

    position: int
    recorded_at: int
    archived_position: int
    archived_until: int
    levels: int
    negative: int
    rejected: int
    quarantined: int
    exceptions: dict[str, int]
    alerts: dict[str, int]
    tills: list[TillFigures]
    ledger_bytes: int
    free_bytes: int | None
