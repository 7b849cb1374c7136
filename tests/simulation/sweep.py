"""Many seeds, on several processes: what was simulated, what came up, and what was broken."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.mutants import MUTANTS
from tests.simulation.planting import Mutant
from tests.simulation.run import Result, simulate
from tests.simulation.situations import SITUATIONS
from tests.simulation.world import DAY

CHUNK_SEEDS = 50


@dataclass
class Report:
    """The sum of a sweep. Times in seconds; `busy_seconds` is processor time over all processes."""

    seeds: int = 0
    events: int = 0
    virtual_days: float = 0.0
    busy_seconds: float = 0.0
    wall_seconds: float = 0.0
    sometimes: Counter[str] = field(default_factory=Counter)
    violations: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """One more run."""
        self.seeds += 1
        self.events += result.events
        self.virtual_days += result.virtual_micros / DAY
        self.sometimes.update(result.sometimes)
        if result.violation is not None:
            self.violations.append(result)

    def merge(self, other: Report) -> None:
        """What another process has done."""
        self.seeds += other.seeds
        self.events += other.events
        self.virtual_days += other.virtual_days
        self.busy_seconds += other.busy_seconds
        self.sometimes.update(other.sometimes)
        self.violations += other.violations

    @property
    def never(self) -> list[str]:
        """The situations that did not come up."""
        return [situation for situation in SITUATIONS if not self.sometimes[situation]]

    def summary(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "seeds": self.seeds,
            "events": self.events,
            "virtual_days": round(self.virtual_days, 1),
            "wall_seconds": round(self.wall_seconds, 2),
            "seeds_per_second": round(self.seeds / max(self.wall_seconds, 1e-9), 1),
            "seeds_per_core_second": round(self.seeds / max(self.busy_seconds, 1e-9), 1),
            "sometimes": {situation: self.sometimes[situation] for situation in SITUATIONS},
            "never": self.never,
            "violations": [{"seed": each.seed, "violation": each.violation} for each in self.violations],
        }


def named(name: str) -> Mutant:
    """The mutant of that name; ValueError lists those there are."""
    for mutant in MUTANTS:
        if mutant.name == name:
            return mutant
    raise ValueError(f"There is no mutant {name!r}; there are: {', '.join(each.name for each in MUTANTS)}")


def run_seeds(first: int, count: int, mutant: str | None = None, stop_at_red: bool = False) -> Report:
    """Run `count` seeds from `first` on in this process, with a bug planted if it is named."""
    report = Report()
    planted = None if mutant is None else named(mutant)
    started = time.process_time()
    collecting = gc.isenabled()
    gc.disable()  # a run is over before its cycles weigh anything
    gc.freeze()  # and what was there before need not be searched for them
    try:
        with nullcontext() if planted is None else planted.plant():
            options = _options(planted)
            for seed in range(first, first + count):
                report.add(simulate(seed, **options))
                if stop_at_red and report.violations:
                    break
    finally:
        gc.collect()
        gc.unfreeze()
        if collecting:
            gc.enable()
    report.busy_seconds = time.process_time() - started
    return report


def _options(planted: Mutant | None) -> dict[str, Any]:
    if planted is None:
        return {}
    return {"unique_ids": planted.unique_ids, "thoroughly": True if planted.thoroughly else None}


def _nobody_listens(done: int) -> None:
    """No progress is shown."""


def sweep(
    first: int,
    count: int,
    jobs: int = 1,
    mutant: str | None = None,
    progress: Callable[[int], None] = _nobody_listens,
) -> Report:
    """Run seeds on `jobs` processes; `progress` hears how many are done."""
    report = Report()
    started = time.perf_counter()
    for part in _parts(first, count, jobs, mutant):
        report.merge(part)
        progress(report.seeds)
    report.wall_seconds = time.perf_counter() - started
    report.violations.sort(key=lambda result: result.seed)
    return report


def _parts(first: int, count: int, jobs: int, mutant: str | None) -> Iterator[Report]:
    last = first + count
    chunks = [(at, min(CHUNK_SEEDS, last - at), mutant) for at in range(first, last, CHUNK_SEEDS)]
    if jobs == 1:
        yield from (run_seeds(*chunk) for chunk in chunks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(_run_chunk, chunks)


def _run_chunk(chunk: tuple[int, int, str | None]) -> Report:
    return run_seeds(*chunk)
