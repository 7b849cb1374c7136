"""The simulated chain and its day as a plan: every event, and the stock that must be left in the evening. Pure."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from inventory_server.domain.product import Product
from pos_client.protocol.fields import PostingType
from pos_client.protocol.units import Quantity, scaled, unscaled

STORES = {"Riverside": 7, "Oldtown": 6, "Station": 6, "Hillside": 5}
"""The stores and how many tills each has."""
WAREHOUSE = "Warehouse"
OFFLINE_TILL = "Station-3"
"""It is offline all day, and delivers its sales only in the evening."""
COUNTED_STORE = "Station"
COUNTED_SKUS = 12
SHRINKAGE = 2
"""How much of every counted SKU goes missing that day."""
DAY = timedelta(hours=11)
OPENS = timedelta(hours=1)
"""From the first delivery to the first sale."""

Lines = tuple[tuple[str, Quantity], ...]
Shelf = tuple[str, str]
"""(location, sku)"""


def location_of(terminal: str) -> str:
    """Where a terminal is: its name says so."""
    return terminal.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Event:
    """One document of the day. `name` lets a later event of the same till refer to it by `about`."""

    at: datetime
    terminal: str
    kind: PostingType
    lines: Lines = ()
    other: str | None = None
    name: str | None = None
    about: str | None = None

    @property
    def location(self) -> str:
        """The terminal's location."""
        return location_of(self.terminal)


@dataclass(frozen=True, slots=True)
class Plan:
    """The day: each terminal's events in order, and the actual stock on the shelves afterwards (10⁻⁵)."""

    events: dict[str, list[Event]]
    shelves: dict[Shelf, int]
    count: Event
    missed: str
    """A counted SKU that the offline till sold before the count, which HQ does not know yet."""


def terminals() -> list[str]:
    """Every terminal of the chain."""
    return [f"{WAREHOUSE}-1", *(f"{store}-{nth}" for store, tills in STORES.items() for nth in range(1, tills + 1))]


def plan_day(products: Sequence[Product], begins: datetime, baskets_per_till: int, rng: random.Random) -> Plan:
    """The day from `begins` on; the same `rng` makes the same day."""
    events = [*_deliveries(products, begins, baskets_per_till, rng), *_reservation(products, begins + OPENS)]
    for terminal in terminals()[1:]:
        events += _sales(products, terminal, begins + OPENS, baskets_per_till, rng)
    events.append(Event(begins + DAY / 2 + timedelta(milliseconds=500), f"{COUNTED_STORE}-1", "count"))
    return _keep_books(events, products)


def _deliveries(products: Sequence[Product], begins: datetime, baskets: int, rng: random.Random) -> Iterator[Event]:
    """Deliveries to the warehouse and on to the stores; one is still in transit in the evening."""
    keeper = f"{WAREHOUSE}-1"
    daily = _daily_demand(products, baskets)
    yield Event(begins, keeper, "receipt", tuple((sku, 50 + 2 * len(terminals()) * need) for sku, need in daily))
    for nth, (store, tills) in enumerate(STORES.items(), start=1):
        at = begins + timedelta(minutes=5 * nth)
        lines = tuple((sku, int(tills * need * rng.uniform(1.0, 1.5)) + rng.randint(5, 25)) for sku, need in daily)
        yield Event(at, keeper, "transfer_out", lines, other=store)
        yield Event(at + timedelta(minutes=30), f"{store}-1", "transfer_in", lines, other=WAREHOUSE)
    late = tuple((sku, 24) for sku, _ in daily[:8])
    yield Event(begins + DAY, keeper, "transfer_out", late, other="Hillside")


def _popularity(products: Sequence[Product]) -> list[float]:
    return [1 / (rank + 12) for rank in range(len(products))]


