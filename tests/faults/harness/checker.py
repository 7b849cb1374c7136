"""The check after every fault: what tills claim against what the ledger holds. It shares no code with either.

The levels are worked out anew from the stored bodies by the rule of two times; the program's own proof runs beside it.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from inventory_server.store import read_store
from inventory_server.store.proof import prove
from tests.faults.harness.journal import Account

UNITS = 100_000
_SIGN = {"sale": -1, "return": 1, "receipt": 1, "adjustment": 1}
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass
class Verdict:
    """What a check found; `others` are broken promises that are neither lost, doubled nor unbalanced postings."""

    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    unbalanced: int = 0
    others: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """True where every promise was kept."""
        return not (self.lost or self.doubled or self.unbalanced or self.others)

    def add(self, other: Verdict) -> None:
        """Sum up."""
        self.acknowledged += other.acknowledged
        self.lost += other.lost
        self.doubled += other.doubled
        self.unbalanced += other.unbalanced
        self.others += other.others


def ledger_rows(db: Path) -> list[tuple[UUID, bytes, str, int]]:
    """(id, body, location, position) of every posting, in ledger order."""
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True, timeout=5.0)) as connection:
        rows = connection.execute("SELECT id, body, location, position FROM posting ORDER BY position").fetchall()
    return [(UUID(bytes=row[0]), *row[1:]) for row in rows]


def missing(db: Path, acknowledged: Iterable[UUID]) -> set[UUID]:
    """The acknowledged postings that the ledger does not hold."""
    return set(acknowledged) - {row[0] for row in ledger_rows(db)}


def judge(db: Path, account: Account, parked: Mapping[UUID, str] | None = None) -> Verdict:
    """Check a ledger whose tills have been drained; `parked` are the ids that were put aside, with the reason."""
    parked = parked or {}
    rows = ledger_rows(db)
    held = {row[0] for row in rows}
    verdict = Verdict(acknowledged=len(account.acknowledged))
    lost = (account.acknowledged - held) | (account.intents.keys() - held - parked.keys())
    verdict.lost = len(lost)
    verdict.doubled = _doubled(rows, account)
    for posting_id, body, _, position in rows:
        if posting_id not in account.intents:
            verdict.others.append(f"position {position}: nobody created {posting_id}")
        elif body.decode() not in account.bodies[posting_id]:
            verdict.others.append(f"position {position}: the body of {posting_id} is not what was sent")
    verdict.others += [f"{posting_id} is parked without a reason" for posting_id, why in parked.items() if not why]
    verdict.unbalanced = len(unbalanced_levels(db, rows))
    proof = read_store(f"sqlite:///{db}", prove)
    if not proof.holds:
        verdict.unbalanced = max(verdict.unbalanced, proof.mismatches)
    return verdict


def _doubled(rows: list[tuple[UUID, bytes, str, int]], account: Account) -> int:
    """Postings beyond the first under one id, or of one basket under several ids."""
    ids = Counter(row[0] for row in rows)
    references = Counter(line.reference for id_ in ids if (line := account.intents.get(id_)) and line.reference)
    return sum(ids.values()) - len(ids) + sum(references.values()) - len(references)


def unbalanced_levels(db: Path, rows: list[tuple[UUID, bytes, str, int]]) -> list[str]:
    """The levels that do not follow from the bodies of `rows`."""
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True, timeout=5.0)) as connection:
        levels = {(row[0], row[1]): row[2] for row in connection.execute("SELECT location, sku, on_hand FROM level")}
    expected = expected_levels(rows)
    keys = levels.keys() | expected.keys()
    return [
        f"{key}: the level is {levels.get(key)}, expected {expected.get(key)}"
        for key in sorted(keys)
        if levels.get(key) != expected.get(key)
    ]


def expected_levels(rows: list[tuple[UUID, bytes, str, int]]) -> dict[tuple[str, str], int]:
    """`on_hand` per (location, sku): the last count and all that happened after it, or else everything."""
    moves: dict[tuple[str, str], list[tuple[int, int]]] = {}
    counts: dict[tuple[str, str], tuple[int, int, int]] = {}
    for _, raw, location, position in rows:
        body: dict[str, Any] = json.loads(raw, parse_float=Decimal)
        at = _micros(body["occurred_at"])
        for line in body["lines"]:
            key, quantity = (location, line["sku"]), int(Decimal(line["quantity"]) * UNITS)
            moves.setdefault(key, [])
            if body["type"] == "count":
                counts[key] = max(counts.get(key, (at, position, quantity)), (at, position, quantity))
            else:
                moves[key].append((at, _SIGN[body["type"]] * quantity))
    levels = {}
    for key, moved in moves.items():
        counted_at, _, counted = counts.get(key, (None, 0, 0))
        levels[key] = counted + sum(quantity for at, quantity in moved if counted_at is None or at > counted_at)
    return levels


def _micros(text: str) -> int:
    delta = datetime.fromisoformat(text) - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
