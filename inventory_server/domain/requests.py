"""What a session asks of the store, and what it gets back. Plain data: no sockets, no SQL, no clock.

A session yields one of these; whoever drives it has the store carry it out and sends the outcome back
in: the thread of a connection in production, an event loop on a virtual clock in the simulator.
Every outcome may instead be a `RequestError`, which the driver throws into the session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from pos_client.protocol.errors import BodyError, TillwireError
from pos_client.protocol.messages import (
    Body,
    ByeParams,
    ByeResult,
    HistoryParams,
    HistoryResult,
    OutboxReport,
    PostingParams,
    PostResult,
    Role,
    StockParams,
    StockResult,
    StoredPosting,
)
from pos_client.protocol.units import Quantity, micros


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks on a connection, as settled by `hello`. `epoch` fences a till's older connections.

    `lineage_key` is the bytes of `lineage`, worked out once.
    """

    terminal: str
    role: Role
    location: str
    epoch: int
    lineage: UUID | None
    lineage_key: bytes | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lineage_key", None if self.lineage is None else self.lineage.bytes)


class Hello(msgspec.Struct, frozen=True):
    """Settle who speaks; a till's epoch is raised durably. Outcome: `Welcome`.

    `token` is None where none was given; `enrol` is the location for an unknown terminal that may be
    enrolled on the spot (development only), None where it may not. `trusted` waives the token.
    """

    terminal: str
    token: str | None
    trusted: bool
    enrol: str | None
    lineage: UUID | None
    outbox: OutboxReport | None
    now: datetime | None


class Welcome(msgspec.Struct, frozen=True):
    """The outcome of `Hello`: the speaker, the head of its chain (hex), its highest contiguous seq."""

    speaker: Speaker
    parent: str
    acked_seq: int


@dataclass(slots=True)
class Item:
    """One posting of a frame, read but not judged. `refused` is set where its body can never be posted.

    `quantities` are those of `body.lines`, in units of 10⁻⁵; `digest` is SHA-256 over `raw`. What the store
    asks for again and again is worked out once: `key`, the bytes of `id`, and `occurred_at` in microseconds.
    """

    id: UUID
    seq: int | None
    raw: bytes
    digest: bytes
    body: Body | None
    quantities: list[int]
    refused: BodyError | None
    key: bytes = field(init=False)
    occurred_at: int | None = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.id.bytes
        self.occurred_at = None if self.body is None else micros(self.body.occurred_at)


class Post(msgspec.Struct, frozen=True):
    """Commit one frame of postings. Outcome: `PostResult`, after the commit is durable."""

    speaker: Speaker
    items: list[Item]
    parent: str | None


class Ping(msgspec.Struct, frozen=True):
    """Note a sign of life. Outcome: None; it need not be durable at once."""

    speaker: Speaker
    outbox: OutboxReport | None
    now: datetime | None


class Bye(msgspec.Struct, frozen=True):
    """Compare control totals and close a till's day. Outcome: `ByeResult`."""

    speaker: Speaker
    totals: ByeParams


class Stock(msgspec.Struct, frozen=True):
    """Read stock levels; `below` and `known_at` of `params` decoded. Outcome: `StockResult`.

    `below` is "reorder_point" or a quantity. `speaker`, here as in all reads, is None where HQ itself asks.
    """

    params: StockParams
    below: str | Quantity | None
    speaker: Speaker | None = None


class History(msgspec.Struct, frozen=True):
    """Read the movements of a sku. Outcome: `HistoryResult`."""

    params: HistoryParams
    speaker: Speaker | None = None


class FindPosting(msgspec.Struct, frozen=True):
    """Read one stored posting. Outcome: `StoredPosting`."""

    params: PostingParams
    speaker: Speaker | None = None


Change = Hello | Post | Ping | Bye
Question = Stock | History | FindPosting
StoreRequest = Change | Question
Outcome = Welcome | PostResult | ByeResult | StockResult | HistoryResult | StoredPosting | None


class OutcomeUnknown(TillwireError):
    """The store cannot say whether a write is durable: the session answers nothing and closes the connection.

    The till resends, and the ids of its postings resolve what happened.
    """


OnOutcome = Callable[[Outcome, Exception | None], None]
"""What is to happen with an outcome, or with the error in its place."""


class Store(Protocol):
    """Whoever carries out the work of sessions, called by many threads at once."""

    def perform(self, work: StoreRequest) -> Outcome:
        """Carry out `work` and wait for its outcome; RequestError where the protocol has an error for it."""

    def submit(self, work: Change, then: OnOutcome) -> None:
        """Carry out `work` and do not wait: call `then` once, on the thread that has committed or refused it."""

    def close(self) -> None:
        """Finish what is held and let go of the database."""
