"""A ledger that a server in this process writes, and that an observer may watch: products that fall below a point."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inventory_server.admin.control_socket import ControlServer
from inventory_server.clock import now_microseconds
from inventory_server.config import Settings
from inventory_server.domain.alerts import AlertRow, ObserverState
from inventory_server.domain.door import perform
from inventory_server.domain.product import Product
from inventory_server.domain.requests import ImportProducts, ListAlerts, ShowObserver
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore, open_store
from pos_client.protocol.units import scaled
from tests.support.ledgers import Till, body
from tests.support.receiver import SECRET


class Shop:
    """One till of a location; 12 of each product came in, whose reorder point is 10."""

    def __init__(self, url: str, store: LedgerStore, products: int) -> None:
        self.url = url
        self.store = store
        self.skus = [f"p{number:02}" for number in range(products)]
        listed = [Product(sku, reorder_point=scaled(10)) for sku in self.skus]
        perform(store, ImportProducts(listed, actor=HEADQUARTERS))
        self._till = Till(store)
        self._at = now_microseconds()
        self._till.post(body("receipt", *((sku, 12) for sku in self.skus), at=self._at))

    def sell(self, sku: str, quantity: int = 3) -> None:
        """Sell so much that the product falls below its reorder point."""
        self._at += 1
        self._till.post(body("sale", (sku, quantity), at=self._at))

    def alerts(self, is_open: bool = False) -> list[AlertRow]:
        """All alerts, or those that are open."""
        found: list[AlertRow] = perform(self.store, ListAlerts(is_open, actor=HEADQUARTERS))
        return found

    def observer(self) -> ObserverState:
        """How far the observer is."""
        state = perform(self.store, ShowObserver(actor=HEADQUARTERS))
        assert isinstance(state, ObserverState)
        return state


@contextmanager
def shop_served(url: str, products: int = 1) -> Iterator[Shop]:
    """The shop while a server writes its ledger, which commands reach by the control socket."""
    store = open_store(url, Settings(accept_weak_durability=True), now_microseconds)
    control = ControlServer(url, store, Settings(), now_microseconds, list)
    control.start()
    try:
        yield Shop(url, store, products)
    finally:
        control.stop(5)
        store.close()


def hook_file(folder: Path, url: str) -> Path:
    """A file of targets with one webhook, `pager`."""
    secret = folder / "pager.secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    path = folder / "targets.toml"
    path.write_text(f'[pager]\nwebhook = "{url}"\nsecret_file = "pager.secret"\n')
    path.chmod(0o644)
    return path
