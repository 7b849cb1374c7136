"""Asking for stock: what is named, what is unknown, pages, filters, reservations, transfers, flags, completeness."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from inventory_server.config import Settings
from inventory_server.domain.product import Product
from inventory_server.store import LedgerStore
from inventory_server.store.admin import catalog
from inventory_server.store.query.paging import encode_cursor
from pos_client.protocol import wire
from pos_client.protocol.errors import RequestError
from pos_client.protocol.fields import PostingType
from pos_client.protocol.gtin import padded
from pos_client.protocol.messages import Body, Line, StockItem, UnknownItem
from pos_client.protocol.units import instant, scaled
from tests.support.ledgers import (
    DAY,
    HOUR,
    NOON,
    SECOND,
    Clock,
    Till,
    body,
    find,
    history,
    level,
    opened,
    outcome_of,
    proof_of,
    stock,
    uid,
)
from tests.support.maintenance import administer

MORNING = NOON + DAY
GTIN = "40000008"


def listed(store: LedgerStore, *products: Product) -> None:
    assert administer(store, lambda connection: catalog.import_products(connection, products)) == len(products)


def keys(store: LedgerStore, **params: Any) -> list[tuple[str, str]]:
    return [(found.location or "", found.sku) for found in stock(store, **params).items]


# ---------------------------------------------------------------------------------- what is asked for


def test_an_empty_ledger_has_no_stock(store: LedgerStore) -> None:
    found = stock(store)
    assert (found.items, found.position, found.completeness, found.unknown, found.cursor) == ([], 0, {}, [], None)


def test_a_level_says_all_it_knows(store: LedgerStore) -> None:
    listed(store, Product("a", "Apple", "kg", scaled(Decimal("2.5"))))
    till = Till(store)
    till.posts(body("count", ("a", 10)))
    till.posts(body("sale", ("a", Decimal("1.25")), at=NOON + HOUR))
    till.posts(body("reserve", ("a", 3)))
    assert level(store) == StockItem(
        sku="a",
        location="L1",
        on_hand=Decimal("8.75"),
        reserved=3,
        available=Decimal("5.75"),
        in_transit=0,
        reorder_point=Decimal("2.5"),
        counted_at=instant(NOON),
        last_movement_at=instant(NOON + HOUR),
    )


def test_what_hq_has_never_heard_of_is_named_and_is_no_error(store: LedgerStore) -> None:
    listed(store, Product("listed", barcodes=(padded(GTIN),)))
    Till(store).posts(body("sale", ("a", 1)))
    found = stock(store, skus=["a", "nope", "listed"], locations=["L1", "nowhere"])
    assert found.unknown == [UnknownItem(sku="nope"), UnknownItem(location="nowhere")]
    assert [(each.sku, each.on_hand, each.unlisted) for each in found.items] == [("a", -1, True), ("listed", 0, False)]
    assert stock(store, gtin="99999999").unknown == [UnknownItem(gtin="99999999")]
    assert stock(store, location="nowhere").items == []


FORMS = ("36000291452", "036000291452", "0036000291452", "00036000291452")
"""One GTIN, also as a spreadsheet writes it: without leading zeros."""


@pytest.mark.parametrize("form", FORMS)
def test_a_barcode_is_one_product_in_all_its_forms(store: LedgerStore, form: str) -> None:
    listed(store, Product("a", barcodes=(padded(form),)))
    sold = [Till(store).posts(body("sale", (f"gtin:{each}", 1))) for each in FORMS]
    assert [each.flags for each in sold] == [("negative_stock",)] * 4
    assert [(found.sku, found.on_hand) for found in stock(store, gtin=form).items] == [("a", -4)]


@pytest.mark.parametrize("form", FORMS)
def test_a_barcode_nobody_listed_is_a_suspense_product(store: LedgerStore, form: str) -> None:
    """It is no sku of the same digits; its own sku names it, too."""
    listed(store, Product("36000291452"), Product("00036000291452"))
    flags = Till(store).posts(body("receipt", *((f"gtin:{each}", 1) for each in FORMS))).flags
    assert flags == ("unlisted_product",)
    suspense = "gtin:00036000291452"
    [found] = stock(store, gtin=form).items
    assert (found.sku, found.on_hand, found.unlisted) == (suspense, 4, True)
    assert stock(store, sku=suspense).items == [found]
    assert [each.on_hand for each in stock(store, skus=["36000291452", "00036000291452"], location="L1").items] == [
        0,
        0,
    ]


def test_a_wrong_check_digit_is_posted_and_flagged(store: LedgerStore) -> None:
    listed(store, Product("a", barcodes=(padded(GTIN),)))
    result = Till(store).posts(body("receipt", ("gtin:40000002", 2)))
    assert (result.status, result.flags) == ("posted", ("unlisted_product",))
    assert [(found.sku, found.on_hand) for found in stock(store, gtin="40000002").items] == [("gtin:00000040000002", 2)]


def test_a_line_that_names_a_suspense_product_outright_is_of_that_product(store: LedgerStore) -> None:
    suspense = f"gtin:{padded(GTIN)}"
    till = Till(store)
    till.posts(encoded(Line(1, sku=suspense)))
    till.posts(encoded(Line(2, gtin=GTIN)))
    assert [(found.sku, found.on_hand) for found in stock(store, gtin=GTIN).items] == [(suspense, 3)]


def encoded(line: Line) -> bytes:
    return wire.encode_body(Body("receipt", instant(NOON), [line]))


def test_one_sku_at_all_locations_and_all_skus_at_one(store: LedgerStore) -> None:
    for name, location in (("T1", "L1"), ("T2", "L2")):
        Till(store, name, location).posts(body("sale", ("a", 1), ("b", 1)))
    assert keys(store, sku="a") == [("L1", "a"), ("L2", "a")]
    assert keys(store, location="L2") == [("L2", "a"), ("L2", "b")]
    assert keys(store, skus=["b", "a", "b"], locations=["L2", "L1"]) == [
        *(("L1", "a"), ("L1", "b")),
        *(("L2", "a"), ("L2", "b")),
    ]


def test_more_skus_than_sqlite_takes_parameters_by_default_can_be_named(store: LedgerStore) -> None:
    Till(store).posts(body("sale", ("a", 1)))
    found = stock(store, skus=["a", *(f"sku{number}" for number in range(40_000))], location="L1")
    assert (len(found.items), len(found.unknown)) == (1, 40_000)


PAGES: list[dict[str, Any]] = [
    {},
    {"as_of": instant(MORNING)},
    {"skus": ["a", "b", "c"], "locations": ["L1", "L2"]},
    {"skus": ["a", "b", "c"]},
    {"locations": ["L1", "L2"], "known_at": 2},
]


@pytest.mark.parametrize("params", PAGES)
@pytest.mark.parametrize("limit", range(1, 8))
def test_pages_come_in_order_and_miss_nothing(store: LedgerStore, params: dict[str, Any], limit: int) -> None:
    for name, location in (("T1", "L1"), ("T2", "L2")):
        Till(store, name, location).posts(body("sale", ("a", 1), ("b", 1), ("c", 1)))
    page = stock(store, limit=limit, **params)
    sizes, found = [len(page.items)], list(page.items)
    while page.cursor is not None:
        page = stock(store, limit=limit, cursor=page.cursor, **params)
        sizes.append(len(page.items))
        found += page.items
    assert [(each.location, each.sku) for each in found] == [(at, sku) for at in ("L1", "L2") for sku in "abc"]
    assert set(sizes[:-1]) <= {limit}


CURSORS = ["", "x", "é", "AAAA", "WzFd", "WyJMMSJd", "WyJMMSIsImEiLCJiIl0", "W251bGwsbnVsbF0"]


@pytest.mark.parametrize("cursor", CURSORS)
def test_a_cursor_that_hq_did_not_give_is_refused(store: LedgerStore, cursor: str) -> None:
    for ask in (lambda: stock(store, cursor=cursor), lambda: history(store, cursor=cursor)):
        error = outcome_of(ask)
        assert isinstance(error, RequestError)
        assert (error.code.name, error.data["path"]) == ("invalid_params", "$.cursor")


NEVER_KEYS: list[tuple[str | int, str | int]] = [
    *(("a\0b", "c"), ("L1", "a\nb"), ("", "a"), ("L1", "a" * 65)),
    *((2**64, 0), (2**63, 0), (-1, 0), (1, 2**31), (1, -1)),
]


@pytest.mark.parametrize("key", NEVER_KEYS)
def test_a_cursor_with_a_key_that_no_page_can_end_with_is_refused(
    store: LedgerStore, key: tuple[str | int, ...]
) -> None:
    for ask in (lambda: stock(store, cursor=encode_cursor(*key)), lambda: history(store, cursor=encode_cursor(*key))):
        error = outcome_of(ask)
        assert isinstance(error, RequestError)
        assert (error.code.name, error.data["path"]) == ("invalid_params", "$.cursor")


def test_the_last_key_that_there_can_be_is_followed_by_nothing(store: LedgerStore) -> None:
    assert stock(store, cursor=encode_cursor(0, 0, "\U0010ffff" * 64, "\U0010ffff" * 64)).items == []
    assert history(store, cursor=encode_cursor(2**63 - 1, 2**31 - 1)).entries == []


def test_a_page_has_its_limit(store: LedgerStore) -> None:
    for ask in (lambda: stock(store, limit=10_001), lambda: history(store, limit=10_001)):
        error = outcome_of(ask)
        assert isinstance(error, RequestError)
        assert (error.code.name, error.data["expected"]) == ("invalid_params", "at most 10000")


# ---------------------------------------------------------------------------------- filters


@pytest.mark.parametrize("params", [{}, {"skus": ["a", "b", "c"], "locations": ["L1"]}, {"as_of": instant(MORNING)}])
def test_what_is_negative_or_below(store: LedgerStore, params: dict[str, Any]) -> None:
    listed(store, Product("a", reorder_point=scaled(10)), Product("b", reorder_point=scaled(5)))
    till = Till(store)
    till.posts(body("adjustment", ("a", 12), ("b", 5), ("c", -1)))
    till.posts(body("reserve", ("a", 3)))

    def skus(below: Any = None, **more: Any) -> list[str]:
        return [found.sku for found in stock(store, below, **params, **more).items]

    assert skus("reorder_point") == ["a"], "what is reserved is not available; what is at its point is not below it"
    assert skus(6) == ["b", "c"]
    assert skus(Decimal("-0.5")) == ["c"]
    assert skus(negative=True) == ["c"]
    assert skus(6, negative=False) == ["b", "c"]
    assert skus("reorder_point", negative=True) == []


# ---------------------------------------------------------------------------------- reservations, transfers


def test_a_reservation_expires(store: LedgerStore, clock: Clock) -> None:
    till = Till(store)
    till.posts(body("reserve", ("a", 3), expires_at=instant(MORNING + HOUR)))
    till.posts(body("reserve", ("a", 4)))
    assert level(store).reserved == 7
    clock.now += HOUR
    assert level(store).reserved == 4
    assert stock(store, location="L1").items[0].reserved == 4
    assert level(store, as_of=instant(MORNING + HOUR - 1)).reserved == 7
    assert level(store, as_of=instant(NOON - 1)).reserved == 0
    assert level(store, known_at=1).reserved == 3, "as of the instant at which that position was recorded"


# what draws on a reservation of 5 a, what is left of it
DRAWN: list[tuple[PostingType, int, Any, int]] = [
    ("sale", 2, uid("reservation"), 3),
    ("sale", 9, uid("reservation"), 0),
    ("sale", 2, None, 5),
    ("release", 2, uid("reservation"), 3),
    ("release", 2, None, 3),
    ("release", 9, None, 0),
    ("release", 2, uid("another"), 5),
]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("kind", "quantity", "reservation", "left"), DRAWN)
def test_what_draws_on_a_reservation(
    store: LedgerStore, kind: PostingType, quantity: int, reservation: Any, left: int, late: bool
) -> None:
    till = Till(store)
    fields: dict[str, Any] = {} if reservation is None else {"reservation": reservation}
    draws = body(kind, ("a", quantity), at=NOON + SECOND, **fields)
    sent = [(body("reserve", ("a", 5)), uid("reservation")), (draws, uid("draws"))]
    flags = [till.posts(*each).flags for each in (reversed(sent) if late else sent)]
    assert level(store).reserved == left
    orphaned = reservation == uid("another") or (late and reservation is not None)
    assert any("orphan" in each for each in flags) is orphaned


def test_a_transfer_is_on_its_way_until_it_arrives(store: LedgerStore) -> None:
    here, there = Till(store, "T1", "L1"), Till(store, "T2", "L2")
    here.posts(body("transfer_out", ("a", 5), other_location="L2"))
    assert (level(store).on_hand, level(store, location="L2").in_transit) == (-5, 5)
    there.posts(body("transfer_in", ("a", 3), other_location="L1"))
    arrived = level(store, location="L2")
    assert (arrived.on_hand, arrived.in_transit) == (3, 2)
    assert level(store, location="L2", known_at=1).in_transit == 5
    assert keys(store, locations=["L2"]) == [("L2", "a")]


@pytest.mark.parametrize("kind", ["transfer_out", "reserve"])
@pytest.mark.parametrize(("quantity", "status"), [(4, "posted"), (5, "rejected")])
def test_policy_stops_only_what_hq_can_still_stop(ledger: str, kind: Any, quantity: int, status: str) -> None:
    """Ten received, five sold, one reserved; what is sold is sold."""
    fields: dict[str, Any] = {"other_location": "L2"} if kind == "transfer_out" else {}
    with opened(ledger, settings=Settings(forbid_negative=True)) as store:
        till = Till(store)
        till.post(body("receipt", ("a", 10)), body("sale", ("a", 5)), body("reserve", ("a", 1)))
        result = till.posts(body(kind, ("a", 1), ("a", quantity - 1), **fields), uid("moved"))
        assert result.status == status
        if status == "rejected":
            assert (result.code, result.reason) == ("not_available", "'a': 5 wanted, 4 available (forbid_negative).")
            assert find(store, uid("moved")).status == "rejected"
        assert till.posts(body("sale", ("a", 99))).status == "posted"
    assert proof_of(ledger).holds


# ---------------------------------------------------------------------------------- flags

LISTED = [Product("a"), Product("b")]
FLAGGED: list[tuple[bytes, tuple[str, ...]]] = [
    (body("sale", ("a", 1)), ()),
    (body("sale", ("a", 11)), ("negative_stock",)),
    (body("sale", ("c", 1)), ("unlisted_product", "negative_stock")),
    (body("receipt", ("c", 1)), ("unlisted_product",)),
    (body("sale", ("b", 1), at=NOON - HOUR), ("before_count",)),
    (body("sale", ("b", 1), at=NOON), ()),
    (body("count", ("b", 1), at=NOON - HOUR), ("before_count",)),
    (body("count", ("b", 1), at=NOON + HOUR), ()),
    (body("void", voids=uid("unheard of")), ("orphan",)),
    (body("release", ("a", 1), reservation=uid("unheard of")), ("orphan",)),
    (body("release", ("a", 1)), ("nothing_reserved",)),
    (body("transfer_out", ("a", 11), other_location="L2"), ("negative_stock", "unknown_location")),
    (body("adjustment", ("a", 0)), ()),
    (body("sale", ("a", -1)), ()),
]


@pytest.mark.parametrize(("raw", "flags"), FLAGGED)
def test_a_posting_is_accepted_and_flagged(store: LedgerStore, raw: bytes, flags: tuple[str, ...]) -> None:
    listed(store, *LISTED)
    till = Till(store)
    till.post(body("receipt", ("a", 10)), body("count", ("b", 5)))
    result = till.posts(raw, uid("flagged"))
    assert (result.status, result.flags) == ("posted", flags)
    assert find(store, uid("flagged")).flags == flags
    entries = [entry for sku in "abc" for entry in history(store, sku).entries if entry.id == uid("flagged")]
    assert all(entry.flags == flags for entry in entries)
