"""What is known outside of the system under test: what was created, promised to a cashier, and answered by HQ."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from pos_client.protocol.fields import Role
from pos_client.protocol.messages import Body, Line, PostingResult, PostItem
from tests.simulation.world import MINUTE, Violation

BOOTS_KEPT = 5
"""Boots of a terminal that HQ must know: it keeps ten."""


@dataclass(slots=True)
class Created:
    """A posting as its device made it. `location` is where it takes effect, `refusals` what HQ may say to it.

    `made_at` is the true time; `occurred_at` is what its device took for it, or what somebody wrote down `by_hand`.
    """

    id: UUID
    raw: bytes
    body: Body | None
    occurred_at: int
    made_at: int
    quantities: list[int]
    terminal: str
    role: Role
    location: str
    refusals: frozenset[str] = frozenset()
    poisoned: bool = False
    by_hand: bool = False  # somebody wrote down when it happened: its device's tick clock says nothing of it
    reused: bool = False  # its id is another posting's, by the fault of its program
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.digest = hashlib.sha256(self.raw).digest()

    @property
    def body_lines(self) -> list[Line]:
        """The lines of its body, if it has any."""
        return [] if self.body is None or not isinstance(self.body.lines, list) else self.body.lines

    def is_far_off(self, now: int) -> bool:
        """True if the device's clock was so wrong that a late contact or a drift cannot explain it."""
        if self.by_hand:
            return False
        return abs(self.occurred_at - self.made_at) > MINUTE + (now - self.made_at) // 5_000


@dataclass(frozen=True, slots=True)
class Listed:
    """A barcode that the catalogue listed during the day, after a position."""

    position: int
    gtin: str
    sku: str


@dataclass(slots=True)
class StockSeen:
    """What a reader was told as of a position: (location, sku) to (on_hand, in_transit), location to `complete_to`."""

    position: int
    levels: dict[tuple[str, str], tuple[int, int]]
    complete_to: dict[str, int]


class Book:
    """Keeps record, and notices at once where two answers do not agree (P6)."""

    def __init__(self) -> None:
        self.created: dict[UUID, list[Created]] = {}
        self.promised: set[UUID] = set()
        self.answers: dict[tuple[UUID, bytes], list[PostingResult]] = {}
        self.seen: list[StockSeen] = []
        self.reopened: set[UUID] = set()
        self.listed: Listed | None = None  # or tried to: the database knows
        self.hq_was_restored = False
        self.hq_clock_was_set = False
        self._boots: dict[str, list[UUID]] = {}

    def create(self, posting: Created) -> None:
        """A device made a posting; whether it was stored is another question."""
        self.created.setdefault(posting.id, []).append(posting)

    def find(self, posting_id: UUID, digest: bytes) -> Created | None:
        """What was created under an id with this content."""
        return next((made for made in self.created.get(posting_id, ()) if made.digest == digest), None)

    def disk_lost(self, kept: set[UUID], gone: set[UUID]) -> None:
        """A disk with `gone` on it was lost; what is not `kept` elsewhere, nobody can be expected to deliver."""
        self.promised -= gone - kept

    def hq_lost(self, position: int, kept: set[UUID]) -> None:
        """HQ went back to a backup: answers about what came after `position` are void, disks may hold the rest."""
        self.hq_was_restored = True
        self.promised &= kept
        self._boots.clear()
        self.seen = [seen for seen in self.seen if seen.position <= position]
        for key, answers in list(self.answers.items()):
            if answers[0].position is None or answers[0].position > position:
                del self.answers[key]

    def read(self, sent: Iterable[tuple[UUID, bytes]], results: Iterable[PostingResult]) -> None:
        """A device has read HQ's answers about the postings it sent."""
        for (posting_id, raw), result in zip(sent, results, strict=True):
            before = self.answers.setdefault((posting_id, hashlib.sha256(raw).digest()), [])
            if before and posting_id not in self.reopened:
                _agree(before, result)
            before.append(result)

    def boot_heard(self, terminal: str, boot: UUID) -> None:
        """HQ has answered a message with a tick of this boot."""
        boots = self._boots.setdefault(terminal, [])
        if boot not in boots:
            self._boots[terminal] = [*boots[1 - BOOTS_KEPT :], boot]

    def clocks_corrected(self, terminal: str, sent: list[PostItem], results: list[PostingResult], now: int) -> None:
        """HQ has answered these postings: whose clock was wrong by far is corrected, if HQ knows the boot."""
        for item, result in zip(sent, results, strict=True):
            known = item.boot in self._boots.get(terminal, ())
            if result.status == "posted" and known and not self.hq_clock_was_set:
                made = self.find(item.id, hashlib.sha256(item.body).digest())
                if made is not None and made.is_far_off(now) and "clock_corrected" not in result.flags:
                    raise Violation("clock", f"{made.id}: a wrong clock was not corrected")


def _agree(before: list[PostingResult], result: PostingResult) -> None:
    """All answers about one id and content say the same, and `posted` is said once."""
    first, done = before[0], ("posted", "duplicate")
    if first.status in done and result.status in done:
        same = (first.position, first.recorded_at, first.flags) == (result.position, result.recorded_at, result.flags)
        same &= result.status == "duplicate" or all(earlier.status == "duplicate" for earlier in before)
    else:
        same = (first.status, first.code, first.reason) == (result.status, result.code, result.reason)
    if not same:
        raise Violation("P6", f"{first.id}: answered {first}, then {result}")
