"""What was sold is listed per location, product and business day, with its value where prices were given."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from inventory_server.domain.door import perform
from inventory_server.domain.product import Product
from inventory_server.domain.requests import ImportProducts, ListSales, SetLocation
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore
from pos_client.protocol import wire
from pos_client.protocol.fields import PostingType
from pos_client.protocol.lists import ListedSales, SalesValue
from pos_client.protocol.messages import Body, Line
from pos_client.protocol.units import instant
from tests.support.ledgers import DAY, HOUR, NOON, Clock, Till, body, uid
from tests.support.lists import listed, page, pages
from tests.support.sites import on_both
from tests.support.statements import statements

FIRST, SECOND = date(2023, 11, 14), date(2023, 11, 15)
"""The days of `NOON`, which is 22:13:20 in UTC, and of two hours later."""
GTIN = "40000008"


@pytest.fixture
def till(store: LedgerStore) -> Till:
    return Till(store)


def priced(kind: PostingType, *lines: tuple[Any, ...], at: int = NOON) -> bytes:
    """A body of lines (sku or barcode, quantity, price, currency); the last two may be missing."""
    made = []
    for code, quantity, *price in lines:
        named = {"gtin": code} if code.isdecimal() else {"sku": code}
        prices = dict(zip(("unit_price", "currency"), price, strict=False))
        made.append(Line(quantity, **named, **prices))
    return wire.encode_body(Body(kind, instant(at), made))


def figures(found: list[ListedSales]) -> list[tuple[Any, ...]]:
    return [(each.sku, each.day, each.quantity, each.returned) for each in found]


@on_both
def test_what_was_sold_by_day_and_for_how_much(store: LedgerStore, till: Till) -> None:
    till.post(
        priced("sale", ("a", 2, Decimal("18.90"), "EUR"), ("b", Decimal("1.365"), Decimal("2.99"), "EUR")),
        priced("sale", ("a", 1, Decimal("18.90"), "EUR"), ("a", -1, 17, "EUR"), ("b", 1), at=NOON + 2 * HOUR),
        priced("return", ("a", 1, Decimal("18.90"), "EUR"), at=NOON + HOUR),
        body("receipt", ("a", 99)),
    )
    assert listed(store, ListSales, limit=1) == [
        ListedSales("L1", "a", FIRST, 1, 1, [SalesValue(Decimal("18.9"), "EUR")], 0),
        ListedSales("L1", "a", SECOND, 0, 0, [SalesValue(Decimal("1.9"), "EUR")], 0),
        ListedSales("L1", "b", FIRST, Decimal("1.365"), 0, [SalesValue(Decimal("4.08135"), "EUR")], 0),
        ListedSales("L1", "b", SECOND, 1, 0, [], 1),
    ]


PRICES: list[tuple[list[tuple[Any, ...]], list[SalesValue], Any]] = [
    ([("a", 2)], [], 2),
    ([("a", 2, 0)], [SalesValue(0, None)], 0),
    ([("a", 2, 1, "EUR"), ("a", 1, 1, "CHF"), ("a", 3)], [SalesValue(1, "CHF"), SalesValue(2, "EUR")], 3),
    ([("a", Decimal("0.00001"), Decimal("0.00001"), "EUR")], [SalesValue(Decimal("1E-10"), "EUR")], 0),
    ([("a", 10**6, 10**9, "EUR"), ("b", 1, 5, "EUR")], [SalesValue(10**15, "EUR")], 0),
    ([("a", -1, 5, "EUR")], [SalesValue(-5, "EUR")], 0),
    ([(GTIN, 2, 3, "EUR"), ("a", 1, 5, "EUR")], [SalesValue(11, "EUR")], 0),
    ([("b", 1, 9, "EUR"), ("0" + GTIN, 2, 3, "EUR")], [SalesValue(6, "EUR")], 0),
]


@pytest.mark.parametrize(("lines", "values", "unpriced"), PRICES)
def test_values_are_exact_and_of_priced_lines_alone(
    store: LedgerStore, till: Till, lines: Any, values: list[SalesValue], unpriced: Any
) -> None:
    perform(store, ImportProducts([Product("a", barcodes=("000000" + GTIN,))], actor=HEADQUARTERS))
    till.post(priced("sale", *lines))
    [found] = listed(store, ListSales, sku="a")
    assert (found.values, found.unpriced) == (values, unpriced)


def test_the_price_of_a_barcode_that_is_another_product_s_now_is_not_guessed(store: LedgerStore, till: Till) -> None:
    barcode, other = "000000" + GTIN, "00000020000004"
    listing = [Product("a", barcodes=(barcode,)), Product("b", barcodes=(other,))]
    perform(store, ImportProducts(listing, actor=HEADQUARTERS))
    till.post(priced("sale", (GTIN, 1, 5, "EUR"), (other.lstrip("0"), 1, 7, "EUR")))
    moved = [Product("a"), Product("b", barcodes=(barcode, other))]
    perform(store, ImportProducts(moved, actor=HEADQUARTERS))
    found = listed(store, ListSales)
    assert [(each.sku, each.quantity, each.values, each.unpriced) for each in found] == [
        ("a", 1, [], 1),
        ("b", 1, [], 1),
    ]


def test_a_product_that_was_sold_by_barcode_before_it_was_listed(store: LedgerStore, till: Till) -> None:
    till.post(priced("sale", (GTIN, 2, 3, "EUR")))
    [found] = listed(store, ListSales)
    assert (found.sku, found.values) == ("gtin:000000" + GTIN, [SalesValue(6, "EUR")])


SCOPES: list[tuple[dict[str, Any], list[tuple[Any, ...]]]] = [
    ({"sku": "a", "location": "L1"}, [("a", FIRST, 2, 0), ("a", date(2023, 11, 17), 1, 0)]),
    ({"since": SECOND}, [("a", date(2023, 11, 17), 1, 0), ("a", SECOND, 5, 0)]),
    ({"since": FIRST, "until": SECOND}, [("a", FIRST, 2, 0), ("b", FIRST, 4, 0), ("a", SECOND, 5, 0)]),
    ({"until": NOON}, []),
    ({"until": NOON + 1, "location": "L1"}, [("a", FIRST, 2, 0), ("b", FIRST, 4, 0)]),
    ({"skus": ["b"]}, [("b", FIRST, 4, 0)]),
    ({"location": "L9"}, []),
]


@pytest.mark.parametrize("limit", [1, 1_000])
def test_products_locations_and_times(store: LedgerStore, till: Till, limit: int, clock: Clock) -> None:
    clock.now = NOON + 4 * DAY
    other = Till(store, "T2", "L2")
    till.post(body("sale", ("a", 2), ("b", 4)), body("sale", ("a", 1), at=NOON + 3 * DAY - 20 * HOUR))
    other.post(body("sale", ("a", 5), at=NOON + 2 * HOUR))
    for asked, expected in SCOPES:
        assert figures(listed(store, ListSales, limit=limit, **asked)) == expected, asked
    assert figures(listed(store, ListSales, actor=other.speaker)) == [("a", SECOND, 5, 0)]


def test_days_are_the_business_days_of_each_location(store: LedgerStore, till: Till) -> None:
    till.post(body("sale", ("a", 1), at=NOON + 2 * HOUR), body("sale", ("a", 2), at=NOON + 6 * HOUR))
    perform(store, SetLocation("L1", time_zone="UTC", day_ends_hour=4, actor=HEADQUARTERS))
    assert figures(listed(store, ListSales)) == [("a", FIRST, 1, 0), ("a", SECOND, 2, 0)]
    assert figures(listed(store, ListSales, since=FIRST, until=FIRST)) == [("a", FIRST, 1, 0)]


def test_a_voided_sale_was_never_sold_and_all_pages_are_as_of_the_first(store: LedgerStore, till: Till) -> None:
    till.post(body("sale", ("a", 1)), body("sale", ("b", 2)))
    first, *_ = pages(store, ListSales, limit=1)
    till.post(body("void", voids=uid(("T1", till.lineage, 2))), body("sale", ("a", 7)))
    later = page(store, ListSales, cursor=first.cursor)
    assert figures([*first.sales, *later.sales]) == [("a", FIRST, 1, 0), ("b", FIRST, 2, 0)]
    assert figures(listed(store, ListSales)) == [("a", FIRST, 8, 0)]


def test_the_number_of_statements_does_not_grow_with_that_of_sales(
    store: LedgerStore, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        till.post(body("sale", *((f"{number}-{line}", 1) for line in range(10)), at=NOON + number))
    for limit in (2, 10_000):
        with statements(monkeypatch) as ran:
            found = page(store, ListSales, limit=limit, since=FIRST, until=FIRST).sales
        assert len(ran) < 20, ran
    assert len(found) == 400
