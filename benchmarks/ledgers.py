"""Ledgers to start from, written directly into the production tables: opening day, and millions of past sales.

They equal what the server itself would have written (`inventory-server verify` proves them), only faster.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from benchmarks import trade
from inventory_server.domain.inventory import Account
from inventory_server.domain.lineage import FIRST_HEAD, next_head
from inventory_server.domain.references import digest_of
from inventory_server.store import upgrade
from inventory_server.store.ledger.tables import SEGMENT_POSITIONS_LOG2
from pos_client.protocol.wire import decode_body

OPENED_AT = 1_700_000_000_000_000
STEP_MICROS = 2_000_000
SEGMENT_POSITIONS = 1 << SEGMENT_POSITIONS_LOG2
_LINES_MAX = 1_000
_POSTING = (
    "position, id, terminal, lineage, seq, type, location, occurred_at, utc_offset_minutes, effective_at, "
    "recorded_at, flags, reference, digest, body"
)
_MOVEMENT = "segment, location, sku, position, entry, account, effective_at, quantity, on_hand_after"
_TERMINAL = "terminal, role, location, enrolled_at, epoch, head, lineage, contact_at, told_at, pending, dead, closed_at"
_LINEAGE = "terminal, lineage, acked_seq, beyond, count, quantity, acked_at"
_FORMAT = hashlib.sha256(Path(__file__).read_bytes() + Path(trade.__file__).read_bytes()).hexdigest()[:8]


def cache_folder() -> Path:
    """The cache of prepared ledgers; it may be deleted at any time."""
    named = os.environ.get("TILLWIRE_BENCH_CACHE")
    folder = Path(named) if named else Path(tempfile.gettempdir()) / f"tillwire-bench-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def prepared(movements: int) -> Path:
    """A ledger with about `movements` movements of sales, from the cache or newly created; copy it before use."""
    schema = hashlib.sha256()
    for script in sorted((Path(__file__).parents[1] / "schema/migrations/versions").glob("*.py")):
        schema.update(script.read_bytes())
    path = cache_folder() / f"ledger-{movements}-{_FORMAT}-{schema.hexdigest()[:8]}.db"
    if not path.exists():
        making = path.with_suffix(".making")
        for outdated in path.parent.glob(f"ledger-{movements}-*"):
            outdated.unlink()
        _make(making, movements)
        making.rename(path)
    return path


def copy(source: Path, target: Path) -> Path:
    """A working copy of a prepared ledger, synced to disk so that no measurement pays for it."""
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())
    return target


def _make(path: Path, movements: int) -> None:
    upgrade(f"sqlite:///{path}")
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-500000", "BEGIN"):
        connection.execute(statement)
    writer = _Bulk(connection)
    writer.open_shop()
    rng = random.Random(20)
    past = trade.sales(OPENED_AT + STEP_MICROS, STEP_MICROS, rng)
    for sale in islice(past, -(-movements // trade.LINES)):
        lines = [(sku, -quantity) for sku, quantity in sale.lines]
        writer.add("sale", sale.location, sale.occurred_at, sale.id, sale.body, lines)
    writer.finish()
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    for leftover in (".making-wal", ".making-shm", ".making.lock"):
        path.with_suffix(leftover).unlink(missing_ok=True)


class _Bulk:
    """Writes postings in position order; one terminal per location posts them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._position = 0
        self._recorded_at = 0
        self._postings: list[tuple[object, ...]] = []
        self._movements: list[tuple[object, ...]] = []
        self._levels: dict[tuple[str, str], list[int]] = {}
        self._heads = dict.fromkeys(trade.LOCATIONS, FIRST_HEAD)
        self._tallies = {location: [0, 0, 0] for location in trade.LOCATIONS}  # seq, signed quantity, last instant
        self._lineages = {location: hashlib.md5(location.encode()).digest() for location in trade.LOCATIONS}
        self._latest_at: int | None = None

    def open_shop(self) -> None:
        """List the products and post a receipt of all of them at every location."""
        self._put("product", "sku, name, unit, is_ranged", [(sku, f"Product {sku}", "each", 0) for sku in trade.SKUS])
        self._put("location", "location", [(location,) for location in trade.LOCATIONS])
        rng = random.Random(10)
        for location in trade.LOCATIONS:
            for first in range(0, len(trade.SKUS), _LINES_MAX):
                skus = trade.SKUS[first : first + _LINES_MAX]
                body = trade.receipt_body(OPENED_AT, skus, trade.OPENING_STOCK)
                lines = [(sku, trade.OPENING_STOCK) for sku in skus]
                self.add("receipt", location, OPENED_AT, trade.sale_id(OPENED_AT, rng), body, lines)
                scaled = [(sku, quantity * trade.SCALE) for sku, quantity in lines]
                self._put(
                    "reference",
                    "digest, position",
                    [(digest_of(decode_body(body), location, scaled), self._position)],
                )

    def add(self, kind: str, location: str, at: int, id_: bytes, body: bytes, lines: list[tuple[str, int]]) -> None:
        """One posting with its movements; `lines` are signed."""
        if (self._position + 1) % SEGMENT_POSITIONS == 0:
            self._close_segment()
        self._position += 1
        self._recorded_at = max(self._recorded_at + 1, at)
        digest = hashlib.sha256(body).digest()
        self._heads[location] = next_head(self._heads[location], id_, digest)
        tally = self._tallies[location]
        tally[0] += 1
        tally[1] += sum(quantity for _, quantity in lines) * trade.SCALE
        tally[2] = at
        reference = body[-12:-2].decode()
        row = (self._position, id_, f"past-{location}", self._lineages[location], tally[0], kind, location, at, 0, at)
        self._postings.append((*row, self._recorded_at, 0, reference, digest, body))
        for entry, (sku, quantity) in enumerate(lines):
            self._move(location, sku, entry, quantity * trade.SCALE, at)
        self._latest_at = max(self._latest_at or at, at)

    def _move(self, location: str, sku: str, entry: int, quantity: int, at: int) -> None:
        level = self._levels.setdefault((location, sku), [0, at])
        level[0] += quantity
        level[1] = max(level[1], at)
        segment = self._position >> SEGMENT_POSITIONS_LOG2
        row = (segment, location, sku, self._position, entry, int(Account.STOCK), at, quantity, level[0])
        self._movements.append(row)

    def _put(self, table: str, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
        marks = ", ".join("?" for _ in columns.split(","))
        self._connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)

    def _flush(self) -> None:
        self._put("identity", "position, id", [row[:2] for row in self._postings])
        self._put("posting", _POSTING, self._postings)
        self._put("movement", _MOVEMENT, sorted(self._movements, key=lambda row: row[:5]))
        self._postings, self._movements = [], []

    def _close_segment(self) -> None:
        self._flush()
        if self._latest_at is not None:
            self._put("segment", "segment, latest_at", [(self._position >> SEGMENT_POSITIONS_LOG2, self._latest_at)])
        self._latest_at = None

    def finish(self) -> None:
        """Write the tables that can be derived from the ledger."""
        self._flush()
        levels = sorted((*key, on_hand, on_hand, 0, last_at) for key, (on_hand, last_at) in self._levels.items())
        self._put("level", "location, sku, on_hand, moved, in_transit, last_movement_at", levels)
        self._put("terminal", _TERMINAL, [self._terminal_row(location) for location in trade.LOCATIONS])
        self._put("lineage", _LINEAGE, [self._lineage_row(location) for location in trade.LOCATIONS])
        self._connection.execute(
            "UPDATE ledger SET position = ?, recorded_at = ?, segment_latest_at = ?",
            (self._position, self._recorded_at, self._latest_at),
        )

    def _terminal_row(self, location: str) -> tuple[object, ...]:
        at = self._tallies[location][2]
        chain = (self._heads[location], self._lineages[location])
        return (f"past-{location}", "till", location, OPENED_AT, 1, *chain, at, at, 0, 0, at)

    def _lineage_row(self, location: str) -> tuple[object, ...]:
        seq, quantity, at = self._tallies[location]
        return (f"past-{location}", self._lineages[location], seq, "[]", seq, quantity, at)
