"""`QueryMethods`: the methods of `PosClient` that ask HQ. They need a connection, unlike those that post."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pos_client.protocol.messages import (
    HistoryParams,
    HistoryResult,
    Message,
    PostingParams,
    StockParams,
    StockResult,
)
from pos_client.protocol.units import Quantity
from pos_client.till.arguments import asked, bound, day_or_instant, given, listed
from pos_client.till.posting import Posting
from pos_client.till.posting_record import PostingRecord, record_of
from pos_client.transport.limits import REPLY_SECONDS


class QueryMethods(ABC):
    """Questions to HQ. Each raises ConnectionLost while HQ is unreachable, RequestError if HQ refuses.

    TypeError or ValueError says which argument cannot be sent.
    """

    @abstractmethod
    def _ask(self, method: str, params: Message, timeout: float) -> Any:
        """Make a request on the till's own connection, within `timeout` seconds."""

    def stock(
        self,
        skus: Sequence[str] | None = None,
        *,
        locations: Sequence[str] | None = None,
        below: Quantity | str | None = None,
        negative: bool | None = None,
        as_of: date | None = None,
        known_at: datetime | int | None = None,
        gtin: str | None = None,
        search: str | None = None,
        names: bool | None = None,
        net_of_transit: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        timeout: float = REPLY_SECONDS,
    ) -> StockResult:
        """Stock levels at HQ; `below` is "reorder_point" or a quantity; with `net_of_transit` it counts what comes.

        `as_of` is an instant (a `datetime` with time zone), or a date: the end of each location's business day.
        `search` finds listed products by the words of their SKU or name, `gtin` by a barcode; `names` fills in the name
        and unit of each item.
        """
        params = StockParams(
            skus=listed("skus", skus),
            locations=listed("locations", locations),
            below=bound(below),
            negative=given(negative),
            as_of=day_or_instant("as_of", as_of),
            known_at=given(known_at),
            gtin=given(gtin),
            search=given(search),
            names=given(names),
            net_of_transit=given(net_of_transit),
            limit=given(limit),
            cursor=given(cursor),
        )
        return self._ask("stock", asked(params), timeout)  # type: ignore[no-any-return]

    def history(
        self,
        sku: str,
        *,
        location: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        timeout: float = REPLY_SECONDS,
    ) -> HistoryResult:
        """The movements of one SKU in ledger order, with since ≤ occurred_at < until."""
        params = HistoryParams(sku, given(location), given(since), given(until), given(limit), given(cursor))
        return self._ask("history", asked(params), timeout)  # type: ignore[no-any-return]

    def posting(self, posting: UUID | Posting, *, timeout: float = REPLY_SECONDS) -> PostingRecord:
        """One posting, as stored at HQ: a till's own, or any other by its id."""
        params = PostingParams(posting.id if isinstance(posting, Posting) else posting)
        return record_of(self._ask("posting", asked(params), timeout))
