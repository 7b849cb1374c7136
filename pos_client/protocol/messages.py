"""Every message of the inventory protocol, version 1, as a typed struct: the single definition for both sides.

Quantities are exact (`int` or `Decimal`, see `units.py`), instants are aware datetimes, ids are UUIDs.
The JSON Schema, the OpenRPC document and the examples in `schema/` come from here, `lists.py` and `methods.py`.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, Raw, UnsetType, field

from pos_client.protocol.base import Message as Message
from pos_client.protocol.base import StrictMessage as StrictMessage
from pos_client.protocol.completeness import ClosedTill as ClosedTill
from pos_client.protocol.completeness import Completeness as Completeness
from pos_client.protocol.completeness import Hole as Hole
from pos_client.protocol.completeness import OutboxReport as OutboxReport
from pos_client.protocol.completeness import SilentTill as SilentTill
from pos_client.protocol.fields import (
    AsOf,
    CloseReason,
    Currency,
    Digest,
    Flag,
    Gtin,
    Instant,
    Location,
    NonNegative,
    PostingCount,
    PostingStatus,
    PostingType,
    Range,
    RequestId,
    Role,
    Sequence,
    Sku,
    TerminalName,
    Text,
    TickMs,
)
from pos_client.protocol.lists import PostingParams as PostingParams
from pos_client.protocol.lists import StoredPosting as StoredPosting
from pos_client.protocol.lists import UnknownItem as UnknownItem
from pos_client.protocol.units import Quantity

PROTOCOL_VERSION = 1
CHAIN_START = "0" * 64
"""The chain head of a terminal before its first posting."""
TICK_CLOCK = "tick_clock"
"""The feature of a server that reads `boot`, `tick_ms` and `oldest_tick_ms`."""
FEATURES = (TICK_CLOCK,)
"""All features of this edition of the protocol."""


# ---------------------------------------------------------------------------------- envelope


class Request(StrictMessage, frozen=True):
    """A JSON-RPC 2.0 request; without `id` it is a notification. `params` is decoded per method."""

    method: str
    params: Raw | UnsetType = UNSET
    id: RequestId | None | UnsetType = UNSET
    jsonrpc: Literal["2.0"] | UnsetType = UNSET


class ErrorObject(Message, frozen=True):
    """The JSON-RPC error object; `data` carries `name`, `retryable` and what the error table lists."""

    code: int
    message: str
    data: dict[str, Any] = field(default_factory=dict)


class Reply(Message, frozen=True):
    """A JSON-RPC 2.0 reply as a client reads it, or a notification of the server (then `method` is set)."""

    jsonrpc: str = "2.0"
    id: int | str | None = None
    result: Raw | UnsetType = UNSET
    error: ErrorObject | UnsetType = UNSET
    method: str | UnsetType = UNSET
    params: Raw | UnsetType = UNSET


# ---------------------------------------------------------------------------------- hello, ping, bye


class HelloParams(StrictMessage, frozen=True):
    """Identifies the terminal, its outbox file (`lineage`) and what the outbox holds.

    `boot` and `tick_ms` are the till's tick clock at the moment of sending. `backdated` announces old postings, as in
    a replay or an import.
    """

    terminal: TerminalName
    token: str | UnsetType = UNSET
    lineage: UUID | UnsetType = UNSET
    app: Text | UnsetType = UNSET
    protocol: tuple[int, int] | UnsetType = UNSET
    location: Location | UnsetType = UNSET
    outbox: OutboxReport | UnsetType = UNSET
    now: Instant | UnsetType = UNSET
    boot: UUID | UnsetType = UNSET
    tick_ms: TickMs | UnsetType = UNSET
    backdated: bool | UnsetType = UNSET


class Limits(Message, frozen=True):
    """What the server accepts: bytes per frame, postings per frame, lines per posting, connections."""

    max_frame_bytes: int
    max_postings: int
    max_lines: int
    max_connections: int


class HelloResult(Message, frozen=True):
    """Who the server takes the client for, and the state of that terminal in the ledger.

    `features` names what this server supports beyond the first edition of the protocol; a client uses nothing else.
    This terminal may deliver for those that it `adopted`.
    """

    server: str
    protocol: int
    terminal: str
    role: Role
    location: str
    epoch: int
    parent: Digest
    acked_seq: int
    server_time: Instant
    heartbeat_s: int
    limits: Limits
    features: tuple[str, ...] = ()
    adopted: tuple[TerminalName, ...] = ()


class PingParams(StrictMessage, frozen=True):
    """A heartbeat; `outbox` and `now` are the inputs of completeness, `boot` and `tick_ms` those of the tick clock."""

    outbox: OutboxReport | UnsetType = UNSET
    now: Instant | UnsetType = UNSET
    boot: UUID | UnsetType = UNSET
    tick_ms: TickMs | UnsetType = UNSET


class PingResult(Message, frozen=True):
    """HQ's clock."""

    server_time: Instant


class ByeParams(StrictMessage, frozen=True):
    """Ends a session with the lineage's control totals: last seq, number of postings, signed quantity."""

    lineage: UUID | UnsetType = UNSET
    last_seq: NonNegative | UnsetType = UNSET
    count: NonNegative | UnsetType = UNSET
    quantity: Quantity | UnsetType = UNSET
    pending: PostingCount | UnsetType = UNSET
    dead: PostingCount | UnsetType = UNSET


class Totals(Message, frozen=True):
    """HQ's control totals of one lineage, for comparison with the till's."""

    last_seq: int
    count: int
    quantity: Quantity


class ByeResult(Message, frozen=True):
    """`balanced`, `mismatch` or, without totals, `closed`; `missing` lists the postings HQ never received."""

    status: Literal["balanced", "mismatch", "closed"]
    missing: list[Range]
    expected: Totals | None = None


