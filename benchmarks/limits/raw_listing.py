"""Hand-written listing of all levels: `SELECT`, msgspec structs, JSON, in pages.

`… limits.raw_listing DATABASE PAGE` prints JSON. The digest covers the items' JSON, to compare with
the server's answer.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
import time
from datetime import UTC, datetime, timedelta

import msgspec

from benchmarks.trade import SCALE
from pos_client.protocol.messages import StockItem

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAGE = """
SELECT level.location, level.sku, on_hand, in_transit, last_movement_at, reorder_point, product.sku IS NULL
FROM level LEFT JOIN product ON product.sku = level.sku
WHERE (location, level.sku) > (?, ?) ORDER BY location, level.sku LIMIT ?
"""


def _item(row: tuple[str, str, int, int, int, int | None, int]) -> StockItem:
    location, sku, on_hand, in_transit, last_at, reorder, unlisted = row
    units = on_hand // SCALE
    moved_at = _EPOCH + timedelta(microseconds=last_at)
    return StockItem(
        sku=sku,
        location=location,
        on_hand=units,
        reserved=0,
        available=units,
        in_transit=in_transit // SCALE,
        reorder_point=None if reorder is None else reorder // SCALE,
        last_movement_at=moved_at,
        unlisted=bool(unlisted),
    )


def main(path: str, page: int) -> None:
    """Read all pages once."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    encode = msgspec.json.Encoder().encode
    digest = hashlib.sha256()
    after, count, seconds = ("", ""), 0, 0.0
    while True:
        began = time.perf_counter()
        rows = db.execute(_PAGE, (*after, page)).fetchall()
        text = encode([_item(row) for row in rows])
        seconds += time.perf_counter() - began
        if not rows:
            break
        after = (rows[-1][0], rows[-1][1])
        count += len(rows)
        digest.update(text)
    print(json.dumps({"items": count, "seconds": seconds, "digest": digest.hexdigest()}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
