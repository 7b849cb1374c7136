"""The list of stock levels that people at headquarters look at: its question and its answer. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from inventory_server.domain.limits import LEVELS_PAGE_DEFAULT, LEVELS_PAGE_MAX, SEARCH_LENGTH_MAX
from inventory_server.domain.roles import ActorRequest
from pos_client.protocol.messages import Completeness
from pos_client.protocol.units import Quantity

LevelView = Literal["all", "below", "negative", "unlisted", "incomplete", "in_transit"]
"""Which levels: all, those below their reorder point, those on hand below zero, those of unlisted products, those at
incomplete locations, those to which something is on the road."""
LevelOrder = Literal[
    "shortage", "product", "location", "available", "on_hand", "reserved", "in_transit", "moved", "counted"
]
"""By what they are sorted. `shortage` is available − reorder point, or what is available below zero without one."""


class ListLevels(ActorRequest, frozen=True, kw_only=True):
    """A page of stock levels; those without the figure that they are sorted by come last.

    Without `is_counted` all counts are 0: they take as long as the page.
    `search` is a scanned barcode, or words of which each is in the SKU or in the name. `after` is the `cursor` of the
    page before. Each page is as of its own position: a level whose figure changes in between may be on both or none.
    """

    view: LevelView = "all"
    search: Annotated[str, Meta(max_length=SEARCH_LENGTH_MAX)] | None = None
    skus: list[str] | None = None
    location: str | None = None
    supplier: str | None = None
    order: LevelOrder = "shortage"
    descending: bool = False
    after: str | None = None
    is_counted: bool = True
    limit: Annotated[int, Meta(ge=1, le=LEVELS_PAGE_MAX)] = LEVELS_PAGE_DEFAULT


@dataclass(frozen=True, slots=True)
class LevelRow:
    """A level with what the catalogue says of its product there; instants in microseconds since 1970 UTC.

    `location` is empty for a listed product that no location has ever had or is ranged for. `sold` in so many business
    `days` is how fast it sells there; no `days`: that is not known. `cover_days` is how long what is available lasts,
    rounded down; None: nothing is sold.
    """

    location: str
    sku: str
    name: str | None
    unit: str | None
    on_hand: Quantity
    reserved: Quantity
    available: Quantity
    in_transit: Quantity
    reorder_point: Quantity | None
    supplier: str | None
    lead_time_days: int | None
    last_movement_at: int | None
    counted_at: int | None
    is_listed: bool
    sold: Quantity = 0
    days: int = 0
    cover_days: Quantity | None = None


@dataclass(frozen=True, slots=True)
class LevelsPage:
    """A page of levels as of `position`, at the instant `now`; `cursor` asks for the next.

    `counts` are how many levels each view would have of the same search, location and supplier; `unsure` is how many
    of those below their reorder point are at `incomplete` locations. `completeness` is that of every location.
    """

    rows: list[LevelRow]
    counts: Mapping[str, int]
    unsure: int
    position: int
    now: int
    completeness: Mapping[str, Completeness]
    incomplete: list[str]
    suppliers: list[str]
    cursor: str | None = None
