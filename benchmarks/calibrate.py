"""Measures the model's service times and, in the same rounds, the curve that it has to reproduce.

`python -m benchmarks.calibrate` writes `results/scale.json`. The machine must be idle: other load distorts the results.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import chain, machine, trade
from benchmarks.bench import Bench
from benchmarks.limits.observed import Commit
from benchmarks.load import Group, drive
from benchmarks.postgres import Shop, shop
from benchmarks.servers import free_port, python, running

RESULTS = Path(__file__).with_name("results") / "scale.json"
TILLS_CURVE = (1, 4, 16, 64, 256, 1_000)
WARM_UP_SHARE = 0.15
"""Share of a load's commits that is discarded."""
FRAMES_A_SECOND_MAX = 45_000
DESCRIPTORS = 8_192
POSTGRESQL = "postgresql"
WORKERS_CURVE = ((1, 64), (2, 64), (4, 64), (1, 256), (2, 256), (4, 256))
"""(server processes on one PostgreSQL, tills)."""
Parts = dict[str, float]


def say(text: str) -> None:
    """Report progress to standard error."""
    print(text, file=sys.stderr, flush=True)


def parts_of(commits: list[Commit], apart: bool) -> Parts:
    """Seconds per sale in these commits, sales per commit, and database calls per commit.

    `apart`: the database is a separate process; its time is what the writer waits for, except for the disk.
    """
    first, *counted = commits[round(len(commits) * WARM_UP_SHARE) :]
    sales = sum(each.sales for each in counted)
    watched = [each for each in counted if each.calls]
    inside = _sum(watched, "inside") / (_sum(watched, "processor") - _sum(watched, "durable_processor"))
    processor, durable = _sum(counted, "processor"), _sum(counted, "durable_processor")
    disk = _sum(counted, "durable_wall") - durable
    store = _sum(counted, "wall") - processor - disk if apart else durable + (processor - durable) * inside
    return {
        "front": (counted[-1].process - first.process - processor) / sales,
        "judge": (processor - (0.0 if apart else store)) / sales,
        "store": store / sales,
        "disk": disk / sales,
        "size": sales / len(counted),
        "calls": statistics.fmean(each.calls for each in watched),
    }


def _sum(commits: Iterable[Commit], name: str) -> float:
    return sum(getattr(each, name) for each in commits)


class Measured:
    """The measurements of all rounds."""

    def __init__(self, bench: Bench, shop: Shop) -> None:
        self._bench, self._shop = bench, shop
        self.curve: list[dict[str, float]] = []
        self.workers: list[dict[str, float]] = []
        self.parts: list[dict[str, Any]] = []
        self.wake: list[float] = []

    def round(self) -> None:
        """One round: each measurement once, in turn."""
        self.wake.append(self._wake())
        for tills in TILLS_CURVE:
            with self._bench.tillwire() as server:
                self.curve.append({"tills": tills, "live": self._bench.live(server, tills).rate()})
            say(f"SQLite: {self.curve[-1]}")
            self._observe("sqlite", tills, f"sqlite:///{self._bench.opened_shop('observed.db')}")
            self._observe(POSTGRESQL, tills, self._shop.url(self._shop.database()))
        for workers, tills in WORKERS_CURVE:
            with self._bench.serving(self._shop.url(self._shop.database()), workers) as server:
                live = self._bench.live(server, tills).rate()
            self.workers.append({"workers": workers, "tills": tills, "live": live})
            say(f"PostgreSQL: {self.workers[-1]}")

    def _observe(self, database: str, tills: int, url: str) -> None:
        port, found = free_port(), self._bench.file("observed.json")
        command = python("limits.observed", port, url, found)
        with running(command, port, self._bench.file("observed.log")) as server:
            run = drive(server.port, self._bench.seconds, self._group("live", tills))
        commits = [Commit(*each) for each in json.loads(found.read_text())]
        parts = parts_of(commits, apart=database == POSTGRESQL)
        parts["client"] = run.load_cpu_seconds / len(run.groups["live"].at)
        self.parts.append({"database": database, "tills": tills, **parts})
        say(f"{self.parts[-1]}")

    def _wake(self) -> float:
        """A single client's echo: client and server only wait for each other."""
        with self._bench.echo() as server:
            run = drive(server.port, self._bench.seconds, self._group("echo", 1))
        echoes = run.groups["echo"]
        return (1 / echoes.rate() - (run.load_cpu_seconds + server.cpu_seconds) / len(echoes.at)) / 2

    def _group(self, name: str, tills: int) -> Group:
        frames = int(FRAMES_A_SECOND_MAX * self._bench.seconds / tills) + 2
        return Group("post", name, tills, frames, check=name != "echo")

    def costs(self, database: str) -> dict[str, Any]:
        """The service times in seconds, by the model's names."""
        found: dict[int, list[Parts]] = defaultdict(list)
        for each in self.parts:
            if each["database"] == database:
                found[each["tills"]].append(each)
        medians = {tills: _medians(rounds) for tills, rounds in sorted(found.items())}
        return {
            "wake": max(0.0, statistics.median(self.wake)),
            **{name: [(tills, parts[name]) for tills, parts in medians.items()] for name in ("client", "front")},
            **{
                name: [(parts["size"], parts[name]) for parts in medians.values()]
                for name in ("judge", "store", "disk", "calls")
            },
        }


def _medians(rounds: list[Parts]) -> Parts:
    names = ("client", "front", "judge", "store", "disk", "size", "calls")
    return {name: statistics.median(each[name] for each in rounds) for name in names}


def bytes_of_postgresql(shop: Shop) -> dict[str, float]:
    """Bytes per sale and per level of a PostgreSQL ledger."""
    database = shop.database()
    level = shop.size(database, "level") / (len(trade.LOCATIONS) * len(trade.SKUS))
    ledger = ("identity", "posting", "movement")
    before = shop.size(database, *ledger)
    chain.sell(shop.url(database))
    return {"sale": (shop.size(database, *ledger) - before) / chain.MEASURED_SALES, "level": level}


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=3.0, help="length of each load")
    options.add_argument("--folder", type=Path, help="where the databases lie; a temporary folder if not given")
    options.add_argument("--to", type=Path, default=RESULTS, help="the file to write")
    return options.parse_args()


def main() -> None:
    """Measure and write the results."""
    chosen = read_options()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, DESCRIPTORS), hard))
    folder = Path(tempfile.mkdtemp(prefix="tillwire-calibrate-", dir=chosen.folder))
    bench = Bench(folder, chosen.seconds, 0, 0, None, None)
    try:
        described = machine.describe(folder)
        with shop() as opened_shop:
            sizes = {"sqlite": chain.bytes_of_sqlite(folder), POSTGRESQL: bytes_of_postgresql(opened_shop)}
            measured = Measured(bench, opened_shop)
            for number in range(chosen.rounds):
                say(f"round {number + 1}/{chosen.rounds}")
                measured.round()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": described,
        "rounds": chosen.rounds,
        "seconds": chosen.seconds,
        "costs": {database: measured.costs(database) for database in ("sqlite", POSTGRESQL)},
        "bytes": sizes,
        "curve": measured.curve,
        "workers": measured.workers,
        "parts": measured.parts,
    }
    chosen.to.write_text(json.dumps(result, indent=1, ensure_ascii=False) + os.linesep)


if __name__ == "__main__":
    main()
