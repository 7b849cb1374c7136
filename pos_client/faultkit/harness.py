"""The test harness: runs a till program under faults, and compares the sales it claims with those HQ received.

The program runs against an unreliable HQ, is killed with -9 and restarted. For each sale that it has stored it prints
one line to standard output: `SOLD <id> <reference>`.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from uuid import UUID

from msgspec import Struct

from pos_client.faultkit.cases import Case
from pos_client.faultkit.limits import POLL_SECONDS, REASONS_SHOWN_MAX, RESTART_SECONDS, START_SECONDS
from pos_client.faultkit.program import Program
from pos_client.faultkit.unreliable_hq import UnreliableHq

TERMINAL = "faultkit-1"
"""The terminal name given to the till program."""


class Tally(Struct):
    """The result of one case.

    `sold` counts the sales that the program claimed; of these, `lost` never arrived and `refused` were rejected.
    `doubled` arrived more often than they were sold: under several ids, or without ever being claimed.
    """

    case: str
    faults: int = 0
    kills: int = 0
    sold: int = 0
    arrived: int = 0
    lost: int = 0
    doubled: int = 0
    refused: int = 0
    notes: list[str] = []

    @property
    def is_good(self) -> bool:
        """True if every sale arrived exactly once."""
        return bool(self.sold) and not (self.lost or self.doubled or self.refused or self.notes)


def run_case(
    case: Case,
    command: Sequence[str],
    folder: Path,
    rng: random.Random,
    *,
    trouble_seconds: float,
    patience_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Tally:
    """Let the program sell under faults, then give it a reliable HQ, and check that every sale arrives once.

    The faults begin with its first sale, and it is killed only once it has sold: a program may start slowly.
    """
    folder.mkdir(parents=True)
    hq = UnreliableHq(rng, lambda: program.kill())
    names = {"hq": hq.address, "folder": str(folder), "outbox": str(folder / "till.db"), "terminal": TERMINAL}
    environment = {
        "TILLWIRE_SERVER": names["hq"],
        "TILLWIRE_TERMINAL": TERMINAL,
        "TILLWIRE_OUTBOX": names["outbox"],
        "TILLWIRE_FOLDER": names["folder"],
    }
    program = Program([_filled_in(word, names) for word in command], folder, environment)
    try:
        program.start()
        start_by = clock() + START_SECONDS
        while not program.has_sold() and clock() < start_by:
            _keep_running(program, sleep)
        hq.chances = case.chances
        _trouble(case, program, hq, rng, clock() + trouble_seconds, clock, sleep)
        hq.chances = {}
        hq.away.clear()
        program.kill()  # what it has not delivered must be on its disk
        claimed = program.claims()
        deadline = clock() + patience_seconds
        while clock() < deadline and not claimed.keys() <= hq.ledger.keys() | hq.refused.keys():
            _keep_running(program, sleep)
    finally:
        program.close()
        hq.close()
    return _judge(case, program, hq, claimed)


def _filled_in(word: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        word = word.replace("{" + name + "}", value)
    return word


def _trouble(
    case: Case,
    program: Program,
    hq: UnreliableHq,
    rng: random.Random,
    until: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    """Until the time is over, keep the program running, and kill it and take HQ down as the case says."""
    kill_at = _next(case.kill_every_seconds, rng, clock())
    turn_at = _next(case.away_every_seconds, rng, clock())
    while (now := clock()) < until:
        if now >= kill_at and program.has_sold():
            program.kill()
            kill_at = _next(case.kill_every_seconds, rng, now)
        if now >= turn_at:
            (hq.away.clear if hq.away.is_set() else hq.away.set)()
            hq.done["away"] += hq.away.is_set()
            turn_at = _next(case.away_every_seconds, rng, now)
        _keep_running(program, sleep)


def _keep_running(program: Program, sleep: Callable[[float], None]) -> None:
    if not program.is_running():
        sleep(RESTART_SECONDS)
        program.start()
    sleep(POLL_SECONDS)


def _next(every_seconds: float | None, rng: random.Random, now: float) -> float:
    return float("inf") if every_seconds is None else now + every_seconds * rng.uniform(0.5, 1.5)


def _judge(case: Case, program: Program, hq: UnreliableHq, claimed: Mapping[UUID, str | None]) -> Tally:
    tally = Tally(case.name, kills=program.kills, sold=len(claimed), arrived=len(hq.ledger), notes=[])
    tally.faults = sum(hq.done.values()) + program.kills
    tally.refused = len(hq.refused)
    tally.lost = len(claimed.keys() - hq.ledger.keys() - hq.refused.keys())
    references = Counter(held.reference for held in hq.ledger.values() if held.reference is not None)
    doubled = references.total() - len(references)
    # Each kill may hit a sale that is stored but not claimed yet.
    unclaimed = len(hq.ledger.keys() - program.claims().keys()) - program.kills
    tally.doubled = max(doubled, unclaimed, 0)
    if not claimed:
        tally.notes.append("the program never printed SOLD: print one line per sale once it is stored, and flush it")
    tally.notes += [
        f"{line!r} is not a claim: expected SOLD <uuid> <reference>"
        for line in program.malformed_lines()[:REASONS_SHOWN_MAX]
    ]
    tally.notes += [f"refused: {reason}" for reason in sorted(set(hq.refused.values()))[:REASONS_SHOWN_MAX]]
    return tally