# ---------------------------------------------------------------------------------- posting


class Line(StrictMessage, frozen=True):
    """One line of a posting; it names the product by `sku` or by `gtin`."""

    quantity: Quantity
    sku: Sku | UnsetType = UNSET
    gtin: Gtin | UnsetType = UNSET
    unit_price: Quantity | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    reason: Text | UnsetType = UNSET


class Body(StrictMessage, frozen=True):
    """The content of a posting. Its digest is SHA-256 over the exact bytes of this JSON value as sent."""

    type: PostingType
    occurred_at: Instant
    lines: list[Line] | UnsetType = UNSET
    location: Location | UnsetType = UNSET
    reference: Text | UnsetType = UNSET
    other_location: Location | UnsetType = UNSET
    voids: UUID | UnsetType = UNSET
    returns: UUID | UnsetType = UNSET
    transfer: UUID | UnsetType = UNSET
    reason: CloseReason | UnsetType = UNSET
    reservation: UUID | UnsetType = UNSET
    expires_at: Instant | UnsetType = UNSET
    merge: Sku | UnsetType = UNSET
    into: Sku | UnsetType = UNSET
    ext: Raw | UnsetType = UNSET


class PostItem(StrictMessage, frozen=True):
    """A posting in a frame: `id` makes it idempotent, `seq` reveals holes, `body` is hashed as sent.

    `boot` and `tick_ms` are the till's tick clock when the posting was made, the same at every resend.
    """

    id: UUID
    body: Raw
    seq: Sequence | UnsetType = UNSET
    boot: UUID | UnsetType = UNSET
    tick_ms: TickMs | UnsetType = UNSET


class PostParams(StrictMessage, frozen=True):
    """One frame of postings: one commit, one result each. `parent` is the last chain head received.

    `boot` and `tick_ms` are the till's tick clock at the moment of sending.
    """

    postings: list[PostItem]
    parent: Digest | UnsetType = UNSET
    boot: UUID | UnsetType = UNSET
    tick_ms: TickMs | UnsetType = UNSET


class PostingResult(Message, frozen=True):
    """The outcome of one posting."""

    id: UUID
    status: PostingStatus
    position: int | None = None
    recorded_at: Instant | None = None
    flags: tuple[Flag, ...] = ()
    code: str | None = None
    reason: str | None = None


class PostResult(Message, frozen=True):
    """Results in the order of the frame, the new chain head, the ledger's position, the lineage's holes.

    `holes` are the first of `holes_total`.
    """

    results: list[PostingResult]
    parent: Digest
    position: int
    holes: list[Range]
    holes_total: int = 0


# ---------------------------------------------------------------------------------- queries


class StockParams(StrictMessage, frozen=True):
    """Which stock levels to show; `below`: `"reorder_point"` or a quantity, `known_at`: an instant or a position.

    `search` is for listed products whose SKU or name has all its words, in any case of letters. With `names` the items
    have the product's name and unit, with `net_of_transit` what is in transit counts for `below`.
    """

    skus: list[Sku] | UnsetType = UNSET
    sku: Sku | UnsetType = UNSET
    gtin: Gtin | UnsetType = UNSET
    locations: list[Location] | UnsetType = UNSET
    location: Location | UnsetType = UNSET
    below: Raw | UnsetType = UNSET
    negative: bool | UnsetType = UNSET
    as_of: AsOf | UnsetType = UNSET
    known_at: Instant | NonNegative | UnsetType = UNSET
    limit: Sequence | UnsetType = UNSET
    cursor: str | UnsetType = UNSET
    search: Text | UnsetType = UNSET
    names: bool | UnsetType = UNSET
    net_of_transit: bool | UnsetType = UNSET


class StockItem(Message, frozen=True):
    """The stock level of one (location, sku): `available` = `on_hand` − `reserved`.

    `location` is null for a listed product that no location has had and the catalogue ranges for none.
    """

    sku: str
    location: str | None
    on_hand: Quantity
    reserved: Quantity
    available: Quantity
    in_transit: Quantity
    reorder_point: Quantity | None = None
    counted_at: Instant | None = None
    last_movement_at: Instant | None = None
    unlisted: bool = False
    name: str | None = None
    unit: str | None = None


class StockResult(Message, frozen=True):
    """Stock levels as of `position`, with the completeness of each location in the answer."""

    items: list[StockItem]
    position: int
    completeness: dict[str, Completeness]
    unknown: list[UnknownItem] = field(default_factory=list)
    cursor: str | None = None


class HistoryParams(StrictMessage, frozen=True, rename={"from_": "from"}):
    """The movements of one sku in ledger order; `from` ≤ occurred_at < `to`."""

    sku: Sku
    location: Location | UnsetType = UNSET
    from_: Instant | UnsetType = UNSET
    to: Instant | UnsetType = UNSET
    limit: Sequence | UnsetType = UNSET
    cursor: str | UnsetType = UNSET


class HistoryEntry(Message, frozen=True):
    """One movement; `quantity` is signed, for a count the counted one; `effective_at` counts, if not `occurred_at`."""

    position: int
    id: UUID
    terminal: str
    type: PostingType
    occurred_at: Instant
    recorded_at: Instant
    location: str
    sku: str
    quantity: Quantity
    flags: tuple[Flag, ...]
    reference: str | None
    on_hand_after: Quantity
    effective_at: Instant | UnsetType = UNSET


class HistoryResult(Message, frozen=True):
    """A page of movements; `cursor` requests the next."""

    entries: list[HistoryEntry]
    cursor: str | None = None


class NoParams(StrictMessage, frozen=True):
    """A method without parameters."""