def _daily_demand(products: Sequence[Product], baskets: int) -> list[tuple[str, int]]:
    """About what one till sells of each sku in a day: 3.5 lines a basket, 1.3 a line."""
    weights = _popularity(products)
    sold = baskets * 3.5 * 1.3 / sum(weights)
    return [(product.sku, int(sold * weight) + 1) for product, weight in zip(products, weights, strict=True)]


def _reservation(products: Sequence[Product], opens: datetime) -> Iterator[Event]:
    """A customer reserves five and collects two of them."""
    sku = products[0].sku
    yield Event(opens + timedelta(minutes=10), "Oldtown-1", "reserve", ((sku, 5),), name="reserved")
    yield Event(opens + timedelta(hours=4), "Oldtown-1", "sale", ((sku, 2),), about="reserved")


def _sales(
    products: Sequence[Product], terminal: str, opens: datetime, baskets: int, rng: random.Random
) -> Iterator[Event]:
    """A till's sales, with some returns and voided sales."""
    seconds = int((DAY - OPENS).total_seconds()) - 60
    popularity = _popularity(products)
    for nth in range(baskets):
        at = opens + timedelta(seconds=rng.randrange(seconds))
        chosen = rng.choices(products, popularity, k=rng.randint(1, 6))
        lines = tuple((product.sku, _quantity(product, rng)) for product in chosen)
        yield Event(at, terminal, "sale", lines, name=f"sale {nth}")
        if nth % 40 == 7:
            yield Event(at + timedelta(seconds=20), terminal, "void", about=f"sale {nth}")
        if nth % 25 == 11:
            yield Event(at + timedelta(seconds=40), terminal, "return", lines[:1])


def _quantity(product: Product, rng: random.Random) -> Quantity:
    if product.unit == "kg":
        return unscaled(rng.randint(80, 2500) * 100)
    return rng.choices((1, 2, 3), (8, 2, 1))[0]


_EFFECT: dict[PostingType, int] = {"sale": -1, "return": 1, "receipt": 1, "transfer_out": -1, "transfer_in": 1}


def _keep_books(events: list[Event], products: Sequence[Product]) -> Plan:
    """Compute the stock in order of time; written independently of the server's rules, to check them."""
    shelves: Counter[Shelf] = Counter()
    named: dict[tuple[str, str | None], Event] = {}
    by_terminal: dict[str, list[Event]] = {terminal: [] for terminal in terminals()}
    count, missed = events[-1], ""
    for event in sorted(events, key=lambda event: (event.at, event.kind == "count")):
        done = event
        if event.kind == "count":
            missed, *others = _skus_to_count(by_terminal[OFFLINE_TILL], products, shelves)
            for sku in (missed, *others):
                shelves[COUNTED_STORE, sku] -= scaled(SHRINKAGE)
            done = count = replace(
                event, lines=tuple((sku, unscaled(shelves[COUNTED_STORE, sku])) for sku in (missed, *others))
            )
        elif event.kind == "void":
            _move(shelves, named[event.terminal, event.about], -1)
        else:
            _move(shelves, event, 1)
        named[event.terminal, event.name] = done
        by_terminal[event.terminal].append(done)
    return Plan(by_terminal, dict(shelves), count, missed)


def _move(shelves: Counter[Shelf], event: Event, sign: int) -> None:
    for sku, quantity in event.lines:
        shelves[event.location, sku] += sign * _EFFECT.get(event.kind, 0) * scaled(quantity)


def _skus_to_count(offline: Sequence[Event], products: Sequence[Product], shelves: Counter[Shelf]) -> list[str]:
    """The SKUs to count: sold by the piece, enough in stock, those first that the offline till sold most."""
    sold = Counter(sku for event in offline if event.kind == "sale" for sku, _ in event.lines)
    pieces = [product.sku for product in products if product.unit == "each"]
    enough = [sku for sku in pieces if shelves[COUNTED_STORE, sku] > scaled(SHRINKAGE)]
    return sorted(enough, key=lambda sku: -sold[sku])[:COUNTED_SKUS]
