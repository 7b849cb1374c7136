"""The order list, kept for a while: of 100,000 levels it takes seconds to add up, and nobody orders by the second."""

from __future__ import annotations

import threading
from collections.abc import Callable

from inventory_server.domain.order_lines import OrderList
from inventory_server.web.limits import ORDER_KEPT_SECONDS


class KeptOrder:
    """The latest order list, for many threads; `clock` is in seconds and never goes back.

    It says itself as of when it is. While one thread adds it up anew, the others wait for it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        """Guards what is below, and is held while the list is added up."""
        self._until = 0.0
        self._list: OrderList | None = None

    def get(self, ask: Callable[[], OrderList]) -> OrderList:
        """The list that is kept, else what `ask` answers."""
        with self._lock:
            if self._list is None or self._clock() >= self._until:
                self._list = ask()
                self._until = self._clock() + ORDER_KEPT_SECONDS
            return self._list

    def forget(self) -> None:
        """Have the next one who asks get a new list: somebody changed what is ordered."""
        with self._lock:
            self._list = None
