"""`ListMethods`: the methods of `PosClient` that ask HQ for lists. A till sees what concerns its own location."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, TypedDict, Unpack

from pos_client.protocol.fields import Flag, PostingType
from pos_client.protocol.lists import (
    ChangesParams,
    ChangesResult,
    CountsParams,
    CountsResult,
    ExceptionsParams,
    ExceptionsResult,
    PostingsParams,
    PostingsResult,
    ReservationsParams,
    ReservationsResult,
    SalesParams,
    SalesResult,
    TransfersParams,
    TransfersResult,
)
from pos_client.protocol.messages import Message
from pos_client.till.arguments import asked, day_or_instant, given, listed
from pos_client.till.posting_details import check_names
from pos_client.transport.limits import REPLY_SECONDS


class Listing(TypedDict, total=False):
    """What all lists of a period take: a date is that business day at each location, the last one included."""

    locations: Sequence[str] | None
    since: date | None
    until: date | None
    limit: int | None
    cursor: str | None


class ListMethods(ABC):
    """Lists at HQ, a page each; `cursor` of a result asks for the next. Errors are those of `QueryMethods`."""

    @abstractmethod
    def _ask(self, method: str, params: Message, timeout: float) -> Any:
        """Make a request on the till's own connection, within `timeout` seconds."""

    def postings(
        self,
        *,
        reference: str | None = None,
        terminal: str | None = None,
        type: PostingType | None = None,  # noqa: A002 (the protocol's own name)
        flag: Flag | None = None,
        timeout: float = REPLY_SECONDS,
        **listing: Unpack[Listing],
    ) -> PostingsResult:
        """Postings of the till's location, the latest first, and every sale with exactly this `reference`."""
        own = {"reference": given(reference), "terminal": given(terminal), "type": given(type), "flag": given(flag)}
        params = PostingsParams(**own, **_listing("postings", listing))
        return self._ask("postings", asked(params), timeout)  # type: ignore[no-any-return]

    def counts(
        self,
        skus: Sequence[str] | None = None,
        *,
        off: bool | None = None,
        timeout: float = REPLY_SECONDS,
        **listing: Unpack[Listing],
    ) -> CountsResult:
        """Stock counts with their variance then and now; `off`: only those that are off now."""
        params = CountsParams(skus=listed("skus", skus), off=given(off), **_listing("counts", listing))
        return self._ask("counts", asked(params), timeout)  # type: ignore[no-any-return]

    def transfers(
        self, skus: Sequence[str] | None = None, *, timeout: float = REPLY_SECONDS, **listing: Unpack[Listing]
    ) -> TransfersResult:
        """What is on the road, the longest first."""
        params = TransfersParams(skus=listed("skus", skus), **_listing("transfers", listing))
        return self._ask("transfers", asked(params), timeout)  # type: ignore[no-any-return]

    def reservations(
        self, skus: Sequence[str] | None = None, *, timeout: float = REPLY_SECONDS, **listing: Unpack[Listing]
    ) -> ReservationsResult:
        """What is reserved, by whom and until when, the oldest first."""
        params = ReservationsParams(skus=listed("skus", skus), **_listing("reservations", listing))
        return self._ask("reservations", asked(params), timeout)  # type: ignore[no-any-return]

    def sales(
        self, skus: Sequence[str] | None = None, *, timeout: float = REPLY_SECONDS, **listing: Unpack[Listing]
    ) -> SalesResult:
        """What was sold per product, location and business day."""
        params = SalesParams(skus=listed("skus", skus), **_listing("sales", listing))
        return self._ask("sales", asked(params), timeout)  # type: ignore[no-any-return]

    def changes(
        self,
        since: datetime | int,
        until: datetime | int | None = None,
        skus: Sequence[str] | None = None,
        *,
        locations: Sequence[str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        timeout: float = REPLY_SECONDS,
    ) -> ChangesResult:
        """What changed between what HQ knew at two instants or ledger positions; `until`: now, if left out."""
        params = ChangesParams(
            since,
            to=given(until),
            skus=listed("skus", skus),
            locations=listed("locations", locations),
            limit=given(limit),
            cursor=given(cursor),
        )
        return self._ask("changes", asked(params), timeout)  # type: ignore[no-any-return]

    def exceptions(
        self,
        *,
        flag: Flag | None = None,
        locations: Sequence[str] | None = None,
        limit: int | None = None,
        timeout: float = REPLY_SECONDS,
    ) -> ExceptionsResult:
        """What waits for a person, by cause, the latest first."""
        params = ExceptionsParams(flag=given(flag), locations=listed("locations", locations), limit=given(limit))
        return self._ask("exceptions", asked(params), timeout)  # type: ignore[no-any-return]


def _listing(method: str, listing: Listing) -> dict[str, Any]:
    """The params that all lists of a period have in common; TypeError for another name, which would be ignored."""
    check_names(method, listing, Listing.__annotations__)
    return {
        "locations": listed("locations", listing.get("locations")),
        "from_": day_or_instant("since", listing.get("since")),
        "to": day_or_instant("until", listing.get("until")),
        "limit": given(listing.get("limit")),
        "cursor": given(listing.get("cursor")),
    }
