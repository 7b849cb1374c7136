"""What goes into an outbox and what comes out of it. Plain data; times in µs since 1970, quantities in 10⁻⁵."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec

from pos_client.protocol.errors import ErrorCode
from pos_client.protocol.messages import PostingResult

State = Literal["pending", "done", "parked"]
"""`pending` until HQ gave a definite answer, then `done` (posted, duplicate) or `parked` (conflict, rejected)."""


ISOLATED = "isolated"
"""The code of a posting that was parked because the connection died on it again and again."""


class NewPosting(NamedTuple):
    """A posting to be stored: its exact `body` bytes, when it occurred, its effect on stock."""

    id: UUID
    body: bytes
    occurred_at: int
    quantity: int
    reference: str | None = None


class PendingEntry(NamedTuple):
    """A pending posting, as it goes on the wire."""

    id: UUID
    seq: int
    body: bytes


class Found(NamedTuple):
    """What the outbox knows of one posting; `attempts` counts the frames that carried it."""

    state: State
    attempts: int
    result: PostingResult | None


class Counts(NamedTuple):
    """How many rows are in which state, and when the oldest pending posting occurred."""

    pending: int
    parked: int
    done: int
    oldest_pending_at: int | None


class Parked(msgspec.Struct, frozen=True):
    """A posting that was refused for good, with the reason: a person has to look at it. Times are RFC 3339."""

    id: UUID
    lineage: UUID
    seq: int
    reference: str | None
    occurred_at: str
    parked_at: str
    code: str
    reason: str
    body: msgspec.Raw


@dataclass(frozen=True, slots=True)
class ControlTotals:
    """What `bye` compares: all that HQ acknowledged (`posted` or `duplicate`) in this lineage, each seq once.

    `last_seq` is the highest sequence number given out, `count` the number of acknowledged postings and
    `quantity` the sum of their signed effects on `on_hand` at their own location, over all lines:
    sale −q, return +q, receipt +q, adjustment +q, transfer_out −q, transfer_in +q; count, reserve, release
    and void contribute 0.
    """

    lineage: UUID
    last_seq: int
    count: int
    quantity: int


def is_word_of_hq(stored: bytes) -> bool:
    """True where HQ gave this stored answer about the posting itself, False where the till parked it on its own."""
    code = msgspec.json.decode(stored, type=PostingResult).code
    return code != ISOLATED and code not in ErrorCode.__members__


def is_repeated(stored: bytes, result: PostingResult) -> bool:
    """True where HQ still has in its place what it acknowledged with the `stored` answer."""
    before = msgspec.json.decode(stored, type=PostingResult)
    entry = (before.position, before.recorded_at)
    return result.status == "duplicate" and (result.position, result.recorded_at) == entry
