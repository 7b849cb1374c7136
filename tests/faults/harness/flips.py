"""Bits that flip on the disk: noticed by SQLite or the proof, or without effect; never a silently wrong figure."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from inventory_server.store import StoreError
from tests.faults.harness.stage import Stage
from tests.support.maintenance import verified

FLIPS_A_STRIKE = 12
# Not among them: `recorded_at` of a posting. Nothing else says when HQ learned of it, so only a flip that breaks the
# order of the ledger is noticed; it decides no level, only which instant a question with `known_at` means.
_FIGURES = (
    "SELECT location, sku, on_hand, in_transit, counted_at, last_movement_at FROM level ORDER BY 1, 2",
    "SELECT location, sku, effective_at, position, quantity, voided_position FROM count ORDER BY 1, 2, 3, 4",
    "SELECT * FROM movement ORDER BY position, entry",
    "SELECT position, id, terminal, type, location, occurred_at, digest, body FROM posting ORDER BY 1",
)


def play(stage: Stage) -> None:
    """Flip bits in copies of a ledger. The broken procedure opens the copy without having it proven."""
    with stage.world() as world:
        world.start()
        world.wait_for_answers(60 * stage.strikes)
        world.settle()
        whole = world.folder / "whole.db"
        with closing(sqlite3.connect(f"file:{world.db}?mode=ro", uri=True)) as source:
            source.execute("VACUUM INTO ?", (str(whole),))
        truth = figures(whole)
        content = whole.read_bytes()
        for _ in range(stage.strikes * FLIPS_A_STRIKE):
            at, bit = stage.rng.randrange(len(content)), stage.rng.randrange(8)
            flipped = world.folder / "flipped.db"
            shutil.copy(whole, flipped)
            with flipped.open("r+b") as file:
                file.seek(at)
                file.write(bytes([content[at] ^ 1 << bit]))
            stage.injected += 1
            if (wrong := _silently_wrong(flipped, truth, is_proven=not stage.mutants.procedure)) is not None:
                world.verdict.unbalanced += 1
                world.verdict.others.append(f"byte {at}, bit {bit}: {wrong}")


def figures(db: Path) -> list[list[Any]]:
    """All that HQ says of stock."""
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as connection:
        connection.text_factory = bytes
        return [connection.execute(statement).fetchall() for statement in _FIGURES]


def _silently_wrong(db: Path, truth: list[list[Any]], *, is_proven: bool) -> str | None:
    """The figure that is wrong although nothing complains; None where something does, or nothing is wrong."""
    try:
        found = figures(db)
        if is_proven and not verified(f"sqlite:///{db}").holds:
            return None
    except (sqlite3.Error, StoreError, UnicodeDecodeError):  # the last where SQLite quotes the damage itself
        return None
    for statement, right, wrong in zip(_FIGURES, truth, found, strict=True):
        if right != wrong:
            differing = next((pair for pair in zip(right, wrong, strict=False) if pair[0] != pair[1]), None)
            return f"{statement.partition(' FROM ')[2]}: {differing}"
    return None
