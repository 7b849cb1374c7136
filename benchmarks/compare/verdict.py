"""What the values of base and head amount to: ratios of each round, their quartiles, and whether head is slower."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

BASE, HEAD = "base", "head"
RATIO_MIN = 0.95
"""Head passes with at least this median ratio."""
QUARTILES_APART_MAX = 2 * (1 - RATIO_MIN)
"""Where the quartiles are further apart, the median of a few rounds says little about a difference of 5 %."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured in one workload; `unit` follows the value when it is printed."""

    name: str
    title: str
    unit: str
    less_is_better: bool = False

    def shown(self, value: float) -> str:
        """`value` with its unit, for people."""
        return f"{value:.3f} {self.unit}" if self.less_is_better else f"{value:,.0f} {self.unit}"


MEASURES = (
    Measure("live", "64 tills, one sale of 3 lines in flight each", "sales/s"),
    Measure("draining", "8 tills, 250 sales a frame", "sales/s"),
    Measure("lone", "one till, sale after sale: median answer time", "ms", less_is_better=True),
    Measure("stock", "64 askers of the stock of one sku", "answers/s"),
)


@dataclass(slots=True)
class Series:
    """The values of both sides, one of each for every round."""

    measure: Measure
    values: dict[str, list[float]] = field(default_factory=lambda: {BASE: [], HEAD: []})

    @property
    def ratios(self) -> list[float]:
        """How many times as good head was as base, round by round: above 1, head is better."""
        pairs = zip(self.values[BASE], self.values[HEAD], strict=True)
        return [base / head if self.measure.less_is_better else head / base for base, head in pairs]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)

    @property
    def quartiles(self) -> tuple[float, float]:
        """A quarter of the ratios is at or below the first, a quarter at or above the second."""
        found = self.ratios
        if len(found) == 1:
            return found[0], found[0]
        lower, _, upper = statistics.quantiles(found, n=4, method="inclusive")
        return lower, upper

    @property
    def is_noisy(self) -> bool:
        """True where the ratios scatter too much to tell a loss from chance."""
        lower, upper = self.quartiles
        return upper - lower > QUARTILES_APART_MAX

    def median(self, side: str) -> float:
        """The median of the values of one side."""
        return statistics.median(self.values[side])

    @property
    def is_loss(self) -> bool:
        """True where head is slower than is allowed."""
        return self.ratio < RATIO_MIN


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one workload. `again` is the repetition, which only a loss gets."""

    first: Series
    again: Series | None = None

    @property
    def last(self) -> Series:
        """The rounds that decided."""
        return self.again or self.first

    @property
    def is_loss(self) -> bool:
        """True where the repetition was a loss, too."""
        return self.again is not None and self.again.is_loss

    @property
    def text(self) -> str:
        """The verdict in words."""
        if self.again is None:
            return "passed"
        if self.is_loss:
            return f"slower: below {RATIO_MIN} twice"
        return f"passed when repeated, below {RATIO_MIN} at first"
