"""How a copy to another database and its proof grow: 12 counted stores against 3, SQLite to PostgreSQL, in turns.

`python -m benchmarks.proof [ROUNDS]` fails where four times the ledger takes more than `RATIO_MAX` times as long.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.postgres import SETTINGS
from inventory_server.store import upgrade
from tests.support.ledgers import HOUR, NOON, Till, body, opened
from tests.support.maintenance import copy, verified
from tests.support.postgres import Cluster

FEW, MANY = 3, 12
SKUS = tuple(f"{number:05}" for number in range(5_000))
SALES = 2_000
"""Sales of 3 lines at each store, a half before its count and a half after it."""
LINES = 1_000
"""Lines of a receipt or a count."""
FRAME = 200
RATIO_MAX = 5.0


def make(path: Path, stores: int) -> None:
    """A ledger in which each store has received, sold and counted every product."""
    chance = random.Random(stores)
    with opened(path) as store:
        tills = [Till(store, f"till {number}", f"store {number}") for number in range(stores)]
        runs = [SKUS[first : first + LINES] for first in range(0, len(SKUS), LINES)]
        for till in tills:
            till.post(*(body("receipt", *((sku, 100) for sku in skus)) for skus in runs))
        for half in range(2):
            for till in tills:
                _sell(till, NOON + (1 + 2 * half) * HOUR, chance)
            for till in () if half else tills:
                till.post(*(body("count", *((sku, 90) for sku in skus), at=NOON + 2 * HOUR) for skus in runs))


def _sell(till: Till, since: int, chance: random.Random) -> None:
    sales = [
        body("sale", *((sku, 1) for sku in chance.sample(SKUS, 3)), at=since + number, reference=f"R{since + number}")
        for number in range(SALES // 2)
    ]
    for first in range(0, len(sales), FRAME):
        till.post(*sales[first : first + FRAME])


def seconds(job: Callable[[], object]) -> float:
    """How long a job takes."""
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def measured(cluster: Cluster, path: Path) -> tuple[float, float]:
    """The seconds that a copy takes into an empty database, and its proof there."""
    name = cluster.database()
    upgrade(cluster.url(name))
    copied = seconds(lambda: copy(f"sqlite:///{path}", cluster.url(name)))
    proven = seconds(lambda: _prove(cluster.url(name)))
    cluster.drop(name)
    return copied, proven


def _prove(url: str) -> None:
    proof = verified(url)
    if not proof.holds:
        raise ValueError("; ".join(proof.findings))


def main(rounds: int = 3) -> int:
    """Measure in turns and print seconds and ratios; the exit code is 1 where a ratio is too high."""
    with tempfile.TemporaryDirectory() as folder, Cluster(durable=True, tcp=True, settings=SETTINGS) as cluster:
        paths = {stores: Path(folder) / f"{stores}.db" for stores in (FEW, MANY)}
        for stores, path in paths.items():
            make(path, stores)
        ratios = []
        print("copied", "proven", "copied", "proven", "ratio", sep="\t")
        for _ in range(rounds):
            few, many = measured(cluster, paths[FEW]), measured(cluster, paths[MANY])
            ratios.append(sum(many) / sum(few))
            print(*(f"{each:.1f}" for each in (*few, *many)), f"{ratios[-1]:.2f}", sep="\t", flush=True)
    return int(median(ratios) > RATIO_MAX)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
