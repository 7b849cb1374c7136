"""The check after every fault: what tills claim against what the ledger holds. It shares no code with either.

The levels are those of a model that is given the stored bodies; the program's own proof runs beside it.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from inventory_server.store.admin.reconcile import reconcile
from inventory_server.store.database.sqlite import Sqlite, reading_engine
from inventory_server.store.verify.verify import verify
from tests.faults.harness.journal import Account
from tests.support.model import Model, Sender
from tests.support.model.stock import on_hand
from tests.support.waiting import HANG_SECONDS

Answer = TypeVar("Answer")
Row = tuple[UUID, bytes, str, int, int]
"""(id, body, location, position, recorded_at) of a posting."""


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


def ledger_rows(db: Path) -> list[Row]:
    """Every posting, in ledger order."""
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True, timeout=HANG_SECONDS)) as connection:
        rows = connection.execute(
            "SELECT id, body, location, position, recorded_at FROM posting ORDER BY position"
        ).fetchall()
    return [(UUID(bytes=row[0]), *row[1:]) for row in rows]


def missing(db: Path, acknowledged: Iterable[UUID]) -> set[UUID]:
    """The acknowledged postings that the ledger does not hold."""
    return set(acknowledged) - {row[0] for row in ledger_rows(db)}


def judge(db: Path, account: Account, parked: Mapping[UUID, str] | None = None) -> Verdict:
    """Check a ledger whose tills have been drained; `parked` are the ids that tills put aside, with the reason."""
    rows = ledger_rows(db)
    verdict = compare(rows, account, parked or {})
    verdict.unbalanced = len(unbalanced_levels(db, rows))
    verdict.unbalanced = max(
        verdict.unbalanced, asked(db, lambda connection: verify(Sqlite(db), connection)).mismatches
    )
    open_ends = [found for found in asked(db, lambda connection: reconcile(connection, 0, 0)) if found.differences]
    verdict.others += [f"HQ and {found.terminal} disagree: {found.differences}" for found in open_ends]
    return verdict


def compare(rows: list[Row], account: Account, parked: Mapping[UUID, str]) -> Verdict:
    """What the tills claim against the postings in a ledger, in any database."""
    verdict = Verdict(acknowledged=len(account.acknowledged))
    ids, bodies = Counter(row[0] for row in rows), Counter(row[1].decode() for row in rows)
    begun = {body for body, id_ in account.baskets.items() if id_ not in parked} - account.refused
    verdict.lost = len(account.acknowledged - ids.keys()) + len(begun - bodies.keys())
    verdict.doubled = max(ids.total() - len(ids), bodies.total() - len(bodies))
    strange = [row for row in rows if account.baskets.get(row[1].decode()) != row[0]]
    if strange:
        verdict.others.append(f"{len(strange)} postings that nobody created, as at position {strange[0][3]}")
    if parked:
        verdict.others.append(f"{len(parked)} sound postings are parked: {sorted(set(parked.values()))[:3]}")
    return verdict


def asked(db: Path, question: Callable[[Connection], Answer]) -> Answer:
    """What the program itself says of a ledger, also of one whose indexes a broken variant has dropped."""
    engine = reading_engine(db)
    try:
        with engine.begin() as connection:
            return question(connection)
    finally:
        engine.dispose()


def unbalanced_levels(db: Path, rows: list[Row]) -> list[str]:
    """The levels that do not follow from the bodies of `rows`."""
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True, timeout=HANG_SECONDS)) as connection:
        levels = {(row[0], row[1]): row[2] for row in connection.execute("SELECT location, sku, on_hand FROM level")}
    return differences(levels, expected_levels(rows))


def differences(levels: Mapping[tuple[str, str], int], expected: Mapping[tuple[str, str], int]) -> list[str]:
    """One sentence for each (location, sku) whose level is not the expected one."""
    keys = levels.keys() | expected.keys()
    return [
        f"{key}: the level is {levels.get(key)}, expected {expected.get(key)}"
        for key in sorted(keys)
        if levels.get(key) != expected.get(key)
    ]


def expected_levels(rows: list[Row]) -> dict[tuple[str, str], int]:
    """`on_hand` per (location, sku), as the model has it."""
    model = Model(())
    for id_, raw, location, _, recorded_at in rows:
        model.enter(str(id_), json.loads(raw, parse_float=Decimal), Sender("", location), recorded_at)
    return on_hand(model.book())
