"""The goals, as ratios within one round, and their verdicts."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

Values = dict[str, list[float]]
"""Each measure's value in every round."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal: a ratio and its bound. `needs` are the measures that `ratio` takes."""

    label: str
    title: str
    sign: str
    bound: float
    needs: tuple[str, ...]
    ratio: Callable[..., float]
    unit: str = ""

    def is_met(self, value: float) -> bool:
        """True if `value` is within the bound."""
        return value >= self.bound if self.sign == "≥" else value <= self.bound


def _quotient(upper: float, lower: float) -> float:
    return upper / lower


def _identity(value: float) -> float:
    return value


GOALS = (
    Goal("64 tills : R1", "64 tills, one sale in flight each, sales/s : R1", "≥", 40, ("live", "R1"), _quotient),
    Goal("64 tills : L2", "the same : L2 (echo)", "≥", 0.5, ("live", "L2"), _quotient),
    Goal(
        "drain : L1 at 1,000",
        "8 tills draining outboxes, 250 sales a frame, end to end through the socket : L1 at 1,000 a commit",
        "≥",
        0.7,
        ("drain", "L1_1000"),
        _quotient,
    ),
    Goal(
        "lone till : L1 at 1",
        "one lone till, median answer time : L1 single commit",
        "≤",
        1.5,
        ("lone_p50_ms", "L1_1_commit_ms"),
        _quotient,
    ),
    Goal("p99 : median", "64 tills, p99 answer time : median", "≤", 4, ("live_p99_ms", "live_p50_ms"), _quotient),
    Goal("idle till", "1,000 idle tills: memory each", "≤", 40, ("idle_kib",), _identity, " KiB"),
    Goal(
        "old : empty ledger",
        "ledger of {past} movements : empty ledger, sales/s",
        "≥",
        0.8,
        ("old_drain", "drain"),
        _quotient,
    ),
    Goal(
        "stock : L2", "`stock` of one sku at one location, 64 askers : L2", "≥", 0.5, ("stock", "stock_L2"), _quotient
    ),
    Goal(
        "listing : SELECT",
        "listing 100,000 levels in pages : `SELECT` + msgspec of the same rows",
        "≥",
        0.5,
        ("listing_raw_s", "listing_s"),
        _quotient,
    ),
    Goal(
        "rush p99 : before",
        "live tills' p99 while 200 tills drain 250 queued sales each : p99 before",
        "≤",
        3,
        ("rush_p99_ms", "rush_before_p99_ms"),
        _quotient,
    ),
    Goal(
        "sell() : commit",
        "`sell()` on the till (durable, offline) : raw `sqlite3` commit",
        "≤",
        1.5,
        ("sell_ms", "raw_ms"),
        _quotient,
    ),
    Goal(
        "replay : raw",
        "`pos-client replay` of completejourney : raw",
        "≥",
        0.3,
        ("replay_raw_s", "replay_s"),
        _quotient,
    ),
    Goal(
        "PostgreSQL : R5",
        "on PostgreSQL, 64 tills, one sale in flight each : R5 (pgbench, prepared, the same SQL a sale)",
        "≥",
        3,
        ("pg_live_1", "R5"),
        _quotient,
    ),
    Goal(
        "PostgreSQL drain : COPY",
        "on PostgreSQL, 8 tills draining, 250 sales a frame : the same rows by `COPY`, 1,000 sales a commit",
        "≥",
        0.5,
        ("pg_drain", "pg_copy"),
        _quotient,
    ),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal's ratio: median, minimum and maximum over the rounds."""

    goal: Goal
    median: float
    least: float
    greatest: float

    @property
    def is_met(self) -> bool:
        """True if the median meets the goal."""
        return self.goal.is_met(self.median)


def judge(goal: Goal, values: Values) -> Verdict | None:
    """The verdict on one goal; None if a measure it needs is missing."""
    if any(name not in values for name in goal.needs):
        return None
    ratios = [goal.ratio(*row) for row in zip(*(values[name] for name in goal.needs), strict=True)]
    return Verdict(goal, statistics.median(ratios), min(ratios), max(ratios))
