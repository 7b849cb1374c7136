"""What a proof comes to: how much was proven, and what does not hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

FINDINGS_MAX = 100
"""Findings kept in words; all are counted."""


@dataclass
class Proof:
    """What was proven and what was found wrong."""

    position: int = 0
    postings: int = 0
    movements: int = 0
    levels: int = 0
    chains: int = 0
    transfers: int = 0
    closings: int = 0
    archived: int = 0
    mismatches: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """True where nothing is wrong."""
        return self.mismatches == 0

    def found(self, *wrong: str) -> None:
        """Count findings, and keep their words while there are not too many."""
        self.all_found(wrong)

    def all_found(self, wrong: Iterable[str]) -> None:
        """Count findings as they come."""
        for what in wrong:
            self.mismatches += 1
            if len(self.findings) < FINDINGS_MAX:
                self.findings.append(what)
