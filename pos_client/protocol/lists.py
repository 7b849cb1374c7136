"""The messages of the lists for people: postings, counts, transfers, reservations and the like.

In all of them `from` and `to` are instants (from ≤ effective instant < to) or dates: from the beginning of that
business day at each location, up to the end of that day. All pages of one `cursor` are one snapshot, at the `position`
of the first.
"""

from __future__ import annotations

from datetime import date
from typing import Literal
from uuid import UUID

from msgspec import UNSET, Raw, UnsetType, field

from pos_client.protocol.base import Message, StrictMessage
from pos_client.protocol.completeness import Completeness
from pos_client.protocol.fields import (
    Bound,
    Currency,
    Digest,
    Flag,
    Gtin,
    Instant,
    Location,
    NonNegative,
    PostingType,
    Sequence,
    Sku,
    TerminalName,
    Text,
)
from pos_client.protocol.units import Quantity


class PlaceParams(StrictMessage, frozen=True, kw_only=True):
    """What all lists have in common: which locations, how many on a page."""

    locations: list[Location] | UnsetType = UNSET
    location: Location | UnsetType = UNSET
    limit: Sequence | UnsetType = UNSET
    cursor: str | UnsetType = UNSET


class ListParams(PlaceParams, frozen=True, kw_only=True, rename={"from_": "from"}):
    """What the lists of a period have in common besides: of which time."""

    from_: Bound | UnsetType = UNSET
    to: Bound | UnsetType = UNSET


class SkuListParams(ListParams, frozen=True, kw_only=True):
    """What the lists of products have in common besides: which products."""

    skus: list[Sku] | UnsetType = UNSET
    sku: Sku | UnsetType = UNSET


class UnknownItem(Message, frozen=True):
    """A sku, gtin or location of the question that HQ does not know, or a search that found no product."""

    sku: str | None = None
    gtin: str | None = None
    location: str | None = None
    search: str | None = None


class ListResult(Message, frozen=True, kw_only=True):
    """A page of a list, as of `position`; `cursor` requests the next, which may be empty.

    `unknown` are the products and locations of the question that HQ does not know.
    """

    position: int
    unknown: list[UnknownItem] = field(default_factory=list)
    cursor: str | None = None


# ---------------------------------------------------------------------------------- postings


class PostingParams(StrictMessage, frozen=True):
    """Which posting to show."""

    id: UUID


class StoredPosting(Message, frozen=True):
    """A posting in the ledger, or the record of its rejection; `body` is what was sent, byte for byte."""

    id: UUID
    status: Literal["posted", "rejected"]
    digest: Digest
    terminal: str
    recorded_at: Instant
    body: Raw
    position: int | None = None
    location: str | None = None
    lineage: UUID | None = None
    seq: int | None = None
    flags: tuple[Flag, ...] = ()
    reason: str | None = None


class PostingsParams(ListParams, frozen=True, kw_only=True):
    """Which postings to list, the latest first: `reference` is exact, `flag` one that the posting was answered with.

    A till sees the postings of its own location, and with a `reference` every sale that has it, without prices.
    """

    terminal: TerminalName | UnsetType = UNSET
    type: PostingType | UnsetType = UNSET
    reference: Text | UnsetType = UNSET
    flag: Flag | UnsetType = UNSET


class ListedLine(Message, frozen=True):
    """One line of a posting, as it was sent."""

    quantity: Quantity
    sku: Sku | UnsetType = UNSET
    gtin: Gtin | UnsetType = UNSET
    unit_price: Quantity | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET


class ListedPosting(Message, frozen=True):
    """One posting; `effective_at` counts, if not `occurred_at`. `voided_position` is that of the void, if there is one.

    `flags` are those of its answer; `lines` are missing on a void and a merge.
    """

    position: int
    id: UUID
    terminal: str
    type: PostingType
    location: str
    occurred_at: Instant
    recorded_at: Instant
    flags: tuple[Flag, ...]
    reference: str | None
    lines: list[ListedLine] = field(default_factory=list)
    effective_at: Instant | UnsetType = UNSET
    voided_position: int | None = None


class PostingsResult(ListResult, frozen=True, kw_only=True):
    """A page of postings, the latest first."""

    postings: list[ListedPosting]


# ---------------------------------------------------------------------------------- counts


class CountsParams(SkuListParams, frozen=True, kw_only=True):
    """Which counts to list; `off`: only those whose variance is not zero now."""

    off: bool | UnsetType = UNSET


class CountChange(Message, frozen=True):
    """A posting recorded after a count that changed its variance, and by how much."""

    position: int
    id: UUID
    terminal: str
    type: PostingType
    effective_at: Instant
    recorded_at: Instant
    reference: str | None
    quantity: Quantity


class ListedCount(Message, frozen=True):
    """The count of one product: `variance` = counted − the stock just before it, as known then and now.

    `changes` are the first of `changes_total` postings that arrived later and changed it. Their quantities add up to
    the difference of both variances.
    """

    position: int
    id: UUID
    terminal: str
    location: str
    sku: str
    occurred_at: Instant
    recorded_at: Instant
    flags: tuple[Flag, ...]
    reference: str | None
    counted: Quantity
    variance_then: Quantity
    variance_now: Quantity
    changes: list[CountChange] = field(default_factory=list)
    changes_total: int = 0
    effective_at: Instant | UnsetType = UNSET


