"""Administrators' changes: what people at headquarters may have changed. The table in `requests.py` has their kinds."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct, field

from inventory_server.domain.alerts import AlertEvent, OpenedAlert, TargetName
from inventory_server.domain.limits import ALERT_TARGETS_MAX, ALERTS_CHANGED_MAX, DELIVERY_ERROR_LENGTH_MAX
from inventory_server.domain.product import FIELDS, Product, Supplier
from inventory_server.domain.roles import ActorRequest
from pos_client.protocol.fields import Flag, Location, NonNegative, Role, Sku, TerminalName, Text
from pos_client.protocol.units import Quantity

Token = Annotated[str, Meta(min_length=1)]


class EnrolmentCode(Struct, frozen=True):
    """A one-time code without the code: the `key` that it stands for, with `salt`; valid until `expires_at`."""

    salt: bytes
    key: bytes
    expires_at: NonNegative


class Enrol(ActorRequest, frozen=True):
    """Enrol a terminal; only a hash of the token is stored. Without a token, it gets one for its `code`."""

    terminal: TerminalName
    role: Role
    location: Location
    token: Token | None = None
    code: EnrolmentCode | None = None


class RevokeTerminal(ActorRequest, frozen=True):
    """Refuse a terminal from now on."""

    terminal: TerminalName


class RotateToken(ActorRequest, frozen=True):
    """Give a terminal a new token, or a code for which it gets one, and lift a revocation."""

    terminal: TerminalName
    token: Token | None = None
    code: EnrolmentCode | None = None


class RedeemCode(ActorRequest, frozen=True):
    """Give the terminal of the code with `salt` the `token`, if `proof` is that of a till that knows the code."""

    terminal: TerminalName
    salt: bytes
    proof: str
    said: bytes
    token: Token


class MoveTerminal(ActorRequest, frozen=True):
    """Have a terminal be at another location from now on; it keeps its name, its history and where it may post."""

    terminal: TerminalName
    location: Location


class AdoptTerminal(ActorRequest, frozen=True):
    """Allow the terminal `by` to deliver what `terminal`, revoked or not, made and did not deliver."""

    terminal: TerminalName
    by: TerminalName


class SetLocation(ActorRequest, frozen=True):
    """Set what HQ knows of a location, and have HQ know it; None leaves what is set. StoreError for an unknown zone."""

    location: Location
    name: Text | None = None
    time_zone: Text | None = None
    day_ends_hour: Annotated[int, Meta(ge=0, le=23)] | None = None


class RenameLocation(ActorRequest, frozen=True):
    """Change what people call a location; its code, which postings have, stays. StoreError for an unknown one."""

    location: Location
    name: Annotated[Text, Meta(min_length=1)]


class ImportProducts(ActorRequest, frozen=True):
    """Add products and suppliers to the catalogue, or change what `columns` name of them. Outcome: how many products.

    A barcode of another product moves.
    """

    products: list[Product]
    suppliers: list[Supplier] = field(default_factory=list)
    columns: tuple[str, ...] = FIELDS


class RemoveProduct(ActorRequest, frozen=True):
    """Take a product off the catalogue; its history stays. StoreError while any of it is in stock or on the road."""

    sku: Sku


class MergeProducts(ActorRequest, frozen=True):
    """Merge the product `merge` into another one, `into`, as a posting of HQ. Outcome: its position."""

    merge: Sku
    into: Sku


class ImportedCount(Struct, frozen=True):
    """A count of HQ's own, at an instant (microseconds): (sku, quantity in units of 10⁻⁵) of one location."""

    id: UUID
    location: Location
    counted_at: int
    lines: list[tuple[Sku, int]]


class ImportCounts(ActorRequest, frozen=True):
    """Enter counts into the ledger as postings of HQ; a known one changes nothing. Outcome: the result of each."""

    counts: list[ImportedCount]


