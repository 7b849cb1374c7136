"""Runs the simulated day: a server on SQLite, real tills with outboxes, real sockets."""

from __future__ import annotations

import itertools
import random
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from inventory_server.app import Application
from inventory_server.clock import now_microseconds
from inventory_server.config import TOKEN_BYTES, Settings
from inventory_server.demo.chain import (
    COUNTED_STORE,
    DAY,
    OFFLINE_TILL,
    WAREHOUSE,
    Event,
    location_of,
    plan_day,
    terminals,
)
from inventory_server.demo.limits import DELIVERY_SECONDS, PAGE_ITEMS, WORKERS
from inventory_server.domain.answers import Proof
from inventory_server.domain.requests import Enrol, ImportProducts, Verify
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.imports.catalog_csv import read_catalog
from inventory_server.store import LedgerStore, open_reader, open_store, upgrade
from pos_client.protocol.address import Address
from pos_client.protocol.errors import TillwireError
from pos_client.protocol.fields import Role
from pos_client.protocol.messages import HelloParams, StockParams, StockResult
from pos_client.protocol.units import Quantity, scaled
from pos_client.till.client import PosClient
from pos_client.till.posting import Posting
from pos_client.transport.connection import Connection

PRODUCTS = Path(__file__).with_name("products.csv")
OFFICE = "back-office"
"""The terminal that queries the server."""


class DemoError(TillwireError):
    """The demonstration failed."""


class Demo:
    """A chain on a fresh ledger in `folder`, served while the `with` block runs; `baskets` are per till."""

    def __init__(self, folder: Path, baskets: int, seed: int) -> None:
        self.db = f"sqlite:///{folder / 'demo.db'}"
        self._folder = folder
        self._catalogue = read_catalog(PRODUCTS, {}, _refuse)
        self.products = self._catalogue.products
        begins = (datetime.now(UTC) - DAY - timedelta(minutes=15)).replace(second=0, microsecond=0)
        self.plan = plan_day(self.products, begins, baskets, random.Random(seed))
        self._tokens = {name: secrets.token_urlsafe(TOKEN_BYTES) for name in (*terminals(), OFFICE)}
        self._address = ""

    @property
    def size(self) -> int:
        """The number of documents in the day."""
        return sum(len(events) for events in self.plan.events.values())

    def __enter__(self) -> Self:
        upgrade(self.db)
        store = open_store(self.db, Settings(), now_microseconds)
        self._application = Application(Settings(), store, [Address("127.0.0.1", 0)])
        self._enrol(store)
        self._application.start()
        self._address = str(self._application.addresses[0])
        return self

    def __exit__(self, *_: object) -> None:
        self._application.stop()

    def _enrol(self, store: LedgerStore) -> None:
        store.submit(ImportProducts(self.products, self._catalogue.suppliers, actor=HEADQUARTERS)).wait()
        for name, token in self._tokens.items():
            role: Role = "reader" if name == OFFICE else "till"
            place = WAREHOUSE if name == OFFICE else location_of(name)
            store.submit(Enrol(name, role, place, token, actor=HEADQUARTERS)).wait()

    def trade(self, progress: Callable[[int], None]) -> None:
        """Run the day at every till; the offline one only stores its sales."""
        done = itertools.count(1)
        with ThreadPoolExecutor(WORKERS, "demo") as pool:
            days = [pool.submit(self._live, name, lambda: progress(next(done))) for name in terminals()]
            for day in as_completed(days):
                day.result()

    def _live(self, terminal: str, tick: Callable[[], None]) -> None:
        is_offline = terminal == OFFLINE_TILL
        with self._till(terminal, f"unix:{self._folder}/cut-cable" if is_offline else self._address) as till:
            memory: dict[str | None, Posting] = {}
            for event in self.plan.events[terminal]:
                memory[event.name] = _perform(till, event, memory)
                tick()
            if not is_offline:
                _say_goodbye(till)

    def mend_cable(self) -> int:
        """Let the offline till deliver its sales; return the number of postings."""
        with self._till(OFFLINE_TILL, self._address) as till:
            pending = till.pending
            _say_goodbye(till)
        return pending

    def _till(self, terminal: str, address: str) -> PosClient:
        outbox, place = self._folder / f"{terminal}.db", location_of(terminal)
        return PosClient(address, terminal=terminal, token=self._tokens[terminal], location=place, outbox=outbox)

    def ask(self, question: StockParams) -> StockResult:
        """Query the server, as the back office."""
        connection = Connection.open(self._address)
        try:
            connection.hello(HelloParams(terminal=OFFICE, token=self._tokens[OFFICE]))
            answer: StockResult = connection.request("stock", question)
        finally:
            connection.close()
        return answer

    def variance(self) -> Quantity:
        """Counted minus recorded stock of the missed SKU, by what HQ knows now (negative: goods are missing)."""
        counted = dict(self.plan.count.lines)[self.plan.missed]
        before = self.plan.count.at - timedelta(microseconds=1)
        book = self.ask(StockParams(sku=self.plan.missed, location=COUNTED_STORE, as_of=before.isoformat()))
        return counted - book.items[0].on_hand

    def wrong_shelves(self) -> list[str]:
        """Where HQ's stock differs from the actual stock."""
        answer = self.ask(StockParams(limit=PAGE_ITEMS))
        told = {(item.location, item.sku): scaled(item.on_hand) for item in answer.items if item.location}
        there = self.plan.shelves
        return [
            f"{sku} at {location}: HQ says {told.get((location, sku))}, actual stock is {there.get((location, sku))}"
            for location, sku in sorted(told.keys() | there.keys())
            if told.get((location, sku), 0) != there.get((location, sku), 0)
        ]

    def prove(self) -> Proof:
        """Prove the whole ledger, while the server runs."""
        with open_reader(self.db, Settings(), now_microseconds) as reader:
            proof: Proof = reader.ask(Verify(actor=HEADQUARTERS))
        return proof


def _perform(till: PosClient, event: Event, memory: dict[str | None, Posting]) -> Posting:
    """Post one document of the day."""
    lines, at, about = event.lines, event.at, memory[event.about] if event.about else None
    match event.kind, event.other:
        case "sale", _:
            return till.sell(lines, occurred_at=at, reservation=about.id if about else None)
        case "return", _:
            return till.return_(lines, occurred_at=at)
        case "receipt", _:
            return till.receive(lines, occurred_at=at)
        case "count", _:
            return till.count(lines, occurred_at=at)
        case "transfer_out", str(place):
            return till.transfer_out(lines, to=place, occurred_at=at)
        case "transfer_in", str(place):
            return till.transfer_in(lines, from_=place, occurred_at=at)
        case "reserve", _:
            return till.reserve(lines, occurred_at=at)
        case "void", _ if about:
            return till.void(about, occurred_at=at)
    raise DemoError(f"The plan has a {event.kind} that cannot be performed.")


def _say_goodbye(till: PosClient) -> None:
    goodbye = till.bye(timeout=DELIVERY_SECONDS)
    if goodbye.status != "balanced":
        raise DemoError(f"{till.terminal} and HQ disagree in the evening: {goodbye.status}, missing {goodbye.missing}.")


def _refuse(problem: object) -> None:
    raise DemoError(f"The sample data is damaged: {problem}.")
