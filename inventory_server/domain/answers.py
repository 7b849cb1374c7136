"""What the store answers where the protocol has no message for it; instants in microseconds since 1970 UTC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

FINDINGS_MAX = 100
"""Findings of a proof kept in words; all are counted."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of a ledger at a glance. `archived` is the position up to which it is in the archive."""

    position: int
    archived: int
    recorded_at: int | None
    levels: int
    negative: int
    locations: int
    terminals: int
    products: int
    unlisted: int
    rejected: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class TerminalRow:
    """What HQ shows of a terminal."""

    terminal: str
    role: str
    location: str
    enrolled_at: int
    revoked_at: int | None
    contact_at: int | None
    pending: int
    dead: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What is open with one outbox file of one till: `differences` in words, empty where all agrees."""

    terminal: str
    location: str
    lineage: str | None
    contact_at: int | None
    closed_at: int | None
    pending: int
    dead: int
    differences: list[str]


@dataclass(frozen=True, slots=True)
class WaitingPosting:
    """A posting that waits for a person: refused, or in quarantine because its id is taken."""

    id: str
    kind: str
    terminal: str
    recorded_at: int
    reason: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change that somebody asked for, done or refused. `arguments` is JSON, without secrets."""

    id: int
    at: int
    actor: str
    role: str
    source: str
    request: str
    arguments: str
    outcome: str


@dataclass(frozen=True, slots=True)
class ClosedBooks:
    """One cut through the ledger, closed: its position, and what was written for it."""

    position: int
    balances: int
    stragglers: int


@dataclass(frozen=True, slots=True)
class Part:
    """A partition as people see it: `last` is None for the open-ended one.

    `movements` is PostgreSQL's own estimate; `bytes` includes indexes.
    """

    first: int
    last: int | None
    postings: int
    movements: int
    bytes: int
    first_recorded_at: int | None
    last_recorded_at: int | None


@dataclass(frozen=True, slots=True)
class ArchivedPart:
    """A partition in the archive: its positions, when the last of them was recorded, and its tables."""

    first: int
    last: int
    closed_at: int
    tables: list[str]


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


@dataclass(frozen=True, slots=True)
class Content:
    """What a table holds: the number of its rows, and the SHA-256 of them in the order of their keys."""

    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Pair:
    """The same table of two ledgers."""

    table: str
    one: Content
    other: Content

    @property
    def is_equal(self) -> bool:
        """True where both hold the same rows."""
        return self.one == self.other


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two ledgers, named as people may see them, table by table."""

    one: str
    other: str
    pairs: list[Pair]

    @property
    def is_equal(self) -> bool:
        """True where every table holds the same rows."""
        return all(pair.is_equal for pair in self.pairs)