class ReopenPosting(ActorRequest, frozen=True):
    """Have a rejected posting decided again when it is resent."""

    id: UUID


class SettleException(ActorRequest, frozen=True):
    """Settle the causes of `flag`, of one subject and one location if given, up to `position`. Outcome: how many."""

    flag: Flag
    position: NonNegative
    subject: Sku | None = None
    location: Location | None = None


class MarkOrdered(ActorRequest, frozen=True):
    """Mark a quantity of a product as ordered for a location; it is `expected` on a day. Outcome: when, which names it.

    The order list counts on it until so much was received there, or until two days after that day.
    """

    location: Location
    sku: Sku
    quantity: Quantity
    expected: date


class UnmarkOrdered(ActorRequest, frozen=True):
    """Take back a mark as ordered, that of `marked_at` (microseconds), else all of the product. Outcome: how many."""

    location: Location
    sku: Sku
    marked_at: NonNegative | None = None


class StartObserving(ActorRequest, frozen=True):
    """Have the process `owner` observe the ledger; whoever did is refused from now on. Outcome: where it goes on.

    A ledger that was never observed begins at its last position.
    """

    owner: Text


class RecordAlerts(ActorRequest, frozen=True):
    """Open and close alerts, queue their deliveries to all `targets`, and note what was read and proven so far.

    Outcome: the numbers of `opened`. What is open stays so, what is closed stays closed: nothing is queued for either.
    StoreError for another `owner` than the one that observes.
    """

    owner: Text
    position: NonNegative
    opened: Annotated[list[OpenedAlert], Meta(max_length=ALERTS_CHANGED_MAX)] = field(default_factory=list)
    closed: Annotated[list[NonNegative], Meta(max_length=ALERTS_CHANGED_MAX)] = field(default_factory=list)
    targets: Annotated[list[TargetName], Meta(max_length=ALERT_TARGETS_MAX)] = field(default_factory=list)
    proven: NonNegative = 0
    mismatches: NonNegative = 0


class RecordDelivery(ActorRequest, frozen=True):
    """Note what came of a delivery: it was taken, or why not, and when its target is tried again; None: it is paused.

    Outcome: False if that delivery is not waiting.
    """

    owner: Text
    target: TargetName
    queued_at: int
    alert: NonNegative
    event: AlertEvent
    error: Annotated[str, Meta(max_length=DELIVERY_ERROR_LENGTH_MAX)] | None = None
    next_at: int | None = None


class ResumeTarget(ActorRequest, frozen=True):
    """Have a target that failed or is paused tried again at once. Outcome: how many deliveries wait for it."""

    target: TargetName


class RemoveTarget(ActorRequest, frozen=True):
    """Forget a target, with what waits for it. Outcome: how many deliveries that were."""

    target: TargetName


class CloseBooks(ActorRequest, frozen=True):
    """Write the next closing; outcome None if there is nothing to close. Repeat it until then."""


class MakePartitions(ActorRequest, frozen=True):
    """Keep `ahead` empty partitions of `positions` each ahead of the ledger. Outcome: how many were created."""

    ahead: int
    positions: int


class ArchivePartitions(ActorRequest, frozen=True):
    """Archive all partitions filled before an instant (microseconds). Outcome: those archived."""

    before: int


class ReturnPartition(ActorRequest, frozen=True):
    """Reattach the partition that was archived last. Outcome: that partition, or None if nothing is archived."""


class MarkMoved(ActorRequest, frozen=True):
    """Have this ledger no longer served: it moves to the database `to`, a URL without a password, valid in any folder.

    Outcome: False if it was marked so before.
    """

    to: str


class UnmarkMoved(ActorRequest, frozen=True):
    """Have a ledger served again that was moved. Outcome: the URL that it was moved to."""


class CopyFrom(ActorRequest, frozen=True):
    """Copy the ledger of the database `source` (a URL) into this one, which is empty, and compare them."""

    source: str
