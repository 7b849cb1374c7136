"""The order list: what to order of which supplier, for where and by when; and what is marked as ordered."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from inventory_server.domain.changes import SetLocation
from inventory_server.domain.door import perform
from inventory_server.domain.limits import MARKS_MAX, ORDER_DAYS_MAX
from inventory_server.domain.order_lines import OrderLine, OrderList, OrderMark
from inventory_server.domain.product import Product, Ranged, Supplier
from inventory_server.domain.requests import (
    CloseBooks,
    ImportProducts,
    ListAudit,
    ListOrder,
    ListOrdered,
    MarkOrdered,
    MergeProducts,
    Ping,
    UnmarkOrdered,
)
from inventory_server.domain.roles import HEADQUARTERS, User
from inventory_server.store import LedgerStore, StoreError
from inventory_server.store.query import order_list
from pos_client.protocol.errors import RequestError
from pos_client.protocol.units import instant, micros, scaled
from tests.support.ledgers import DAY, HOUR, Clock, Till, body, opened, proof_of, uid
from tests.support.sites import Site, on_both
from tests.support.statements import statements

MORNING = micros(datetime(2026, 3, 17, 7, tzinfo=UTC))
TODAY = date(2026, 3, 17)


@pytest.fixture
def clock() -> Clock:
    return Clock(MORNING)


@pytest.fixture
def shop(site: Site, clock: Clock) -> Any:
    with opened(site.new(), clock) as store:
        yield store


def listing(store: LedgerStore, *products: Product, suppliers: tuple[Supplier, ...] = ()) -> None:
    perform(store, ImportProducts(list(products), list(suppliers), actor=HEADQUARTERS))


def product(sku: str, reorder_point: int, **said: Any) -> Product:
    sizes: dict[str, Any] = {name: scaled(said.pop(name)) for name in ("pack_size", "minimum") if name in said}
    return Product(sku, reorder_point=scaled(reorder_point), **sizes, **said)


def asked(store: LedgerStore, **named: Any) -> OrderList:
    found = perform(store, ListOrder(actor=HEADQUARTERS, **named))
    assert isinstance(found, OrderList)
    return found


def figures(found: OrderList) -> list[tuple[Any, ...]]:
    return [(each.supplier, each.sku, each.location, each.quantity) for each in found.lines]


def only(store: LedgerStore, **named: Any) -> OrderLine:
    [line] = asked(store, **named).lines
    return line


def marks(store: LedgerStore, **named: Any) -> list[OrderMark]:
    found: list[OrderMark] = perform(store, ListOrdered(actor=HEADQUARTERS, **named))
    return found


def mark(store: LedgerStore, quantity: Any, expected: date, sku: str = "a", location: str = "L1") -> int:
    marked_at: int = perform(store, MarkOrdered(location, sku, quantity, expected, actor=HEADQUARTERS))
    return marked_at


def sell_for_four_weeks(till: Till, sku: str, a_day: int, stock: int) -> None:
    """The till sells `a_day` on each of the last 28 days; `stock` is left."""
    first = MORNING - 28 * DAY
    till.post(body("receipt", (sku, a_day * 28 + stock), at=first - HOUR))
    for number in range(28):
        till.post(body("sale", (sku, a_day), at=first + number * DAY))


ALT = Supplier("Alt", 2, 1, 11)
MOLK = Supplier("Molk", 1, 1, 10)


@on_both
def test_the_list_is_by_supplier_and_every_line_says_why(shop: LedgerStore) -> None:
    till = Till(shop)
    listing(
        shop,
        product("beans", 20, supplier="Alt", pack_size=6, name="Beans", unit="pcs"),
        product("milk", 36, supplier="Molk", pack_size=12, ranged=(Ranged("L1"), Ranged("L2", scaled(5)))),
        product("much", 5, supplier="Molk"),
        product("soap", 3),
        Product("unwatched", supplier="Molk"),
        suppliers=(ALT, MOLK),
    )
    Till(shop, "T2", "L2")
    sell_for_four_weeks(till, "beans", 7, 11)
    sell_for_four_weeks(till, "milk", 20, 14)
    till.post(body("receipt", ("much", 50), at=MORNING - DAY), body("sale", ("soap", 1), ("unlisted", 9), at=MORNING))
    found = asked(shop)
    assert figures(found) == [
        ("Molk", "milk", "L1", 72),
        ("Molk", "milk", "L2", 12),
        ("Alt", "beans", "L1", 30),
        (None, "soap", "L1", 4),
    ]
    assert (found.total, found.position, found.unknown) == (4, 60, [])
    beans = found.lines[2]
    assert (beans.sum, beans.packs, beans.name) == (
        "20 reorder point + 3 days × 7.0 a day − 11 available = 30",
        5,
        "Beans",
    )
    assert (beans.order_by_at, beans.arrives, beans.sold, beans.days) == (
        MORNING + 4 * HOUR,
        date(2026, 3, 19),
        196,
        28,
    )
    assert beans.why == "Runs out tomorrow, before the delivery of Thu 19 Mar."


@on_both
def test_the_list_is_asked_of_locations_suppliers_and_products(shop: LedgerStore) -> None:
    Till(shop), Till(shop, "T2", "L2")
    listing(
        shop,
        product("a", 5, supplier="Alt", ranged=(Ranged("L1"), Ranged("L2", supplier="Molk"))),
        product("b", 5, supplier="Molk", ranged=(Ranged("L1"),)),
        product("nowhere", 5),
        suppliers=(ALT, MOLK),
    )
    assert figures(asked(shop, suppliers=["Molk"])) == [("Molk", "a", "L2", 5), ("Molk", "b", "L1", 5)]
    assert figures(asked(shop, locations=["L2"])) == [("Molk", "a", "L2", 5), (None, "nowhere", "L2", 5)]
    assert figures(asked(shop, skus=["b", "c"])) == [("Molk", "b", "L1", 5)]
    assert figures(asked(shop, skus=["nowhere"])) == [(None, "nowhere", None, 5)]
    assert asked(shop, locations=["L2", "L9"], suppliers=["Nobody"]).unknown == ["L9", "Nobody"]
    assert sorted(asked(shop, locations=["L2"]).completeness) == ["L2"]


def test_what_is_on_the_road_or_reserved_counts_and_a_transfer_is_no_demand(shop: LedgerStore) -> None:
    till, _ = Till(shop), Till(shop, "T2", "L2")
    listing(shop, product("a", 10, ranged=(Ranged("L1"), Ranged("L2"))))
    till.post(
        body("receipt", ("a", 30), at=MORNING - 5 * DAY),
        body("transfer_out", ("a", 4), at=MORNING - 4 * DAY, other_location="L2"),
        body("reserve", ("a", 18), at=MORNING - DAY, expires_at=instant(MORNING + DAY)),
    )
    assert [(each.location, each.sum, each.sold) for each in asked(shop).lines] == [
        ("L1", "10 reorder point − 8 available = 2", 0),
        ("L2", "10 reorder point − 0 available − 4 in transit = 6", 0),
    ]


def test_late_sales_voids_and_a_merge_change_the_velocity(shop: LedgerStore) -> None:
    till = Till(shop)
    listing(shop, product("a", 100), product("old", 100))
    sell_for_four_weeks(till, "old", 2, 0)
    till.posts(body("sale", ("old", 7), at=MORNING - 3 * DAY), uid("wrong"))
    till.posts(body("sale", ("a", 28), at=MORNING - 2 * DAY))
    assert {each.sku: each.sold for each in asked(shop).lines} == {"a": 28, "old": 63}
    till.posts(body("void", at=MORNING, voids=uid("wrong")))
    perform(shop, MergeProducts("old", "a", actor=HEADQUARTERS))
    line = only(shop)
    assert (line.sku, line.sold, line.days) == ("a", 84, 28)


def test_an_incomplete_location_makes_its_lines_unsure(shop: LedgerStore, clock: Clock) -> None:
    till = Till(shop)
    Till(shop, "T2", "L2")
    listing(shop, product("a", 5, ranged=(Ranged("L1"), Ranged("L2"))))
    assert [each.is_sure for each in asked(shop).lines] == [True, True]
    clock.now += HOUR
    perform(shop, Ping(till.speaker, None, clock.now))
    found = asked(shop)
    assert [(each.location, each.is_sure) for each in found.lines] == [("L1", True), ("L2", False)]
    assert found.completeness["L2"].silent


@on_both
def test_business_days_are_those_of_the_location(shop: LedgerStore, clock: Clock) -> None:
    """What is sold at half past midnight in Kiritimati, yesterday in UTC, is of today: it does not count yet."""
    perform(shop, SetLocation("L1", time_zone="Pacific/Kiritimati", day_ends_hour=4, actor=HEADQUARTERS))
    clock.now = micros(datetime(2026, 3, 16, 20, tzinfo=UTC))  # 10:00 on the 17th there
    till = Till(shop)
    listing(shop, product("a", 50))
    till.post(
        body("receipt", ("a", 40), at=clock.now - 3 * DAY),
        body("sale", ("a", 1), at=micros(datetime(2026, 3, 16, 13, 59, tzinfo=UTC))),  # 03:59
        body("sale", ("a", 2), at=micros(datetime(2026, 3, 16, 14, tzinfo=UTC))),  # 04:00: the day has begun
    )
    line = only(shop)
    assert (line.sold, line.days, line.order_by) == (1, 3, TODAY)


@on_both
def test_what_is_marked_as_ordered_is_not_ordered_again_until_it_came(shop: LedgerStore, clock: Clock) -> None:
    till = Till(shop)
    listing(shop, product("a", 20))
    till.post(body("receipt", ("a", 5), at=MORNING - HOUR))
    marked_at = mark(shop, 12, TODAY + timedelta(days=2))
    assert only(shop).sum == "20 reorder point − 5 available − 12 ordered = 3"
    assert marks(shop) == [OrderMark("L1", "a", 12, 12, date(2026, 3, 19), MORNING, "hq", MORNING + 5 * DAY - 7 * HOUR)]
    clock.now += DAY
    till.posts(body("receipt", ("a", 4), at=clock.now), uid("delivery"))
    till.post(body("transfer_in", ("a", 1), at=clock.now, other_location="L2"))
    line = only(shop)
    assert (line.available, line.ordered, line.quantity) == (10, 8, 2)
    till.posts(body("void", at=clock.now, voids=uid("delivery")))
    assert only(shop).ordered == 12
    till.post(body("receipt", ("a", 14), at=clock.now + HOUR))
    clock.now += 2 * HOUR
    assert (asked(shop).lines, marks(shop)) == ([], [])
    assert marked_at == MORNING


def test_a_mark_that_lapsed_is_waited_for_no_more(shop: LedgerStore, clock: Clock) -> None:
    Till(shop)
    listing(shop, product("a", 20, ranged=(Ranged("L1"),)))
    mark(shop, 12, TODAY)
    clock.now += 2 * DAY
    assert only(shop).ordered == 12
    clock.now += DAY
    assert (only(shop).ordered, marks(shop)) == (0, [])
    clock.now += 3 * DAY
    mark(shop, 20, TODAY + timedelta(days=9))  # forgets the first
    with pytest.raises(StoreError, match="was not marked"):
        perform(shop, UnmarkOrdered("L1", "a", MORNING, actor=HEADQUARTERS))


@on_both
def test_a_mark_is_taken_back_by_itself_or_all_of_a_product_and_audited(shop: LedgerStore) -> None:
    Till(shop)
    listing(shop, product("a", 20, ranged=(Ranged("L1"),)), product("old", 5))
    first, second = mark(shop, 3, TODAY), mark(shop, 4, TODAY)
    assert second == first + 1
    mark(shop, 5, TODAY, sku="old")
    assert perform(shop, UnmarkOrdered("L1", "a", first, actor=HEADQUARTERS)) == 1
    perform(shop, MergeProducts("old", "a", actor=HEADQUARTERS))
    assert [(each.sku, each.left) for each in marks(shop, locations=["L1"])] == [("a", 5), ("a", 4)]
    assert only(shop).ordered == 9
    assert marks(shop, locations=["L2"]) == []
    assert perform(shop, UnmarkOrdered("L1", "a", actor=HEADQUARTERS)) == 2
    with pytest.raises(StoreError, match="a was not marked as ordered for L1; see: inventory-server order-list marked"):
        perform(shop, UnmarkOrdered("L1", "a", actor=HEADQUARTERS))
    trail = perform(shop, ListAudit(10, actor=HEADQUARTERS))
    assert trail[1].request == "mark_as_ordered"
    assert trail[1].arguments == '{"location":"L1","sku":"a","quantity":3,"expected":"2026-03-17"}'


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"location": "L9"}, "HQ does not know location L9; see: inventory-server location list"),
    ({"sku": "b"}, "The catalogue does not list b; list it with: inventory-server catalog import"),
    ({"quantity": 0}, "Expected a quantity above 0, got 0; to take a mark back: order-list unmark"),
    ({"quantity": 10**9 + 1}, "Expected a quantity of at most 10⁹ with at most 5 decimals, got 1000000001"),
    ({"expected": TODAY - timedelta(days=1)}, "Expected the day of the delivery, from today, 2026-03-17, to 366 days"),
    ({"expected": TODAY + timedelta(days=ORDER_DAYS_MAX + 1)}, "to 366 days later, got 2027-03-19"),
]


@pytest.mark.parametrize(("wrong", "why"), REFUSED)
def test_a_mark_that_cannot_be_is_refused(shop: LedgerStore, wrong: dict[str, Any], why: str) -> None:
    Till(shop)
    listing(shop, product("a", 20))
    asked_for: dict[str, Any] = {"quantity": 1, "expected": TODAY} | wrong
    with pytest.raises(StoreError, match=why):
        mark(shop, **asked_for)
    assert marks(shop) == []


def test_a_program_that_repeats_itself_is_stopped(shop: LedgerStore) -> None:
    Till(shop)
    listing(shop, product("a", 20))
    for _ in range(MARKS_MAX):
        mark(shop, 1, TODAY)
    with pytest.raises(StoreError, match="a is marked as ordered for L1 20 times: take back what will not come"):
        mark(shop, 1, TODAY)


def test_a_reader_asks_and_does_not_mark(shop: LedgerStore) -> None:
    reader = User("p", "reader", "page")
    assert perform(shop, ListOrder(actor=reader)).lines == []
    with pytest.raises(RequestError, match="The role reader may not call mark_as_ordered"):
        perform(shop, MarkOrdered("L1", "a", 1, TODAY, actor=reader))


@on_both
def test_more_products_take_no_more_statements(shop: LedgerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    till, ran = Till(shop), []
    for count in (3, 40):
        listing(shop, *(product(f"p{number:02}", 9, supplier="Alt") for number in range(count)), suppliers=(ALT,))
        till.post(*(body("receipt", (f"p{number:02}", 1), at=MORNING - DAY) for number in range(count)))
        mark(shop, 1, TODAY, sku="p01")
        with statements(monkeypatch) as texts:
            assert len(asked(shop).lines) == count
        ran.append(len(texts))
    assert ran[0] == ran[1] <= 35


def test_a_list_is_read_in_pages_and_cut_at_its_limit(shop: LedgerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    till = Till(shop)
    names = [f"p{number}" for number in range(7)]
    listing(shop, *(product(name, 9, ranged=(Ranged("L1"), Ranged("L2"))) for name in names[:5]))
    listing(shop, *(product(name, 9) for name in names[5:]))
    till.post(body("receipt", *((name, 2) for name in names[:3]), at=MORNING - DAY))
    whole = asked(shop)
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(order_list, "ORDER_KEYS", 2)
    assert asked(shop) == whole
    perform(shop, ListOrder(actor=HEADQUARTERS), lambda *done: told.append(done))
    assert told[-1][0] == len(whole.lines) == 12
    monkeypatch.setattr(order_list, "ORDER_LINES_MAX", 3)
    cut = asked(shop)
    assert (cut.total, cut.lines) == (12, whole.lines[:3])


@on_both
def test_closed_books_change_no_figure_and_the_ledger_stays_proven(site: Site, clock: Clock) -> None:
    url = site.new()
    with opened(url, clock) as store:
        till = Till(store)
        listing(store, product("a", 20, supplier="Alt"), suppliers=(ALT,))
        sell_for_four_weeks(till, "a", 3, 1)
        before = asked(store)
        store.submit(CloseBooks(actor=HEADQUARTERS)).wait()
        assert asked(store) == before
    assert proof_of(url).findings == []


def test_of_what_is_archived_no_velocity_is_guessed(site: Site, clock: Clock) -> None:
    """The window then begins after the archive; a mark made before its end is waited for no more."""
    url = site.new()
    with opened(url, clock) as store:
        till = Till(store)
        listing(store, product("a", 20), product("b", 5))
        sell_for_four_weeks(till, "a", 3, 1)
        mark(store, 2, TODAY)
        before = asked(store, skus=["a"]).lines[0]
    site.execute(url, f"UPDATE ledger SET archived_position = 2, archived_until = {MORNING - 10 * DAY}")
    with opened(url, clock) as store:
        [line] = asked(store, skus=["a"]).lines
    site.execute(url, f"UPDATE ledger SET archived_until = {MORNING}")
    with opened(url, clock) as store:
        [archived] = asked(store, skus=["a"]).lines
    assert [(each.sold, each.days, each.ordered) for each in (before, line, archived)] == [
        (84, 28, 2),
        (27, 9, 2),
        (0, 0, 0),
    ]
