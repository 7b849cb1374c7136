"""Measures the service times that the model needs, and in the same rounds the curve that it has to reproduce.

`python -m benchmarks.calibrate` writes `results/scale.json`. The machine has to be quiet: what else runs counts, too.
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
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import chain, ledgers, machine, trade
from benchmarks.bench import Bench
from benchmarks.load import Group, Run, drive
from benchmarks.model import Linear
from benchmarks.postgres import Shop, shop
from benchmarks.scenarios import tills_curve
from benchmarks.servers import Server
from benchmarks.stages import Staged
from inventory_server.commands.serve import collect_rarely

RESULTS = Path(__file__).with_name("results") / "scale.json"
TILLS_CURVE = (1, 4, 16, 64, 256, 1_000)
COMMIT_SIZES = (1, 4, 16, 64, 256)
COMMITS_OF_EACH = 12
WARM_UP_COMMITS = 40
"""Of the largest size: as many levels are then remembered as in the middle of a load on a server."""
FRAMES_A_SECOND_MAX = 90_000
POSTGRESQL = "postgresql"
WORKERS_CURVE = ((1, 64), (2, 64), (4, 64), (1, 256), (2, 256), (4, 256))
"""Server processes on one PostgreSQL, and tills."""
Times = dict[str, list[float]]
Sizes = dict[int, Times]
"""Of a commit of so many sales, each time of its parts in seconds, and the calls of the database."""


def say(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)


def commits(staged: Staged, found: Sizes, apart: bool) -> None:
    """Commit some of each size in turns. `apart`: the database is a process of its own, so that all of the processor
    time here is spent under the interpreter lock or waiting for it, and its own cannot be told from its disk's."""
    for _ in range(COMMITS_OF_EACH):
        for size in COMMIT_SIZES:
            staged.forget()
            staged.commit(size)
            inside = staged.transaction_seconds - staged.spent["judge and write"] + staged.calls_seconds
            waited = staged.wall_seconds - staged.transaction_seconds
            times = found.setdefault(size, {})
            for name, value in {
                "read": staged.spent["read the frame"],
                "answer": staged.spent["answer"],
                "judge": staged.transaction_seconds - (0 if apart else inside),
                "store": waited if apart else inside,
                "disk": 0.0 if apart else waited,
                "statements": float(staged.calls),
            }.items():
                times.setdefault(name, []).append(value)


def fitted(found: Sizes, name: str) -> Linear:
    """What `name` takes by the size of a commit."""
    return Linear.through({size: statistics.fmean(times[name]) for size, times in found.items()})


class Measured:
    """What the rounds find."""

    def __init__(self, bench: Bench, shop: Shop) -> None:
        self._bench, self._shop = bench, shop
        self.curve: list[dict[str, float]] = []
        self.workers: list[dict[str, float]] = []
        self.sqlite: Sizes = {}
        self.postgresql: Sizes = {}
        self.times: Times = {}

    def round(self, staged: dict[str, Staged]) -> None:
        """Everything once, in turns."""
        for name, each in staged.items():
            commits(each, getattr(self, name), apart=name == POSTGRESQL)
        self._note("queue", staged["sqlite"].queue(COMMIT_SIZES[-1]))
        with self._bench.echo() as server:
            alone, many = self._echo(server, 1), self._echo(server, 64)
        self._note("client", many.load_cpu_seconds / len(many.groups["echo"].at))
        self._note("echo_alone", 1 / alone.groups["echo"].rate())
        self._note("echo_many", 1 / many.groups["echo"].rate())
        self._note("flush", machine.flush_seconds(self._bench.folder))
        for tills in TILLS_CURVE:
            self.curve.append({"tills": tills, **tills_curve(self._bench, tills)})
            say(f"{self.curve[-1]}")
        for workers, tills in WORKERS_CURVE:
            self.workers.append({"workers": workers, "tills": tills, "live": self._live(workers, tills)})
            say(f"{self.workers[-1]}")

    def _live(self, workers: int, tills: int) -> float:
        """Sales a second of server processes on a PostgreSQL that shares the processors with them."""
        with self._bench.serving(self._shop.url(self._shop.database()), workers) as server:
            return self._bench.live(server, tills).rate()

    def _note(self, name: str, value: float) -> None:
        self.times.setdefault(name, []).append(value)

    def _echo(self, server: Server, tills: int) -> Run:
        frames = int(FRAMES_A_SECOND_MAX * self._bench.seconds / tills) + 2
        return drive(server.port, self._bench.seconds, Group("post", "echo", tills, frames, check=False))

    def costs(self, sizes: Sizes, apart: bool = False) -> dict[str, Any]:
        """The service times in seconds, by the names that the model has for them."""
        times = {name: statistics.median(values) for name, values in self.times.items()}
        lines = {name: fitted(sizes, name) for name in ("read", "answer", "judge", "store", "disk", "statements")}
        lines["read"] = Linear(lines["read"].fixed, lines["read"].each + times["queue"])
        if apart:  # of what a commit waits for the database, one flush is the disk's
            flush = min(times["flush"], lines["store"].fixed)
            lines |= {"store": Linear(lines["store"].fixed - flush, lines["store"].each), "disk": Linear(flush, 0.0)}
        return {
            "client": times["client"],
            "wake": max(0.0, times["echo_alone"] - times["client"] - times["echo_many"]) / 2,
            "socket": times["echo_many"],
            **{name: list(line) for name, line in lines.items()},
        }


