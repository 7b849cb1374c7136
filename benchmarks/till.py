"""Cost of one offline `sell()` beside a hand-written commit of the same row; prints JSON medians in ms.

`… till FOLDER SALES`. Both write to their own file in WAL mode with synchronous=FULL, alternating every 50 sales.
"""

from __future__ import annotations

import json
import random
import sqlite3
import statistics
import sys
import time
from itertools import islice
from pathlib import Path

from benchmarks import trade
from benchmarks.trade import Sale
from pos_client.till.client import PosClient

TURN = 50
NOBODY = "127.0.0.1:9"
_INSERT = "INSERT INTO posting (id, lineage, seq, occurred_at, quantity, reference, body) VALUES (?, 1, ?, ?, ?, ?, ?)"


def _raw(outbox: Path, copy: Path) -> sqlite3.Connection:
    """A file with the outbox's own tables and indexes, written by hand."""
    source = sqlite3.connect(outbox)
    tables = [sql for (sql,) in source.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")]
    source.close()
    db = sqlite3.connect(copy, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    for sql in tables:
        db.execute(sql)
    return db


def _commit(db: sqlite3.Connection, number: int, sale: Sale) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.execute(_INSERT, (sale.id, number, sale.occurred_at, -1, "R-1", sale.body))
    db.execute("COMMIT")


def main(folder: Path, count: int) -> None:
    """Alternate between selling and committing."""
    sales = islice(trade.sales(time.time_ns() // 1_000, 1_000, random.Random(7)), count)
    selling: list[float] = []
    by_hand: list[float] = []
    client = PosClient(NOBODY, terminal="till-1", location="shop", outbox=folder / "outbox.db")
    raw = _raw(folder / "outbox.db", folder / "by-hand.db")
    ready = list(sales)
    for first in range(0, count, TURN):
        for sale in ready[first : first + TURN]:
            began = time.perf_counter()
            client.sell(sale.lines, reference="R-1")
            selling.append((time.perf_counter() - began) * 1e3)
        for number, sale in enumerate(ready[first : first + TURN], first):
            began = time.perf_counter()
            _commit(raw, number, sale)
            by_hand.append((time.perf_counter() - began) * 1e3)
    client.close()
    print(json.dumps({"sell_ms": statistics.median(selling), "raw_ms": statistics.median(by_hand)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
