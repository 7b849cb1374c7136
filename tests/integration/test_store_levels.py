"""The list of levels for people: filters, counts, orders and pages agree with each other, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, get_args

import pytest

from inventory_server.domain.door import perform
from inventory_server.domain.levels import LevelOrder, LevelRow, LevelsPage, LevelView, ListLevels
from inventory_server.domain.product import Product, Ranged, Supplier
from inventory_server.domain.requests import MergeProducts
from inventory_server.domain.roles import HEADQUARTERS, User
from inventory_server.store import LedgerStore
from inventory_server.store.admin import catalog
from pos_client.protocol.errors import RequestError
from pos_client.protocol.units import instant, scaled
from tests.support.ledgers import DAY, HOUR, NOON, Clock, Till, body, opened
from tests.support.maintenance import administer
from tests.support.sites import on_both

CATALOGUE = [
    Product("milk", "Fresh milk", "l", scaled(10), ("04012345678901",), supplier="Dairy"),
    Product("äpfel", "Äpfel Elstar", "kg", scaled(3), supplier="Grocer", lead_time_days=4),
    Product("bread", "Bread", supplier="Baker"),
    Product("cups", "Cups", reorder_point=scaled(5), ranged=(Ranged("L2", scaled(7), "Baker"), Ranged("L3"))),
    Product("unmoved", "Never moved"),
]
SUPPLIERS = [Supplier("Dairy", 1), Supplier("Grocer", 2), Supplier("Baker", 3)]


@pytest.fixture
def store(ledger: str) -> Iterator[LedgerStore]:
    """L1 is silent for a day, L2 has just been heard; `milk` is reserved and on the road, `gtin:…` is not listed."""
    clock = Clock(NOON)
    with opened(ledger, clock) as store:
        administer(store, lambda connection: catalog.import_products(connection, CATALOGUE, SUPPLIERS))
        till = Till(store)
        till.posts(body("receipt", ("milk", 12), ("äpfel", Decimal("1.250")), ("bread", 4)))
        till.posts(body("reserve", ("milk", 5), at=NOON + 1, expires_at=instant(NOON + 9 * DAY)))
        till.posts(body("sale", ("gtin:96385074", 2), at=NOON + 2))
        clock.now = NOON + DAY
        other = Till(store, "T2", "L2")
        other.posts(body("receipt", ("milk", 30), ("cups", 6), at=NOON + HOUR))
        other.posts(body("transfer_out", ("milk", 2), at=NOON + 2 * HOUR, other_location="L1"))
        other.posts(body("count", ("cups", 5), at=NOON + 3 * HOUR))
        yield store


def listed(store: LedgerStore, **asked: Any) -> LevelsPage:
    page = perform(store, ListLevels(actor=HEADQUARTERS, **asked))
    assert isinstance(page, LevelsPage)
    return page


def keys(rows: list[LevelRow]) -> list[str]:
    return [f"{row.location}/{row.sku}" for row in rows]


SUSPENSE = "gtin:00000096385074"
VIEWS: dict[LevelView, list[str]] = {
    "all": ["/unmoved", "L1/bread", f"L1/{SUSPENSE}", "L1/milk", "L1/äpfel", "L2/cups", "L2/milk", "L3/cups"],
    "below": ["L1/milk", "L1/äpfel", "L2/cups", "L3/cups"],
    "negative": [f"L1/{SUSPENSE}"],
    "unlisted": [f"L1/{SUSPENSE}"],
    "incomplete": ["L1/bread", f"L1/{SUSPENSE}", "L1/milk", "L1/äpfel"],
    "in_transit": ["L1/milk"],
}


@on_both
def test_each_view_has_the_levels_that_its_count_promises(store: LedgerStore) -> None:
    assert {view: sorted(keys(listed(store, view=view).rows)) for view in get_args(LevelView)} == VIEWS
    page = listed(store)
    assert page.counts == {view: len(rows) for view, rows in VIEWS.items()}
    assert (page.unsure, page.incomplete, page.suppliers) == (2, ["L1"], ["Baker", "Dairy", "Grocer"])
    assert sorted(page.completeness) == ["L1", "L2"]
    assert (page.now, page.position) == (NOON + DAY, 6)


def test_a_row_says_what_the_level_and_the_catalogue_say(store: LedgerStore) -> None:
    rows = {key: row for row in listed(store).rows for key in keys([row])}
    assert rows["L1/milk"] == LevelRow(
        "L1", "milk", "Fresh milk", "l", 12, 5, 7, 2, 10, "Dairy", 1, NOON, None, is_listed=True, days=1
    )
    counted_at = NOON + 3 * HOUR
    cups = LevelRow(
        "L2", "cups", "Cups", None, 5, 0, 5, 0, 7, "Baker", 3, NOON + HOUR, counted_at, is_listed=True, days=1
    )
    assert rows["L2/cups"] == cups
    assert rows["L3/cups"] == LevelRow(
        "L3", "cups", "Cups", None, 0, 0, 0, 0, 5, None, None, None, None, is_listed=True
    )
    sold = rows[f"L1/{SUSPENSE}"]
    assert (sold.sold, sold.days, sold.cover_days) == (2, 1, 0)
    assert rows["L1/äpfel"].lead_time_days == 4  # the product's own, not its supplier's


SEARCHES = {
    "MILK fresh": ["L1/milk", "L2/milk"],
    "ÄPFEL": ["L1/äpfel"],
    "4012345678901": ["L1/milk", "L2/milk"],
    "96385074": [f"L1/{SUSPENSE}"],
    "gtin:": [f"L1/{SUSPENSE}"],
    "123456": [],
    "milk bread": [],
    "  ": VIEWS["all"],
    "%": [],
}


@on_both
def test_a_search_finds_words_and_barcodes(store: LedgerStore) -> None:
    assert {search: sorted(keys(listed(store, search=search).rows)) for search in SEARCHES} == SEARCHES


def test_counts_follow_search_location_supplier_and_skus(store: LedgerStore) -> None:
    assert listed(store, search="milk", view="below").counts["all"] == 2
    assert listed(store, location="L2").counts == dict(VIEWS_AT_L2)
    assert sorted(keys(listed(store, supplier="Baker").rows)) == ["L1/bread", "L2/cups"]
    assert sorted(keys(listed(store, skus=["milk"]).rows)) == ["L1/milk", "L2/milk"]
    assert keys(listed(store, skus=["milk"], search="bread").rows) == []


VIEWS_AT_L2 = {"all": 2, "below": 1, "negative": 0, "unlisted": 0, "incomplete": 0, "in_transit": 0}


@on_both
@pytest.mark.parametrize("descending", [False, True])
def test_pages_of_every_order_add_up_to_the_whole_list(store: LedgerStore, descending: bool) -> None:
    for order in get_args(LevelOrder):
        whole = listed(store, order=order, descending=descending)
        found, after = [], None
        while True:
            page = listed(store, order=order, descending=descending, limit=3, after=after)
            found += page.rows
            after = page.cursor
            if after is None:
                break
        assert found == whole.rows, order
        assert len(found) == whole.counts["all"], order


def test_levels_are_sorted_by_what_was_asked_with_unknown_figures_last(store: LedgerStore) -> None:
    assert keys(listed(store).rows)[:4] == ["L3/cups", "L1/milk", f"L1/{SUSPENSE}", "L2/cups"]
    assert keys(listed(store, order="available").rows)[0] == f"L1/{SUSPENSE}"
    assert keys(listed(store, order="available", descending=True).rows)[0] == "L2/milk"
    assert keys(listed(store, order="counted", descending=True).rows)[:2] == ["L2/cups", "/unmoved"]
    assert keys(listed(store, order="product").rows)[0] == "L1/bread"


def test_a_product_that_became_another_is_listed_only_while_something_is_left_of_it(store: LedgerStore) -> None:
    perform(store, MergeProducts(merge=SUSPENSE, into="bread", actor=HEADQUARTERS))
    page = listed(store, search="bread")
    assert [(row.sku, row.on_hand) for row in page.rows] == [("bread", 2)]
    assert listed(store, search="gtin").rows == []


def test_a_till_may_not_ask_and_a_broken_cursor_is_refused(store: LedgerStore) -> None:
    with pytest.raises(RequestError, match="may not call levels"):
        perform(store, ListLevels(actor=User("T1", "till", "here")))
    with pytest.raises(RequestError, match="omit it to start at the first page"):
        listed(store, after="nonsense")
