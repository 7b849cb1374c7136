"""The background proof: compares level after level with the ledger, all day, within a share of the time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from inventory_server.domain.alerts import ProvenLevels
from inventory_server.domain.answers import Overview
from inventory_server.domain.requests import ProveLevels, ShowOverview
from inventory_server.observer.ledger import LedgerAccess
from inventory_server.observer.limits import PROOF_LEVELS, PROOF_SHARE


@dataclass(frozen=True, slots=True)
class ProvenStretch:
    """Levels in a row that were compared: those from `first` (None: there are none) to `last` (None: to the end)."""

    first: tuple[str, str] | None
    last: tuple[str, str] | None
    mismatches: list[tuple[str, str, str]]

    def covers(self, location: str, sku: str) -> bool:
        """True if that level was one of them."""
        key = (location, sku)
        return self.first is not None and self.first <= key and (self.last is None or key <= self.last)


class BackgroundProof:
    """Walks through all levels, round and round, from a random place on, so that many short lives prove all, too.

    It rests after each stretch for as long as its share of the time says. `timer` returns seconds.
    """

    def __init__(
        self,
        ledger: LedgerAccess,
        share: float = PROOF_SHARE,
        timer: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        self._ledger = ledger
        self._share = share
        self._timer = timer
        self._due = timer()
        self._chance = chance or random.SystemRandom()
        self._after: tuple[str, str] | None = None
        self._has_begun = False
        self._proven = self._mismatches = 0

    def turn(self) -> ProvenStretch | None:
        """Compare the next levels, if it is time for that."""
        began = self._timer()
        if began < self._due:
            return None
        skipped = 0 if self._has_begun else self._place_to_begin()
        told: ProvenLevels = self._ledger.ask(ProveLevels(self._after, PROOF_LEVELS, skipped))
        self._has_begun = True
        ended = self._timer()
        self._due = ended + (ended - began) * (1 / self._share - 1)
        self._proven += told.proven
        self._mismatches += len(told.mismatches)
        stretch = ProvenStretch(told.first, told.last, told.mismatches)
        self._after = told.last
        return stretch

    def _place_to_begin(self) -> int:
        overview: Overview = self._ledger.ask(ShowOverview())
        return self._chance.randrange(max(1, overview.levels))

    def counted(self) -> tuple[int, int]:
        """How many levels were compared, and how many of them differed, since `forget`."""
        return self._proven, self._mismatches

    def forget(self, proven: int, mismatches: int) -> None:
        """Count no more what was noted."""
        self._proven -= proven
        self._mismatches -= mismatches
