"""The load generator: compiled on first use, run as a process, its records read into arrays."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ledgers, trade

_RECORD = np.dtype(
    [("group", "u4"), ("sales", "u4"), ("due_ns", "u8"), ("sent_ns", "u8"), ("answered_ns", "u8")], align=True
)


_NUMBERS = ("start_ms", "pace_us", "check", "ends", "shops", "skus")


class LoadError(Exception):
    """The load did not run as intended: the figures of this run are invalid."""


@dataclass(frozen=True, slots=True)
class Group:
    """Tills of one kind: `kind` is post, stock, line, jsocket or http; `frames` is how many each sends at most.

    `batch` is sales a frame; with `pace_us` each till sends every so many microseconds, without it as soon as it is
    answered; `check` off accepts any answer (for echoes). The run is over when a
    group that `ends` has been answered. The tills stand in `shops` locations and sell `skus` skus.
    """

    kind: str
    name: str
    conns: int
    frames: int
    batch: int = 1
    start_ms: int = 0
    pace_us: int = 0
    check: bool = True
    ends: bool = False
    shops: int = len(trade.LOCATIONS)
    skus: int = len(trade.SKUS)

    def argument(self) -> str:
        """The group as a command-line argument of the generator."""
        fields = [f"{name}={getattr(self, name)}" for name in ("kind", "name", "conns", "frames", "batch")]
        fields += [f"{name}={int(getattr(self, name))}" for name in _NUMBERS]
        return ",".join(fields)


class Answers:
    """The answers to one group; times in seconds since every till said hello, answer times in milliseconds."""

    def __init__(self, records: Any, began_ns: int, seconds: float, summary: dict[str, Any]) -> None:
        self.at = (records["answered_ns"].astype("f8") - began_ns) / 1e9
        self.milliseconds = (records["answered_ns"] - records["due_ns"]).astype("f8") / 1e6
        self.sales = records["sales"]
        self.seconds = seconds
        self.busy = int(summary["busy"])

    def rate(self, since: float = 0.15) -> float:
        """Sales (or frames) answered per second, excluding the first `since` share of the run."""
        begin = self.seconds * since
        inside = (self.at >= begin) & (self.at < self.seconds)
        return float(self.sales[inside].sum() / (self.seconds - begin))

    def even_rate(self, since: float = 0.15) -> float:
        """Like `rate`, from one answer to another: answers that come many at a time are not cut in the middle."""
        begin = self.at[self.at < self.seconds * since].max(initial=0.0)
        end = self.at[self.at < self.seconds].max(initial=0.0)
        if end <= begin:  # slower than the window is long: all there is
            return float(self.sales.sum() / self.at.max())
        inside = (self.at > begin) & (self.at <= end)
        return float(self.sales[inside].sum() / (end - begin))

    def percentile(self, percent: float, begin: float | None = None, end: float | None = None) -> float:
        """The `percent` percentile of the answer times between two instants."""
        first = self.seconds * 0.15 if begin is None else begin
        inside = (self.at >= first) & (self.at < (self.seconds if end is None else end))
        if not inside.any():  # answers take longer than the window: use all
            inside = self.at >= 0
        return float(np.percentile(self.milliseconds[inside], percent))


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one run: the answers of each group, and the generator's processor time."""

    groups: dict[str, Answers]
    load_cpu_seconds: float


def build(name: str = "tillload", folder: Path = Path(__file__).parent) -> Path:
    """The program `name` compiled from its source in `folder`, again when that has changed."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise LoadError("The load generator needs a C compiler; on Debian: apt-get install gcc libc6-dev")
    source = folder / f"{name}.c"
    version = hashlib.sha256(source.read_bytes()).hexdigest()[:8]
    program = ledgers.cache_folder() / f"{name}-{version}"
    if not program.exists():
        making = program.with_suffix(".making")
        subprocess.run([compiler, "-O2", "-o", str(making), str(source)], check=True)
        making.rename(program)
    return program


def drive(port: int, seconds: float, *groups: Group, may_run_out: bool = False, program: Path | None = None) -> Run:
    """Have `groups` trade with 127.0.0.1:`port`; LoadError where an answer was wrong or the frames ran out.

    `program` is a load generator of another checkout, in place of this one's.
    """
    with tempfile.NamedTemporaryFile(prefix="tillload-") as records:
        seed = str(time.time_ns() // 1_000_000)
        arguments = [program or build(), port, seconds, seed, records.name, *(each.argument() for each in groups)]
        done = subprocess.run(
            [*map(str, arguments)], capture_output=True, text=True, timeout=seconds + 120, check=False
        )
        if done.returncode:
            raise LoadError(f"The load generator ended with {done.returncode}: {done.stderr.strip()[:500]}")
        summary = json.loads(done.stdout)
        read = np.fromfile(records.name, dtype=_RECORD)
    lasted = min(seconds, (summary["ended_ns"] - summary["began_ns"]) / 1e9)
    found: dict[str, Answers] = {}
    for number, group in enumerate(groups):
        told = summary["groups"][number]
        if told["failed"] or not told["answered"]:
            raise LoadError(f"{group.name}: {told['failed']} wrong answers, such as: {told['first_failure'][:300]!r}")
        if told["exhausted"] and not may_run_out:
            raise LoadError(f"{group.name}: {told['exhausted']} connections ran out of frames; make more.")
        found[group.name] = Answers(read[read["group"] == number], summary["began_ns"], lasted, told)
    return Run(found, float(summary["cpu_s"]))
