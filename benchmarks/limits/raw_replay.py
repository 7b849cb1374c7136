"""Hand-written replay of Complete Journey: CSV to baskets, 1,000 baskets a commit, in Tillwire's schema.

`… limits.raw_replay FILE DATABASE` prints JSON: the number of baskets. No server, tills, checks or outbox.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import sys
from datetime import datetime

from benchmarks.limits.raw_sqlite import Raw
from benchmarks.trade import Sale

PER_COMMIT = 1_000


def _baskets(path: str) -> list[tuple[Sale, bytes]]:
    baskets: dict[str, list[dict[str, str]]] = {}
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            baskets.setdefault(row["basket_id"], []).append(row)
    return [_sale(rows) for rows in baskets.values()]


def _sale(rows: list[dict[str, str]]) -> tuple[Sale, bytes]:
    first = rows[0]
    text = first["transaction_timestamp_local"]
    at = int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp()) * 1_000_000
    lines = [(row["product_id"], int(row["quantity"])) for row in rows]
    shown = [{"quantity": quantity, "sku": sku} for sku, quantity in lines]
    body = json.dumps({"type": "sale", "occurred_at": text, "lines": shown}, separators=(",", ":")).encode()
    id_ = hashlib.sha256(first["basket_id"].encode()).digest()[:16]
    return Sale(id_, first["store_id"], at, lines, body), hashlib.sha256(body).digest()


def main(path: str, database: str) -> None:
    """Read and write the whole file once."""
    raw = Raw(database)
    baskets = _baskets(path)
    for first in range(0, len(baskets), PER_COMMIT):
        raw.commit(baskets[first : first + PER_COMMIT])
    print(json.dumps({"baskets": len(baskets)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
