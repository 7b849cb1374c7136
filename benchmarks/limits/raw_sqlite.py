"""L1: hand-written `sqlite3`: Tillwire's rows in its schema, without server, checks or rules.

`… limits.raw_sqlite DATABASE SALES_PER_COMMIT SECONDS` prints JSON: sales, seconds, and each commit's milliseconds.
It keeps the levels in memory and skips the checks that a server must make: duplicates, counts, gaps.
Sales are prepared beforehand; building their rows, writing them and committing is timed.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from benchmarks import trade
from benchmarks.trade import Sale
from inventory_server.store.database.sqlite import writing_engine
from inventory_server.store.ledger.tables import SEGMENT_POSITIONS_LOG2

SALES_A_SECOND_MAX = 90_000
_POSTING = "INSERT INTO posting VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)"
_MOVEMENT = "INSERT INTO movement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_LEVEL = """
INSERT INTO level (location, sku, on_hand, moved, in_transit, last_movement_at) VALUES (?, ?, ?, ?, 0, ?)
ON CONFLICT (location, sku)
DO UPDATE SET on_hand = excluded.on_hand, moved = excluded.moved, last_movement_at = excluded.last_movement_at
"""


class Raw:
    """One exclusive connection, and its state between commits."""

    def __init__(self, path: str) -> None:
        engine = writing_engine(Path(path))  # with Tillwire's own pragmas
        self.db: sqlite3.Connection = engine.raw_connection().driver_connection  # type: ignore[assignment]
        self._position, self._latest_at = self.db.execute("SELECT position, segment_latest_at FROM ledger").fetchone()
        levels = self.db.execute("SELECT location, sku, on_hand FROM level")
        self._levels = {(location, sku): on_hand for location, sku, on_hand in levels}
        self._lineage = b"raw".ljust(16)
        self._seq = 0
        self.db.execute(
            "INSERT INTO terminal (terminal, role, location, enrolled_at, epoch, head, pending, dead) "
            "VALUES ('raw', 'till', 'store-01', 0, 1, ?, 0, 0)",
            (bytes(32),),
        )
        self.db.execute(
            "INSERT INTO lineage (terminal, lineage, acked_seq, beyond, count, quantity) "
            "VALUES ('raw', ?, 0, '[]', 0, 0)",
            (self._lineage,),
        )

    def commit(self, sales: Iterable[tuple[Sale, bytes]]) -> None:
        """Write `sales` with their digests in one transaction."""
        now = time.time_ns() // 1_000
        postings: list[tuple[object, ...]] = []
        movements: list[tuple[object, ...]] = []
        changed: dict[tuple[str, str], tuple[object, ...]] = {}
        segments: list[tuple[int, int | None]] = []
        for sale, digest in sales:
            if (self._position + 1) >> SEGMENT_POSITIONS_LOG2 != self._position >> SEGMENT_POSITIONS_LOG2:
                segments.append((self._position >> SEGMENT_POSITIONS_LOG2, self._latest_at))
            self._position += 1
            self._seq += 1
            self._latest_at = sale.occurred_at
            row = (self._position, sale.id, "raw", self._lineage, self._seq, "sale", sale.location, sale.occurred_at)
            postings.append((*row, 0, sale.occurred_at, now, 0, "R-00000001", digest, sale.body))
            self._move(sale, movements, changed)
        self._write(postings, sorted(movements), [changed[key] for key in sorted(changed)], segments, now)

    def _move(
        self, sale: Sale, movements: list[tuple[object, ...]], changed: dict[tuple[str, str], tuple[object, ...]]
    ) -> None:
        segment = self._position >> SEGMENT_POSITIONS_LOG2
        for entry, (sku, quantity) in enumerate(sale.lines):
            key = (sale.location, sku)
            moved = -quantity * trade.SCALE
            on_hand = self._levels[key] = self._levels.get(key, 0) + moved
            movements.append((segment, *key, self._position, entry, 0, sale.occurred_at, None, moved, on_hand))
            changed[key] = (*key, on_hand, on_hand, sale.occurred_at)

    def _write(
        self,
        postings: Sequence[tuple[object, ...]],
        movements: Sequence[tuple[object, ...]],
        levels: Sequence[tuple[object, ...]],
        segments: Sequence[tuple[object, ...]],
        now: int,
    ) -> None:
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO identity (position, id) VALUES (?, ?)", [row[:2] for row in postings])
        db.executemany(_POSTING, postings)
        db.executemany(_MOVEMENT, movements)
        db.executemany(_LEVEL, levels)
        db.executemany("INSERT INTO segment VALUES (?, ?)", segments)
        db.execute("UPDATE terminal SET head = ?, contact_at = ? WHERE terminal = 'raw'", (postings[-1][13], now))
        lineage = (self._seq, self._seq, now, self._lineage)
        db.execute(
            "UPDATE lineage SET acked_seq = ?, count = ?, acked_at = ? WHERE terminal = 'raw' AND lineage = ?", lineage
        )
        ledger = (self._position, now, self._latest_at)
        db.execute("UPDATE ledger SET position = ?, recorded_at = ?, segment_latest_at = ?", ledger)
        db.execute("COMMIT")


def main(path: str, per_commit: int, seconds: float) -> None:
    """Commit for `seconds`, or until the prepared sales are used up."""
    raw = Raw(path)
    ready_count = int(SALES_A_SECOND_MAX * seconds) if per_commit > 1 else int(10_000 * seconds)
    made = islice(trade.sales(time.time_ns() // 1_000, 1_000, random.Random(time.time_ns())), ready_count)
    ready = [(sale, hashlib.sha256(sale.body).digest()) for sale in made]
    commits: list[float] = []
    began = last = time.perf_counter()
    for first in range(0, len(ready), per_commit):
        raw.commit(ready[first : first + per_commit])
        now = time.perf_counter()
        commits.append((now - last) * 1e3)
        last = now
        if now - began >= seconds:
            break
    print(json.dumps({"sales": len(commits) * per_commit, "seconds": last - began, "commit_ms": commits}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
