"""Outcomes of requests that are not messages of the protocol; instants in microseconds since 1970 UTC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from inventory_server.domain.limits import FINDINGS_MAX
from inventory_server.domain.product import Product, Supplier
from pos_client.protocol.feed import ChangedParams
from pos_client.protocol.units import Quantity


@dataclass(frozen=True, slots=True)
class Overview:
    """A summary of a ledger. `archived` is the position up to which it is in the archive.

    `moved_to` is the URL of the database that it was moved to, None if it was not.
    """

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
    moved_to: str | None


@dataclass(frozen=True, slots=True)
class LocationRow:
    """A location: its name (None if it has none), its IANA time zone and the hour at which its business day ends."""

    location: str
    name: str | None
    time_zone: str
    day_ends_hour: int


@dataclass(frozen=True, slots=True)
class FormerLocation:
    """A location that a terminal was at, from `since_at` until it moved."""

    location: str
    since_at: int
    until_at: int


@dataclass(frozen=True, slots=True)
class TerminalRow:
    """A terminal as HQ lists it; `clock_offset_ms` is its wall clock minus its tick clock, None if it has told none.

    It has been at `location` since `located_at`, and was at the `former_locations` before, oldest first. It may deliver
    for the terminals that it `adopted`. One without a token was enrolled by a development server.
    """

    terminal: str
    role: str
    location: str
    located_at: int
    former_locations: list[FormerLocation]
    adopted: list[str]
    enrolled_at: int
    revoked_at: int | None
    contact_at: int | None
    pending: int
    parked: int
    clock_offset_ms: int | None
    has_token: bool


@dataclass(frozen=True, slots=True)
class ValidCode:
    """An enrolment code that is valid: which terminal it is for, its salt and the key that it stands for."""

    terminal: str
    salt: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What came of an enrolment code: who the terminal is now, or why the code was `refused`."""

    terminal: str
    role: str = ""
    location: str = ""
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class FeedStart:
    """After which position a feed begins, and of which locations and products it is (None: of all)."""

    position: int
    locations: frozenset[str] | None
    skus: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A page of the feed, which reaches up to `position`: what changed at each position that matches.

    `resume_from` is set, and nothing else, where what follows is in the archive.
    """

    position: int
    changed: list[ChangedParams]
    resume_from: int | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """A connection to the tills' port: from where, since when, as which terminal (None before hello).

    `app` is what the client calls itself; `refusal` is the last request that it was refused, and why; None if none.
    `pid` is the process that serves it. `fenced` is how many connections of this terminal were fenced there lately:
    from `FENCES_ALARMING` on, several devices use its name.
    """

    pid: int
    address: str
    connected_at: int
    terminal: str | None
    role: str | None
    location: str | None
    app: str | None
    refused_at: int | None
    refusal: str | None
    fenced: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One outbox file of a till, compared with the ledger: `differences` describes each, and is empty if they agree.

    `contact_at` is None for a till that has never connected, `lineage` for one that has named no outbox file.
    `silent_since_at` is its last contact if it has not ended its day and has been silent for too long, else None.
    """

    terminal: str
    location: str
    lineage: str | None
    contact_at: int | None
    closed_at: int | None
    silent_since_at: int | None
    pending: int
    parked: int
    differences: list[str]

    @property
    def is_open(self) -> bool:
        """True if somebody has to look into it."""
        return bool(self.differences) or self.silent_since_at is not None


@dataclass(frozen=True, slots=True)
class WaitingPosting:
    """A posting that needs a decision: rejected, or in quarantine because its id is taken."""

    id: str
    kind: str
    terminal: str
    recorded_at: int
    reason: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The whole catalogue: its products by SKU, its suppliers by name."""

    products: list[Product]
    suppliers: list[Supplier]


@dataclass(frozen=True, slots=True)
class ProductTerms:
    """What applies to a product at a location; None: where nothing else is stated.

    A location's value wins over the product's, the product's over its supplier's.
    """

    location: str | None
    reorder_point: Quantity | None
    supplier: str | None
    pack_size: Quantity | None
    minimum: Quantity | None
    lead_time_days: int | None
    order_cycle_days: int | None
    order_by_hour: int | None


@dataclass(frozen=True, slots=True)
class ProductCard:
    """A product as the catalogue lists it; `terms` begins with those of the product, then those of its locations.

    `packs` has those of `barcodes` that stand for more than one unit, and for how many.
    """

    sku: str
    name: str | None
    unit: str | None
    barcodes: list[str]
    packs: dict[str, int]
    terms: list[ProductTerms]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One requested change, done or refused. `arguments` is JSON, without secrets."""

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
    """One closing: its position, and how many balances and stragglers were written for it."""

    position: int
    balances: int
    stragglers: int


@dataclass(frozen=True, slots=True)
class Part:
    """A partition; `last` is None for the open-ended one.

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
    """What was verified, and the mismatches found."""

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
        """True if there is no mismatch."""
        return self.mismatches == 0

    def found(self, *wrong: str) -> None:
        """Count mismatches, and keep the first `FINDINGS_MAX`."""
        self.all_found(wrong)

    def all_found(self, wrong: Iterable[str]) -> None:
        """Like `found`, for an iterable."""
        for what in wrong:
            self.mismatches += 1
            if len(self.findings) < FINDINGS_MAX:
                self.findings.append(what)


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a table: the number of rows, and the SHA-256 over them in key order."""

    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Pair:
    """The same table in two ledgers."""

    table: str
    one: Content
    other: Content

    @property
    def is_equal(self) -> bool:
        """True if both contain the same rows."""
        return self.one == self.other


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two ledgers compared table by table; their names contain no password."""

    one: str
    other: str
    pairs: list[Pair]

    @property
    def is_equal(self) -> bool:
        """True if every table contains the same rows."""
        return all(pair.is_equal for pair in self.pairs)
