"""Stock levels of many products, for commands that compare files with the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import UNSET, structs

from inventory_server.admin.office import Office
from inventory_server.config import SKUS_ASKED
from inventory_server.domain.requests import Stock
from pos_client.protocol.messages import StockParams, StockResult


def stock_of(
    office: Office, skus: Sequence[str], location: str | None = None, as_of: int | None = None
) -> Iterator[StockResult]:
    """The levels of `skus`, at all locations or at one, now or as of an instant (microseconds), page by page."""
    for first in range(0, len(skus), SKUS_ASKED):
        wanted = list(skus[first : first + SKUS_ASKED])
        params = StockParams(skus=wanted, locations=UNSET if location is None else [location])
        while True:
            page: StockResult = office.ask(Stock(params, None, as_of))
            yield page
            if page.cursor is None:
                break
            params = structs.replace(params, cursor=page.cursor)
