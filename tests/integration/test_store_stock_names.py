"""Stock by name, with names and units, and what is in transit counted as available."""

from __future__ import annotations

from typing import Any

import pytest

from inventory_server.domain.door import perform
from inventory_server.domain.product import Product
from inventory_server.domain.requests import ImportProducts
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore
from pos_client.protocol.messages import StockItem
from pos_client.protocol.units import scaled
from tests.support.ledgers import Till, body, stock
from tests.support.sites import on_both


@pytest.fixture
def till(store: LedgerStore) -> Till:
    """A shop with tea, coffee and what no catalogue lists."""
    listed = [
        Product("TEA-1", "Thé vert ÉCLAIR", "bag", reorder_point=scaled(5)),
        Product("TEA-2", "Green tea", None, reorder_point=scaled(5)),
        Product("COF-1", "Coffee, green"),
        Product("NIL", None),
    ]
    perform(store, ImportProducts(listed, actor=HEADQUARTERS))
    till = Till(store)
    till.post(body("receipt", ("TEA-1", 3), ("TEA-2", 1), ("COF-1", 9), ("odd tea", 1), ("NIL", 1)))
    return till


def found(store: LedgerStore, **asked: Any) -> list[StockItem]:
    """All pages of a list, in pages of one."""
    page = stock(store, limit=1, **asked)
    items = list(page.items)
    while page.cursor is not None:
        page = stock(store, limit=1, cursor=page.cursor, **asked)
        items += page.items
    return items


SEARCHES = [
    ("tea", ["TEA-1", "TEA-2"]),
    ("GREEN Tea", ["TEA-2"]),
    ("green", ["COF-1", "TEA-2"]),
    ("éclair", ["TEA-1"]),
    ("cof-1", ["COF-1"]),
    ("%", []),
    ("odd", []),
]


@on_both
def test_a_search_finds_listed_products_by_all_its_words(store: LedgerStore, till: Till) -> None:
    for search, skus in SEARCHES:
        assert [item.sku for item in found(store, search=search)] == skus, search
        assert [item.sku for item in found(store, search=search, location="L1")] == skus, search
    assert [item.search for item in stock(store, search="odd").unknown] == ["odd"]
    assert stock(store, search="green").unknown == []


def test_names_and_units_are_told_where_they_are_asked_for(store: LedgerStore, till: Till) -> None:
    told = {item.sku: (item.name, item.unit) for item in found(store, names=True)}
    assert told == {
        "TEA-1": ("Thé vert ÉCLAIR", "bag"),
        "TEA-2": ("Green tea", None),
        "COF-1": ("Coffee, green", None),
        "NIL": (None, None),
        "odd tea": (None, None),
    }
    assert {item.name for item in found(store)} == {None}
    [one] = stock(store, sku="TEA-1", location="L1", names=True).items
    assert (one.name, one.unit) == ("Thé vert ÉCLAIR", "bag")


def test_what_is_in_transit_may_count_as_available(store: LedgerStore, till: Till) -> None:
    Till(store, "T2", "L2").post(body("transfer_out", ("TEA-1", 2), ("TEA-2", 1), other_location="L1"))

    def below(limit: str | int, **asked: Any) -> list[str]:
        return [item.sku for item in found(store, below=limit, location="L1", **asked)]

    assert below("reorder_point") == ["TEA-1", "TEA-2"]
    assert below("reorder_point", net_of_transit=True) == ["TEA-2"]
    assert below(3, net_of_transit=True) == ["NIL", "TEA-2", "odd tea"]
    known = {"known_at": stock(store).position}
    assert below("reorder_point", net_of_transit=True, **known) == ["TEA-2"]
