"""`Basket`: a sale while it is being scanned; it has its id before it is sold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from pos_client.protocol.messages import Line
from pos_client.till.basket_lines import QuantityLike, exact_quantity
from pos_client.till.posting import Posting


class Basket:
    """A sale while it is being scanned. Its id is made when it is opened, so selling it twice counts once."""

    def __init__(self, basket_id: UUID, sell: Callable[..., Posting], now: Callable[[], datetime]) -> None:
        self.id = basket_id
        self.lines: list[Line] = []
        self._sell = sell
        self._now = now
        self._sold_at: datetime | None = None

    def add(self, sku: str, quantity: QuantityLike = 1) -> None:
        """Add a line; append a `Line` to `lines` to give a price or a barcode."""
        self.lines.append(Line(quantity=exact_quantity(quantity), sku=sku))

    def sell(self, **details: Any) -> Posting:
        """Record the sale, as `PosClient.sell` does. Calling it again, after an error or by mistake, counts once."""
        if self._sold_at is None:
            self._sold_at = self._now()
        return self._sell(self.lines, **{"id": self.id, "occurred_at": self._sold_at, **details})