def warm(url: str, opened: ExitStack) -> Staged:
    """A ledger that has seen some trade."""
    staged = Staged(url, COMMIT_SIZES[-1], 1)
    opened.callback(staged.close)
    for _ in range(WARM_UP_COMMITS):
        staged.commit()
    return staged


def read_options() -> argparse.Namespace:
    """What the person wants."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=3.0, help="length of each load")
    options.add_argument("--folder", type=Path, help="where the databases lie; a temporary folder if not given")
    options.add_argument("--to", type=Path, default=RESULTS, help="the file to write")
    return options.parse_args()


def main() -> None:
    """Measure and write."""
    chosen = read_options()
    collect_rarely()  # as a server does
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8_192)), hard))
    folder = Path(tempfile.mkdtemp(prefix="tillwire-calibrate-", dir=chosen.folder))
    bench = Bench(folder, chosen.seconds, 0, 0, None, None)
    try:
        described = machine.describe(folder)
        bytes_of_sqlite = chain.bytes_of_sqlite(folder)
        with shop() as opened_shop, ExitStack() as opened:
            measured = Measured(bench, opened_shop)
            sqlite = ledgers.copy(ledgers.prepared(0), folder / "calibrate.db")
            traded = opened_shop.database()
            level = opened_shop.size(traded, "level") / (len(trade.LOCATIONS) * len(trade.SKUS))
            before = opened_shop.size(traded, "identity", "posting", "movement")
            staged = {"sqlite": warm(f"sqlite:///{sqlite}", opened), POSTGRESQL: warm(opened_shop.url(traded), opened)}
            sale = (opened_shop.size(traded, "identity", "posting", "movement") - before) / (
                WARM_UP_COMMITS * COMMIT_SIZES[-1]
            )
            for number in range(chosen.rounds):
                say(f"round {number + 1}/{chosen.rounds}")
                measured.round(staged)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": described,
        "rounds": chosen.rounds,
        "seconds": chosen.seconds,
        "costs": {
            "sqlite": measured.costs(measured.sqlite),
            POSTGRESQL: measured.costs(measured.postgresql, apart=True),
        },
        "bytes": {"sqlite": bytes_of_sqlite, POSTGRESQL: {"sale": sale, "level": level}},
        "curve": measured.curve,
        "workers": measured.workers,
        "sizes": {"sqlite": _means(measured.sqlite), POSTGRESQL: _means(measured.postgresql)},
        "times": measured.times,
    }
    chosen.to.write_text(json.dumps(result, indent=1, ensure_ascii=False) + os.linesep)


def _means(sizes: Sizes) -> dict[int, dict[str, float]]:
    return {size: {name: statistics.fmean(values) for name, values in times.items()} for size, times in sizes.items()}


if __name__ == "__main__":
    main()
