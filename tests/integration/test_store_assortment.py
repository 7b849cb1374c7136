"""Lists start from the catalogue: which listed products are shown at which location, though nobody moved them there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from inventory_server.domain.answers import ProductCard, ProductTerms
from inventory_server.domain.door import perform
from inventory_server.domain.product import FIELDS, Product, Ranged, Supplier
from inventory_server.domain.requests import FindBarcodes, ImportProducts, ShowProduct
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore, StoreError
from inventory_server.store.admin import catalog
from pos_client.protocol.gtin import padded
from pos_client.protocol.messages import StockItem, StockResult
from pos_client.protocol.units import instant, scaled
from tests.support.ledgers import HOUR, NOON, Till, body, hello, opened, stock
from tests.support.maintenance import administer

Row = tuple[str | None, str, object, object]
"""Location, sku, on hand, reorder point."""
CATALOGUE = [
    Product("everywhere", reorder_point=scaled(5)),
    Product("moved", reorder_point=scaled(5)),
    Product("plenty", reorder_point=scaled(5)),
    Product("ranged", reorder_point=scaled(5), ranged=(Ranged("L1"), Ranged("L3", scaled(2)))),
    Product("unwatched"),
    Product("elsewhere", reorder_point=scaled(5), ranged=(Ranged("L2"),)),
]


@pytest.fixture
def store(ledger: str) -> Iterator[LedgerStore]:
    """At L1, `moved` and `elsewhere` are short, `plenty` is not; L2 never moved anything, and HQ does not know L3."""
    with opened(ledger) as store:
        listed(store, *CATALOGUE)
        hello(store, "T2", "L2")
        Till(store).posts(body("receipt", ("moved", 1), ("elsewhere", 1), ("plenty", 9), ("unlisted", 1)))
        yield store


def listed(store: LedgerStore, *products: Product) -> None:
    administer(store, lambda connection: catalog.import_products(connection, products))


def shown(items: list[StockItem]) -> list[Row]:
    return [(item.location, item.sku, item.on_hand, item.reorder_point) for item in items]


MOVED: Row = ("L1", "moved", 1, 5)
RANGED: list[Row] = [("L1", "ranged", 0, 5), ("L2", "elsewhere", 0, 5), ("L3", "ranged", 0, 2)]
AT_L1: list[Row] = [("L1", "elsewhere", 1, None), MOVED, ("L1", "plenty", 9, 5), RANGED[0], ("L1", "unlisted", 1, None)]
QUESTIONS: list[tuple[dict[str, Any], list[Row]]] = [
    ({}, [*AT_L1, *RANGED[1:]]),
    ({"location": "L1"}, AT_L1),
    ({"location": "L2"}, [RANGED[1]]),
    ({"location": "L3"}, []),  # said to be unknown
    ({"below": "reorder_point"}, [(None, "everywhere", 0, 5), MOVED, *RANGED]),
    ({"below": "reorder_point", "location": "L1"}, [("L1", "everywhere", 0, 5), MOVED, RANGED[0]]),
    ({"below": "reorder_point", "location": "L2"}, [RANGED[1], ("L2", "everywhere", 0, 5)]),
    ({"below": "reorder_point", "skus": ["everywhere", "ranged"]}, [(None, "everywhere", 0, 5), RANGED[0], RANGED[2]]),
    ({"below": 1}, [(None, "everywhere", 0, 5), (None, "unwatched", 0, None), *RANGED]),
    ({"below": 0}, []),
    ({"negative": True}, []),
    ({"sku": "unwatched"}, [(None, "unwatched", 0, None)]),
    ({"sku": "ranged"}, [RANGED[0], RANGED[2]]),
    ({"sku": "moved"}, [MOVED]),
    ({"sku": "everywhere", "locations": ["L2", "L1"]}, [("L1", "everywhere", 0, 5), ("L2", "everywhere", 0, 5)]),
    ({"sku": "elsewhere", "location": "L1"}, [("L1", "elsewhere", 1, None)]),
    ({"sku": "ranged", "location": "L1"}, [RANGED[0]]),
]


@pytest.mark.parametrize("past", [{}, {"known_at": 1}, {"as_of": instant(NOON + HOUR)}], ids=["now", "known", "as of"])
def test_a_list_shows_what_the_catalogue_ranges_and_what_was_moved(store: LedgerStore, past: dict[str, Any]) -> None:
    found = [shown(stock(store, **question, **past).items) for question, _ in QUESTIONS]
    assert found == [expected for _, expected in QUESTIONS]


def test_pages_are_in_key_order_and_repeat_and_omit_nothing(store: LedgerStore) -> None:
    for question, _ in QUESTIONS:
        whole = stock(store, **question).items
        assert following(store, question, stock(store, **question, limit=1)) == whole, question


def test_what_is_moved_between_two_pages_is_shown_as_at_the_first(store: LedgerStore) -> None:
    whole = [stock(store, **question).items for question, _ in QUESTIONS]
    first = [stock(store, **question, limit=1) for question, _ in QUESTIONS]
    goods = [(product.sku, 7) for product in CATALOGUE]
    Till(store).posts(body("sale", *goods, at=NOON + HOUR))
    Till(store, "T2", "L2").posts(body("receipt", *goods, at=NOON + HOUR))
    for (question, _), items, page in zip(QUESTIONS, whole, first, strict=True):
        assert following(store, question, page) == items, question


def following(store: LedgerStore, question: dict[str, Any], page: StockResult) -> list[StockItem]:
    """The items of a page and of those that follow it."""
    found = list(page.items)
    while page.cursor is not None:
        page = stock(store, **question, limit=1, cursor=page.cursor)
        found += page.items
    return found


def test_a_file_without_locations_leaves_them_and_one_with_them_replaces_them(store: LedgerStore) -> None:
    listed(store, Product("ranged", "Ranged", reorder_point=scaled(6)))
    assert shown(stock(store, sku="ranged").items) == [("L1", "ranged", 0, 6), ("L3", "ranged", 0, 2)]
    listed(store, Product("ranged", ranged=(Ranged("L2", scaled(1)),)))
    assert shown(stock(store, sku="ranged").items) == [("L2", "ranged", 0, 1)]
    listed(store, Product("ranged", ranged=()))
    assert shown(stock(store, sku="ranged").items) == [(None, "ranged", 0, None)]


# ---------------------------------------------------------------------------------- importing again


def imported(store: LedgerStore, *products: Product, columns: str = "", suppliers: tuple[Supplier, ...] = ()) -> None:
    """Import what a file with `columns` says; all of them unless some are named."""
    change = ImportProducts(list(products), list(suppliers), tuple(columns.split()) or FIELDS, actor=HEADQUARTERS)
    perform(store, change)


def card(store: LedgerStore, sku: str = "new") -> ProductCard:
    found = perform(store, ShowProduct(sku, actor=HEADQUARTERS))
    assert isinstance(found, ProductCard)
    return found


WHOLE = Product(
    "new",
    "New",
    "kg",
    scaled(5),
    (padded("40000008"),),
    (Ranged("L1", scaled(3), "Near", scaled(2), scaled(4)),),
    "ACME",
    scaled(12),
    scaled(24),
    4,
    None,
    9,
)
EVERYWHERE = ProductTerms(None, 5, "ACME", 12, 24, 4, 7, 9)
AT_NORTH = ProductTerms("L1", 3, "Near", 2, 4, 4, 1, 9)
# the columns of a second file, what it says of the product, and what has changed in the end
AGAIN: list[tuple[str, Product, dict[str, Any], list[ProductTerms]]] = [
    ("sku name", Product("new", "Newer"), {"name": "Newer"}, [EVERYWHERE, AT_NORTH]),
    ("sku name unit", Product("new"), {"name": None, "unit": None}, [EVERYWHERE, AT_NORTH]),
    ("sku barcode", Product("new"), {"barcodes": []}, [EVERYWHERE, AT_NORTH]),
    ("sku reorder_point", Product("new"), {}, [replace(EVERYWHERE, reorder_point=None), AT_NORTH]),
    (
        "sku lead_time_days",
        Product("new"),
        {},
        [replace(EVERYWHERE, lead_time_days=2), replace(AT_NORTH, lead_time_days=1)],
    ),
    ("sku location", Product("new", ranged=()), {}, [EVERYWHERE]),
    ("sku location", Product("new", ranged=(Ranged("L1"),)), {}, [EVERYWHERE, AT_NORTH]),
    (
        "sku location minimum",
        Product("new", ranged=(Ranged("L1"), Ranged("L2", minimum=scaled(1))), has_own_row=False),
        {},
        [EVERYWHERE, replace(AT_NORTH, minimum=24), replace(EVERYWHERE, location="L2", minimum=1)],
    ),
    (
        "sku location minimum",
        Product("new", minimum=scaled(6), ranged=(Ranged("L2"),)),
        {},
        [replace(EVERYWHERE, minimum=6), replace(EVERYWHERE, location="L2", minimum=6)],
    ),
]


@pytest.mark.parametrize(("columns", "again", "changed", "terms"), AGAIN)
def test_a_column_left_out_keeps_and_an_empty_cell_clears(
    store: LedgerStore, columns: str, again: Product, changed: dict[str, Any], terms: list[ProductTerms]
) -> None:
    imported(store, WHOLE, suppliers=(Supplier("ACME", 2, 7, 11), Supplier("Near", 1, 1)))
    whole = ProductCard("new", "New", "kg", [padded("40000008")], {}, [EVERYWHERE, AT_NORTH])
    assert card(store) == whole
    imported(store, again, columns=columns)
    assert card(store) == replace(whole, **changed, terms=terms)


def test_a_supplier_keeps_what_a_file_has_no_column_for(store: LedgerStore) -> None:
    imported(store, Product("new", supplier="ACME"), suppliers=(Supplier("ACME", 2, 7, 11),))
    imported(store, columns="sku supplier order_cycle_days", suppliers=(Supplier("ACME"),))
    assert card(store).terms == [ProductTerms(None, None, "ACME", None, None, 2, None, 11)]


def test_a_product_that_is_not_listed_cannot_be_shown(store: LedgerStore) -> None:
    with pytest.raises(StoreError, match="The catalogue does not list unlisted; list it with"):
        card(store, "unlisted")


def test_listed_barcodes_are_found(store: LedgerStore) -> None:
    imported(store, WHOLE)
    wanted = [padded("40000008"), padded("40000015")]
    assert perform(store, FindBarcodes(wanted, actor=HEADQUARTERS)) == {wanted[0]: ("new", 1)}
