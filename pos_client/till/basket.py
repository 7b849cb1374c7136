"""`Basket`: a sale while it is being scanned; it has its id before it is sold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, Unpack
from uuid import UUID

from pos_client.protocol.errors import BasketSold
from pos_client.protocol.messages import Line
from pos_client.protocol.tick import Tick
from pos_client.till.basket_lines import QuantityLike, as_line
from pos_client.till.posting import Posting
from pos_client.till.posting_details import BasketDetails, check_names


class Stamp(NamedTuple):
    """When a posting was made: the wall clock and, unless the caller dated it, the tick clock."""

    occurred_at: datetime
    tick: Tick | None = None


class Basket:
    """A sale while it is being scanned. Its id is made when it is opened, so selling it twice counts once."""

    def __init__(self, basket_id: UUID, sell: Callable[..., Posting], stamp: Callable[[], Stamp]) -> None:
        self.id = basket_id
        self.lines: list[Line] = []
        self._sell = sell
        self._stamp = stamp
        self._sold_at: Stamp | None = None
        self._sold_lines: list[Line] | None = None  # None until it is stored

    def add(self, sku: str, quantity: QuantityLike = 1) -> None:
        """Add a line; append a `Line` to `lines` to give a price or a barcode. BasketSold once it is sold."""
        if self._sold_lines is not None:
            raise self._is_sold()
        self.lines.append(as_line((sku, quantity)))

    def sell(self, *, reservation: UUID | Posting | None = None, **details: Unpack[BasketDetails]) -> Posting:
        """Record the sale, as `PosClient.sell` does. Calling it again, after an error or by mistake, counts once.

        BasketSold if lines were added or changed after it was sold.
        """
        check_names("Basket.sell", details, BasketDetails.__annotations__)
        if self._sold_lines is not None and self._sold_lines != self.lines:
            raise self._is_sold()
        if self._sold_at is None:
            self._sold_at = self._stamp()
        posting = self._sell(self.lines, self._sold_at, id=self.id, reservation=reservation, **details)
        self._sold_lines = list(self.lines)
        return posting

    def _is_sold(self) -> BasketSold:
        return BasketSold(f"The basket {self.id} is sold already: open a new basket for further goods.")
