"""The records that go into an outbox and come out of it. Times are µs since 1970, quantities units of 10⁻⁵."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec

from pos_client.protocol.errors import ErrorCode
from pos_client.protocol.messages import Body, PostingResult
from pos_client.protocol.tick import Tick
from pos_client.protocol.units import instant
from pos_client.protocol.wire import readable_body

State = Literal["pending", "done", "parked"]
"""`pending` until HQ gives a definite answer, then `done` (posted, duplicate) or `parked` (conflict, rejected)."""


ISOLATED = "isolated"
"""The code of a posting that was parked because the connection died on it repeatedly."""


class NewPosting(NamedTuple):
    """A posting to store: its exact `body` bytes, when it occurred, its effect on stock.

    `tick` is when it occurred by the tick clock; None for a posting that a person or another program dated.
    """

    id: UUID
    body: bytes
    occurred_at: int
    quantity: int
    reference: str | None = None
    tick: Tick | None = None


class PendingEntry(NamedTuple):
    """A pending posting, as it is sent."""

    id: UUID
    seq: int
    body: bytes
    tick: Tick | None = None


class Found(NamedTuple):
    """The state of one posting in the outbox; `attempts` counts the frames that carried it."""

    state: State
    attempts: int
    result: PostingResult | None


class HeldPostings(msgspec.Struct, frozen=True):
    """Pending postings that another terminal made with this outbox: they wait until HQ lets this one deliver them."""

    terminal: str
    location: str | None
    postings: int

    def advice(self, by: str) -> str:
        """What they wait for, in a sentence; `by` is the terminal that uses the outbox now."""
        made = "1 posting was" if self.postings == 1 else f"{self.postings:,} postings were"
        where = "" if self.location is None else f" at {self.location}"
        ask = f"ask the operator for `terminal adopt {self.terminal} --by {by}`"
        return f"{made} made as {self.terminal}{where}: {ask}"


class Counts(NamedTuple):
    """The number of postings in each state, and when the oldest pending one occurred."""

    pending: int
    parked: int
    done: int
    oldest_pending_at: int | None


class Parked(msgspec.Struct, frozen=True, rename={"raw": "body"}):
    """A posting that was rejected, with the reason; it needs a person's attention. `raw` is the body as it was sent."""

    id: UUID
    lineage: UUID
    seq: int
    reference: str | None
    occurred_at: datetime
    parked_at: datetime
    code: str
    reason: str
    raw: msgspec.Raw

    @property
    def body(self) -> Body | None:
        """What the posting says; None if this version cannot read it."""
        return readable_body(bytes(self.raw))


@dataclass(frozen=True, slots=True)
class ControlTotals:
    """What `bye` compares: everything HQ acknowledged (`posted` or `duplicate`) in this lineage, each seq once.

    `last_seq` is the highest sequence number assigned, `count` the number of acknowledged postings and
    `quantity` the sum of their signed effects on `on_hand` at their own location, over all lines:
    sale −q, return +q, receipt +q, adjustment +q, transfer_out −q, transfer_in +q; count, reserve, release
    and void contribute 0.
    """

    lineage: UUID
    last_seq: int
    count: int
    quantity: int


def is_word_of_hq(stored: bytes) -> bool:
    """True if HQ gave this stored answer about the posting itself, False if the till parked the posting on its own."""
    code = msgspec.json.decode(stored, type=PostingResult).code
    return code != ISOLATED and code not in ErrorCode.__members__


def is_repeated(stored: bytes, result: PostingResult) -> bool:
    """True if HQ still holds, at the same position, what it acknowledged with the `stored` answer."""
    before = msgspec.json.decode(stored, type=PostingResult)
    entry = (before.position, before.recorded_at)
    return result.status == "duplicate" and (result.position, result.recorded_at) == entry


def leads_to(head: str, start: str, entries: list[PendingEntry]) -> bool:
    """True if HQ's chain goes from `start` to `head` (hex) by any run of `entries`."""
    links = [entry.id.bytes + hashlib.sha256(entry.body).digest() for entry in entries]
    for first in range(len(links)):
        link_head = bytes.fromhex(start)
        for link in links[first:]:
            link_head = hashlib.sha256(link_head + link).digest()
            if link_head == bytes.fromhex(head):
                return True
    return False


def row_of(posting: NewPosting) -> tuple[object, ...]:
    """A new posting as the parameters of its INSERT."""
    boot, tick_ms = (None, None) if posting.tick is None else (posting.tick.boot.bytes, posting.tick.ms)
    return posting.id.bytes, posting.occurred_at, posting.quantity, posting.reference, posting.body, boot, tick_ms


def parked_of(row: list[Any]) -> Parked:
    """The parked posting of a row."""
    key, lineage, seq, reference, occurred_at, settled_at, stored, body = row
    result = msgspec.json.decode(stored, type=PostingResult)
    return Parked(
        id=UUID(bytes=key),
        lineage=UUID(bytes=lineage),
        seq=seq,
        reference=reference,
        occurred_at=instant(occurred_at),
        parked_at=instant(settled_at),
        code=result.code or result.status,
        reason=result.reason or "HQ gave no reason.",
        raw=msgspec.Raw(body),
    )
