"""Hand-written PostgreSQL: Tillwire's rows by `COPY` and one upsert of the levels; no server, no rules.

`… limits.raw_postgres URL SALES_PER_COMMIT SECONDS` prints JSON: sales, seconds. Like `limits.raw_sqlite` it keeps the
levels in memory and skips the checks that a server must make.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from itertools import islice

import psycopg
from sqlalchemy import make_url

from benchmarks import trade
from benchmarks.trade import Sale
from inventory_server.store.ledger.tables import SEGMENT_POSITIONS_LOG2

SALES_A_SECOND_MAX = 60_000
_LEVEL = """
INSERT INTO level (location, sku, on_hand, moved, in_transit, last_movement_at)
SELECT location, sku, on_hand, on_hand, 0, at
FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[]) AS given (location, sku, on_hand, at)
ON CONFLICT (location, sku)
DO UPDATE SET on_hand = excluded.on_hand, moved = excluded.moved, last_movement_at = excluded.last_movement_at
"""
_LINEAGE = b"raw".ljust(16)


class Raw:
    """One connection, and its state between commits."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self._db = psycopg.connect(host=parsed.host, port=parsed.port, user=parsed.username, dbname=parsed.database)
        (self._position,) = self._db.execute("SELECT position FROM ledger").fetchone()  # type: ignore[misc]
        rows = self._db.execute("SELECT location, sku, on_hand FROM level")
        self._levels: dict[tuple[str, str], int] = {(location, sku): on_hand for location, sku, on_hand in rows}
        self._db.execute(
            "INSERT INTO terminal (terminal, role, location, enrolled_at, epoch, head, pending, dead) "
            "VALUES ('raw', 'till', 'store-01', 0, 1, %s, 0, 0)",
            (bytes(32),),
        )
        self._db.commit()

    def commit(self, sales: list[tuple[Sale, bytes]]) -> None:
        """Write `sales` with their digests in one transaction."""
        now = time.time_ns() // 1_000
        postings: list[tuple[object, ...]] = []
        movements: list[tuple[object, ...]] = []
        changed: dict[tuple[str, str], int] = {}
        for sale, digest in sales:
            self._position += 1
            row = (self._position, sale.id, "raw", _LINEAGE, self._position, "sale", sale.location, sale.occurred_at)
            postings.append((*row, 0, sale.occurred_at, now, 0, "R-00000001", digest, sale.body, None, None))
            for entry, (sku, quantity) in enumerate(sale.lines):
                key = (sale.location, sku)
                moved = -quantity * trade.SCALE
                changed[key] = self._levels[key] = self._levels.get(key, 0) + moved
                place = (self._position >> SEGMENT_POSITIONS_LOG2, *key, self._position, entry, 0)
                movements.append((*place, sale.occurred_at, None, moved, changed[key]))
        self._write(postings, sorted(movements, key=lambda row: row[:5]), changed, now)

    def _write(
        self,
        postings: list[tuple[object, ...]],
        movements: list[tuple[object, ...]],
        changed: dict[tuple[str, str], int],
        now: int,
    ) -> None:
        identities = [(row[1], row[0]) for row in postings]
        for table, rows in (("identity", identities), ("posting", postings), ("movement", movements)):
            with self._db.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copying:
                for row in rows:
                    copying.write_row(row)
        keys = sorted(changed)
        locations, skus = [location for location, _ in keys], [sku for _, sku in keys]
        self._db.execute(_LEVEL, (locations, skus, [changed[key] for key in keys], [now] * len(keys)))
        self._db.execute(
            "UPDATE terminal SET head = %s, contact_at = %s WHERE terminal = 'raw'", (postings[-1][13], now)
        )
        self._db.execute("UPDATE ledger SET position = %s, recorded_at = %s", (self._position, now))
        self._db.commit()


def main(url: str, per_commit: int, seconds: float) -> None:
    """Commit for `seconds`, or until the prepared sales are used up."""
    raw = Raw(url)
    made = islice(
        trade.sales(time.time_ns() // 1_000, 1_000, random.Random(time.time_ns())), int(SALES_A_SECOND_MAX * seconds)
    )
    ready = [(sale, hashlib.sha256(sale.body).digest()) for sale in made]
    sales = 0
    began = last = time.perf_counter()
    while sales < len(ready) and last - began < seconds:
        raw.commit(ready[sales : sales + per_commit])
        sales += per_commit
        last = time.perf_counter()
    print(json.dumps({"sales": sales, "seconds": last - began}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
