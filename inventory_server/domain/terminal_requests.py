"""Terminals' requests that write, which the writer commits in groups, and what they are made of. Plain data.

The table of requests is in `requests.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from inventory_server.domain.completeness import OutboxState
from inventory_server.domain.roles import ActorRequest, Speaker
from pos_client.protocol.errors import BodyError
from pos_client.protocol.messages import Body, ByeParams
from pos_client.protocol.tick import Tick
from pos_client.protocol.units import micros


class Hello(msgspec.Struct, frozen=True):
    """Authenticate a terminal; raises a till's epoch durably. The only request without an actor.

    `token` is None if none was given. `enrol` is the location at which an unknown terminal is enrolled (development
    only), None if it is not. `trusted` waives the token. `source` is the address of the peer. The moment of sending is
    `now` by the till's clock (microseconds) and `tick` by its tick clock; it was received at `received_at`, None: as it
    was committed. `backdated` announces old postings. `location` is where the terminal believes it is.
    """

    terminal: str
    token: str | None
    trusted: bool
    enrol: str | None
    lineage: UUID | None
    outbox: OutboxState | None
    now: int | None
    source: str = ""
    tick: Tick | None = None
    backdated: bool = False
    location: str | None = None
    received_at: int | None = None


class CheckToken(ActorRequest, frozen=True):
    """Tell whether the ledger knows the terminal of `hello` and its token, which takes no commit.

    Outcome: True; RequestError `unauthenticated` where it does not. The commit of the hello checks it again.
    """

    hello: Hello


class FindSpeaker(ActorRequest, frozen=True):
    """Who the terminal of `hello` is that gave its token, without a hello: nothing of the terminal changes.

    Outcome: `Speaker`, of the present epoch; RequestError `unauthenticated` as for `CheckToken`.
    """

    hello: Hello


class Welcome(msgspec.Struct, frozen=True):
    """The outcome of `Hello`: the head of the chain (hex), the highest contiguous seq, the terminals it adopted."""

    speaker: Speaker
    parent: str
    acked_seq: int
    adopted: tuple[str, ...] = ()


class FigureTooLarge(Exception):
    """A posting would have a stock figure or a control total, which the message names, leave 64 bits."""


@dataclass(slots=True)
class Item:
    """One posting of a frame, decoded but not yet decided on. `refused` is set if its body can never be posted.

    `quantities` are those of `body.lines`, in units of 10⁻⁵; `digest` is SHA-256 over `raw`; `tick` is when it was made
    by the till's tick clock. `key` (the bytes of `id`) and `occurred_at` (microseconds) are computed once, since the
    store uses them often. `lines` are its (sku, quantity), once the store has found out which SKUs its barcodes mean.
    """

    id: UUID
    seq: int | None
    raw: bytes
    digest: bytes
    body: Body | None
    quantities: list[int]
    refused: BodyError | FigureTooLarge | None
    tick: Tick | None = None
    key: bytes = field(init=False)
    occurred_at: int | None = field(init=False)
    lines: list[tuple[str, int]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.key = self.id.bytes
        self.occurred_at = None if self.body is None else micros(self.body.occurred_at)


class Post(msgspec.Struct, frozen=True):
    """Commit one frame of postings, sent at `tick` and received at `received_at` (microseconds; None: as committed).

    Outcome: `PostResult`, once the commit is durable.
    """

    actor: Speaker
    items: list[Item]
    parent: str | None
    tick: Tick | None = None
    received_at: int | None = None


class Ping(msgspec.Struct, frozen=True):
    """Record a sign of life, sent at `now` and `tick`, received at `received_at` (microseconds; None: as committed).

    Outcome: None; it need not be durable at once.
    """

    actor: Speaker
    outbox: OutboxState | None
    now: int | None
    tick: Tick | None = None
    received_at: int | None = None


class Bye(msgspec.Struct, frozen=True):
    """Compare control totals and close a till's day. Outcome: `ByeResult`."""

    actor: Speaker
    totals: ByeParams
