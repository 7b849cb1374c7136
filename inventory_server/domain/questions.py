"""The queries of the table of requests (`requests.py`): what each asks. Plain data."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta

from inventory_server.domain.alerts import TargetName
from inventory_server.domain.business_day import Period
from inventory_server.domain.limits import (
    ALERT_TARGETS_MAX,
    ALERTS_DEFAULT,
    ALERTS_MAX,
    AUDIT_ENTRIES_MAX,
    LEVELS_PROVEN_MAX,
    LEVELS_WATCHED_MAX,
)
from inventory_server.domain.roles import ActorRequest
from pos_client.protocol.feed import WatchParams
from pos_client.protocol.fields import Location, NonNegative, Sku, Text
from pos_client.protocol.lists import (
    ChangesParams,
    CountsParams,
    ExceptionsParams,
    PostingsParams,
    ReservationsParams,
    SalesParams,
    TransfersParams,
)
from pos_client.protocol.messages import HistoryParams, PostingParams, StockParams
from pos_client.protocol.units import Quantity


class Stock(ActorRequest, frozen=True):
    """Stock levels; `below` and `as_of` of `params` decoded. `below` is "reorder_point" or a quantity.

    `as_of` is an instant (microseconds), or a date: the end of each location's business day.
    """

    params: StockParams
    below: str | Quantity | None
    as_of: int | date | None = None


class History(ActorRequest, frozen=True):
    """The movements of a sku."""

    params: HistoryParams


class FindPosting(ActorRequest, frozen=True):
    """One stored posting."""

    params: PostingParams


class ListPostings(ActorRequest, frozen=True):
    """Postings of a period, the latest first."""

    params: PostingsParams
    period: Period = Period()


class ListCounts(ActorRequest, frozen=True):
    """The counts of a period that stand, with their variances."""

    params: CountsParams
    period: Period = Period()


class ListTransfers(ActorRequest, frozen=True):
    """What is on the road of the transfers of a period."""

    params: TransfersParams
    period: Period = Period()


class ListReservations(ActorRequest, frozen=True):
    """What is reserved by the reservations of a period."""

    params: ReservationsParams
    period: Period = Period()


class ListSales(ActorRequest, frozen=True):
    """What was sold in a period, by location, product and business day."""

    params: SalesParams
    period: Period = Period()


class ListChanges(ActorRequest, frozen=True):
    """What changed between two instants or positions."""

    params: ChangesParams


class StartFeed(ActorRequest, frozen=True):
    """Where a feed of changes begins, and of which locations it may be."""

    params: WatchParams = WatchParams()


class ReadFeed(ActorRequest, frozen=True):
    """What changed stock after the position `since`: a page of it; None: no bound to what is asked for."""

    since: int
    locations: frozenset[str] | None = None
    skus: frozenset[str] | None = None


class ShowOverview(ActorRequest, frozen=True):
    """A summary of the ledger."""


class Reconcile(ActorRequest, frozen=True):
    """Compare every till's last report with the ledger."""


class ListWaiting(ActorRequest, frozen=True):
    """Rejected postings that were not reopened, and bodies in quarantine, oldest first."""


class ListExceptions(ActorRequest, frozen=True):
    """What waits for a person, by cause."""

    params: ExceptionsParams = ExceptionsParams()


class ListProducts(ActorRequest, frozen=True):
    """The whole catalogue."""


class ShowProduct(ActorRequest, frozen=True):
    """What the catalogue says of a product; StoreError if it does not list it."""

    sku: Sku


class FindBarcodes(ActorRequest, frozen=True):
    """The SKUs of listed barcodes, by their 14 digits, and how many units of it each stands for."""

    barcodes: list[str]


class ListTerminals(ActorRequest, frozen=True):
    """All terminals, revoked ones included."""


class ListCodes(ActorRequest, frozen=True):
    """The enrolment codes that are valid now."""


class ListClients(ActorRequest, frozen=True):
    """Who is connected to the tills' port of a running server."""


class ShowMetrics(ActorRequest, frozen=True):
    """What a running server has counted: commits, postings, connections, refusals."""


class ShowFigures(ActorRequest, frozen=True):
    """A ledger's health in figures, for monitoring."""


class ListLocations(ActorRequest, frozen=True):
    """All locations that HQ knows."""


class ListAudit(ActorRequest, frozen=True):
    """The latest `limit` audited changes (before entry `before`, if given), oldest first."""

    limit: Annotated[int, Meta(ge=1, le=AUDIT_ENTRIES_MAX)] = 100
    before: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None


class ListOrder(ActorRequest, frozen=True):
    """What to order: of all locations and suppliers, or of those named; of all products, or of those named."""

    locations: list[Location] | None = None
    suppliers: list[Text] | None = None
    skus: list[Sku] | None = None


class ListOrdered(ActorRequest, frozen=True):
    """What is marked as ordered and still waited for, of all locations or of those named."""

    locations: list[Location] | None = None


class ListAlerts(ActorRequest, frozen=True):
    """The latest alerts, the latest first: open ones alone, or all; before the one numbered `before`, if given."""

    is_open: bool = True
    limit: Annotated[int, Meta(ge=1, le=ALERTS_MAX)] = ALERTS_DEFAULT
    before: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None


class ShowObserver(ActorRequest, frozen=True):
    """How far the observer is, and the targets of deliveries."""


class ListDue(ActorRequest, frozen=True):
    """The next delivery to each of `targets` that may be tried now."""

    targets: Annotated[list[TargetName], Meta(max_length=ALERT_TARGETS_MAX)]


class WatchLevels(ActorRequest, frozen=True):
    """What is available of some (location, sku), or, without `keys`, where it is below the reorder point.

    The latter by location and SKU, after the key `after`.
    """

    keys: Annotated[list[tuple[str, str]], Meta(max_length=LEVELS_WATCHED_MAX)] | None = None
    after: tuple[str, str] | None = None


class WatchTills(ActorRequest, frozen=True):
    """What HQ knows of each till in use."""


class ProveLevels(ActorRequest, frozen=True):
    """Compare up to `limit` levels with the ledger, by location and SKU, after the key `after` and `skipped` more."""

    after: tuple[str, str] | None = None
    limit: Annotated[int, Meta(ge=1, le=LEVELS_PROVEN_MAX)] = 1
    skipped: NonNegative = 0


class ListPartitions(ActorRequest, frozen=True):
    """The partitions of a ledger on PostgreSQL; StoreError on SQLite, which has none."""


class AdviseOnGrowth(ActorRequest, frozen=True):
    """A warning if the ledger needs new partitions soon, else None."""


class Verify(ActorRequest, frozen=True):
    """Prove the whole ledger."""


class Compare(ActorRequest, frozen=True):
    """Compare this ledger with that of the database `other` (a URL), row by row."""

    other: str
