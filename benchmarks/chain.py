"""The load of the largest retail chain on headquarters, computed from a few stated numbers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks import ledgers, trade
from benchmarks.stages import Staged
from inventory_server.config import READERS_MAX, Settings

STORES = 10_500
TILLS_A_STORE = 8
SALES_A_SECOND_AND_STORE = 3
"""At peak: one sale in under three seconds at each till, more than cashiers can do."""
SKUS_A_STORE = 100_000
PEAK_HOURS_A_DAY = 2
"""A day's sales equal this many hours at peak: continuous scanning."""
OPEN_HOURS_A_DAY = 12
DAYS_A_YEAR = 365
LOADED = 0.6
"""Share of a book's capacity used at peak; the rest is for catching up after an interruption."""

TILLS = STORES * TILLS_A_STORE
SALES_A_SECOND = STORES * SALES_A_SECOND_AND_STORE
SALES_A_DAY = SALES_A_SECOND * 3_600 * PEAK_HOURS_A_DAY

MEASURED_SALES = 4_096
_TILLS, _BATCH = 64, 4


def rows(
    bytes_a_sale: float, bytes_a_level: float, tills_a_server: int = Settings().max_connections
) -> list[list[str]]:
    """Rows of (what, derivation, how much)."""
    settings = Settings()
    servers = -(-TILLS // tills_a_server)
    pause = OPEN_HOURS_A_DAY * 3_600 * TILLS / SALES_A_DAY
    a_year = SALES_A_DAY * DAYS_A_YEAR
    return [
        ["tills, each with a connection", f"{STORES:,} stores × {TILLS_A_STORE}", f"{TILLS:,}"],
        [
            "server processes",
            f"{tills_a_server:,} connections each (`max_connections`)",
            f"{servers:,}",
        ],
        [
            "connections to the database",
            f"a writer and at most {READERS_MAX} readers for each server process",
            f"{servers * (1 + READERS_MAX):,}",
        ],
        [
            "pings a second while idle",
            f"every {settings.heartbeat_seconds} s from each till (`heartbeat_seconds`)",
            f"{TILLS // settings.heartbeat_seconds:,}",
        ],
        ["sales a second at peak", f"{SALES_A_SECOND_AND_STORE} for each store", f"{SALES_A_SECOND:,}"],
        [
            "time per commit of one sale",
            "without group commit, serial flushes to disk",
            f"{1e6 / SALES_A_SECOND:.0f} µs for each",
        ],
        ["movements a second at peak", f"{trade.LINES} lines a sale", f"{SALES_A_SECOND * trade.LINES:,}"],
        [
            "sales a day",
            f"{PEAK_HOURS_A_DAY} hours at peak, or {OPEN_HOURS_A_DAY} hours with one every {pause:.0f} s at each till",
            f"{SALES_A_DAY / 1e6:,.0f} million",
        ],
        [
            "rows stored a day",
            f"a posting and {trade.LINES} movements for each sale",
            f"{SALES_A_DAY * (1 + trade.LINES) / 1e6:,.0f} million",
        ],
        [
            "bytes a year",
            f"{bytes_a_sale:,.0f} bytes a sale, indexes included (measured)",
            f"{a_year * bytes_a_sale / 1e12:,.0f} TB",
        ],
        ["levels", f"{SKUS_A_STORE:,} skus a store", f"{STORES * SKUS_A_STORE / 1e6:,.0f} million"],
        [
            "bytes of levels",
            f"{bytes_a_level:,.0f} bytes each, indexes included (measured)",
            f"{STORES * SKUS_A_STORE * bytes_a_level / 1e9:,.0f} GB",
        ],
    ]


def bytes_of_sqlite(folder: Path) -> dict[str, float]:
    """Bytes per sale, posted as tills do, and per level of an SQLite ledger."""
    path = ledgers.copy(ledgers.prepared(0), folder / "bytes.db")
    before = _size(path)
    sell(f"sqlite:///{path}")
    after = _size(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("VACUUM")
        full = _pages(connection)
        connection.execute("DELETE FROM level")
        connection.execute("VACUUM")
        levels = full - _pages(connection)
    return {"sale": (after - before) / MEASURED_SALES, "level": levels / (len(trade.LOCATIONS) * len(trade.SKUS))}


def sell(url: str) -> None:
    """Post `MEASURED_SALES` as tills do."""
    staged = Staged(url, _TILLS, _BATCH)
    for _ in range(MEASURED_SALES // (_TILLS * _BATCH)):
        staged.commit()
    staged.close()


def _size(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return _pages(connection)


def _pages(connection: sqlite3.Connection) -> int:
    (pages,), (size,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    return int(pages) * int(size)
