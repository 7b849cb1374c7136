"""The messages of the feed: what changed stock, position by position."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from pos_client.protocol.base import Message, StrictMessage
from pos_client.protocol.fields import Instant, Location, NonNegative, PostingType, Sku
from pos_client.protocol.units import Quantity


class WatchParams(StrictMessage, frozen=True, rename={"from_": "from"}):
    """The position after which to report changes (default: the last one), and of what."""

    from_: NonNegative | UnsetType = UNSET
    locations: list[Location] | UnsetType = UNSET
    skus: list[Sku] | UnsetType = UNSET


class WatchResult(Message, frozen=True):
    """The position after which changes are reported."""

    position: int


class StockChange(Message, frozen=True):
    """What a posting did to one stock level: the figures are those just after it, as HQ knew them then.

    `delta` is how much `on_hand` changed: 0 where a later count already includes it. Some of what is `reserved`
    expires at `next_expiry`, which no notification reports.
    """

    location: str
    sku: str
    delta: Quantity
    on_hand: Quantity
    reserved: Quantity
    in_transit: Quantity
    type: PostingType
    occurred_at: Instant
    effective_at: Instant
    next_expiry: Instant | UnsetType = UNSET


class ChangedParams(Message, frozen=True):
    """Notification `changed`: each matching position once, in order, without gaps.

    Without items it says how far the feed has come: at least every 1,000 positions, or every 30 seconds.
    """

    position: int
    items: list[StockChange]


class LaggingParams(Message, frozen=True):
    """Notification `lagging`: what was to be reported next is in the archive; the watch has ended.

    The feed can be watched from this position on.
    """

    resume_from: int