class CountsResult(ListResult, frozen=True, kw_only=True):
    """A page of the counts that stand, by location, product and time."""

    counts: list[ListedCount]


# ---------------------------------------------------------------------------------- transfers and reservations


class TransfersParams(SkuListParams, frozen=True, kw_only=True):
    """Which transfers to list; `locations` are where they come from or go to, `from` and `to` when they were sent."""


class ListedTransfer(Message, frozen=True, rename={"from_": "from"}):
    """A product of a transfer: `left` is on the road, `sent` = `received` + `closed` + `left`.

    `id` is that of the `transfer_out`; its `reference` is null if that posting is archived or has none.
    """

    id: UUID
    position: int
    terminal: str
    reference: str | None
    sku: str
    from_: str
    to: str
    sent_at: Instant
    sent: Quantity
    received: Quantity
    closed: Quantity
    left: Quantity


class TransfersResult(ListResult, frozen=True, kw_only=True):
    """A page of the transfers of which something is on the road, the longest on the road first."""

    transfers: list[ListedTransfer]


class ReservationsParams(SkuListParams, frozen=True, kw_only=True):
    """Which reservations to list; `from` and `to` are when they were made."""


class ListedReservation(Message, frozen=True):
    """A product of a reservation, of which `left` is still held until `expires_at` (null: for ever).

    `id` is that of the `reserve`; its `reference` is null if that posting is archived or has none.
    """

    id: UUID
    position: int
    terminal: str
    reference: str | None
    sku: str
    location: str
    reserved_at: Instant
    expires_at: Instant | None
    reserved: Quantity
    left: Quantity


class ReservationsResult(ListResult, frozen=True, kw_only=True):
    """A page of the reservations that hold something and have not expired, the oldest first."""

    reservations: list[ListedReservation]


# ---------------------------------------------------------------------------------- sales


class SalesParams(SkuListParams, frozen=True, kw_only=True):
    """Of which products, locations and time to list what was sold."""


class SalesValue(Message, frozen=True):
    """An exact amount in a currency (null: none was given)."""

    amount: Quantity
    currency: str | None


class ListedSales(Message, frozen=True):
    """What was sold of a product at a location on a business day: `quantity` is without what was `returned` that day.

    `values` are quantity × price of the lines with a price, by currency; `unpriced` is the rest of `quantity`.
    """

    location: str
    sku: str
    day: date
    quantity: Quantity
    returned: Quantity
    values: list[SalesValue]
    unpriced: Quantity


class SalesResult(ListResult, frozen=True, kw_only=True):
    """A page of what was sold, by location, product and business day.

    The first page says how complete the figures of each location of the question are.
    """

    sales: list[ListedSales]
    completeness: dict[str, Completeness] = field(default_factory=dict)


# ---------------------------------------------------------------------------------- changes


class ChangesParams(PlaceParams, frozen=True, rename={"from_": "from"}):
    """Which moments to compare, each an instant or a ledger position: what HQ knew then; `to`: now, if left out."""

    from_: Instant | NonNegative
    skus: list[Sku] | UnsetType = UNSET
    sku: Sku | UnsetType = UNSET
    to: Instant | NonNegative | UnsetType = UNSET


class ListedChange(Message, frozen=True):
    """A stock figure as known at both moments: `change` = `after` − `before`.

    `moved` are the sums of the movements recorded in between, by type of posting: those that took effect before a count
    changed no figure, and a count has none.
    """

    location: str
    sku: str
    before: Quantity
    after: Quantity
    change: Quantity
    moved: dict[PostingType, Quantity]


class ChangesResult(ListResult, frozen=True, kw_only=True):
    """A page of what was recorded after the position `since` and up to `position`, by location and product.

    The first page says how complete the figures of each location of the question are.
    """

    changes: list[ListedChange]
    since: int
    completeness: dict[str, Completeness] = field(default_factory=dict)


# ---------------------------------------------------------------------------------- exceptions


class ExceptionsParams(StrictMessage, frozen=True, kw_only=True):
    """Of which flag and locations to list what waits for a person: the latest `limit` causes."""

    flag: Flag | UnsetType = UNSET
    locations: list[Location] | UnsetType = UNSET
    location: Location | UnsetType = UNSET
    limit: Sequence | UnsetType = UNSET


class ListedException(Message, frozen=True):
    """One cause of a flag that waits for a person: how many postings, when the first and the last took effect.

    `subject` is a SKU or the terminal that posted, `action` what settles it. `position` is that of the last posting:
    settling up to it covers all. `settled_at` is when the cause was settled before.
    """

    flag: Flag
    subject: str
    location: str
    count: int
    first_at: Instant
    last_at: Instant
    position: int
    action: str
    settled_at: Instant | None = None


class ExceptionsResult(Message, frozen=True):
    """What waits for a person as of `position`: the latest causes, and how many there are in `total`."""

    position: int
    total: int
    causes: list[ListedException]
