"""Postings are found by reference, terminal, location, type, flag and time, the latest first."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET

from inventory_server.domain.door import perform
from inventory_server.domain.requests import FindPosting, History, ListPostings, SetLocation
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore
from inventory_server.store.query import postings
from pos_client.protocol import wire
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.messages import Body, HistoryParams, HistoryResult, Line, PostingParams, StoredPosting
from pos_client.protocol.units import instant
from tests.support.ledgers import HOUR, NOON, Clock, Till, body, enrol, hello, history, item, post, uid
from tests.support.lists import listed, page, pages
from tests.support.sites import on_both
from tests.support.statements import statements

NOON_DAY = date(2023, 11, 14)
"""The day of `NOON`, which is 22:13:20 in UTC."""
PRICED = wire.encode_body(
    Body(
        "sale",
        instant(NOON),
        [Line(2, sku="a", unit_price=Decimal("18.90"), currency="EUR"), Line(1, gtin="40000008")],
        reference="R-1",
    )
)


@pytest.fixture
def shops(store: LedgerStore) -> tuple[Till, Till]:
    """Two shops: positions 1 to 4 of T1 at L1, 5 and 6 of T2 at L2."""
    one, two = Till(store), Till(store, "T2", "L2")
    one.post(
        PRICED,
        body("receipt", ("a", 9), reference="R-1"),
        body("count", ("a", 7), at=NOON + HOUR),
        body("sale", ("a", 1), at=NOON - HOUR),
    )
    two.post(body("sale", ("b", 1), at=NOON + 3 * HOUR, reference="R-2"))
    two.post(body("void", at=NOON + 4 * HOUR, voids=uid(("T2", two.lineage, 1))))
    return one, two


def positions(store: LedgerStore, **asked: Any) -> list[int]:
    return [each.position for each in listed(store, ListPostings, **asked)]


CASES: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [6, 5, 4, 3, 2, 1]),
    ({"reference": "R-1"}, [2, 1]),
    ({"reference": "R-1", "type": "sale"}, [1]),
    ({"reference": "R-"}, []),
    ({"reference": "r-1"}, []),
    ({"terminal": "T2"}, [6, 5]),
    ({"type": "count"}, [3]),
    ({"flag": "before_count"}, [4]),
    ({"flag": "unlisted_product", "location": "L2"}, [5]),
    ({"locations": ["L1"]}, [4, 3, 2, 1]),
    ({"locations": ["L1", "L2"], "type": "sale"}, [5, 4, 1]),
    ({"location": "L9"}, []),
    ({"since": NOON}, [6, 5, 3, 2, 1]),
    ({"since": NOON + 1}, [6, 5, 3]),
    ({"until": NOON}, [4]),
    ({"since": NOON, "until": NOON + HOUR}, [2, 1]),
    ({"since": NOON, "until": NOON + HOUR + 1}, [3, 2, 1]),
    ({"since": NOON_DAY, "until": NOON_DAY}, [4, 3, 2, 1]),
    ({"since": date(2023, 11, 15)}, [6, 5]),
    ({"until": date(2023, 11, 13)}, []),
    ({"since": date(2023, 11, 15), "reference": "R-1"}, []),
]


@on_both
@pytest.mark.parametrize("limit", [1, 1_000])
def test_which_postings_are_listed(store: LedgerStore, shops: object, limit: int) -> None:
    for asked, expected in CASES:
        assert positions(store, limit=limit, **asked) == expected, asked


def test_a_date_is_the_business_day_of_each_location(store: LedgerStore, shops: object) -> None:
    perform(store, SetLocation("L2", time_zone="UTC", day_ends_hour=4, actor=HEADQUARTERS))
    assert positions(store, since=NOON_DAY, until=NOON_DAY) == [6, 5, 4, 3, 2, 1]
    assert positions(store, since=NOON_DAY, until=NOON_DAY, limit=1, type="sale") == [5, 4, 1]


def test_a_listed_posting_says_what_was_posted_and_which_void_reversed_it(store: LedgerStore, shops: object) -> None:
    void, voided, late, _, _, priced = listed(store, ListPostings)
    assert (void.lines, void.voided_position) == ([], None)
    assert (voided.voided_position, voided.reference) == (6, "R-2")
    assert late.flags == ("unlisted_product", "before_count")
    assert [(line.quantity, line.sku, line.gtin) for line in priced.lines] == [(2, "a", UNSET), (1, UNSET, "40000008")]
    assert (priced.lines[0].unit_price, priced.lines[0].currency) == (Decimal("18.90"), "EUR")
    assert (priced.terminal, priced.location, priced.occurred_at) == ("T1", "L1", instant(NOON))


def test_all_pages_are_as_of_the_first(store: LedgerStore, shops: tuple[Till, Till]) -> None:
    first, *_ = pages(store, ListPostings, limit=1)
    shops[1].post(body("sale", ("b", 1)), body("void", voids=uid(("T1", shops[0].lineage, 3))))
    second = page(store, ListPostings, limit=1_000, cursor=first.cursor)
    assert [each.position for each in (*first.postings, *second.postings)] == [6, 5, 4, 3, 2, 1]
    assert (first.position, second.position, second.cursor) == (6, 6, None)
    assert second.postings[2].voided_position is None, "the void came later"


def test_a_page_searches_so_many_postings_and_the_next_goes_on(
    store: LedgerStore, shops: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postings, "POSTINGS_SEARCHED_MAX", 3)
    monkeypatch.setattr(postings, "POSTINGS_WINDOW", 2)
    found = list(pages(store, ListPostings, terminal="T1", type="receipt"))
    assert [[each.position for each in each.postings] for each in found] == [[], [2]]
    assert positions(store, limit=2) == [6, 5, 4, 3, 2, 1]


def test_a_page_ends_where_its_bodies_are_large(
    store: LedgerStore, shops: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postings, "PAGE_BYTES_MAX", 250)
    sizes = [len(each.postings) for each in pages(store, ListPostings)]
    assert sum(sizes) == 6
    assert len(sizes) > 1
    assert positions(store) == [6, 5, 4, 3, 2, 1]


def test_what_hq_does_not_know_is_named(store: LedgerStore, shops: object) -> None:
    [unknown] = page(store, ListPostings, locations=["L1", "L9"]).unknown
    assert unknown.location == "L9"


TILL_CASES: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [6, 5]),
    ({"location": "L2"}, [6, 5]),
    ({"reference": "R-1"}, [1]),  # a sale of another location, and not its delivery
    ({"reference": "R-1", "location": "L1"}, [1]),
    ({"reference": "R-2"}, [5]),
]


@pytest.mark.parametrize(("asked", "expected"), TILL_CASES)
def test_a_till_sees_its_own_postings_and_any_sale_by_reference(
    store: LedgerStore, shops: tuple[Till, Till], asked: dict[str, Any], expected: list[int]
) -> None:
    assert positions(store, actor=shops[1].speaker, **asked) == expected


def test_a_till_sees_no_prices_of_others(store: LedgerStore, shops: tuple[Till, Till]) -> None:
    [there] = listed(store, ListPostings, actor=shops[1].speaker, reference="R-1")
    assert [(line.quantity, line.unit_price, line.currency) for line in there.lines] == [
        (2, UNSET, UNSET),
        (1, UNSET, UNSET),
    ]
    [own] = listed(store, ListPostings, actor=shops[0].speaker, reference="R-1", type="sale")
    assert own.lines[0].unit_price == Decimal("18.90")


def test_a_till_may_not_ask_for_another_location(store: LedgerStore, shops: tuple[Till, Till]) -> None:
    with pytest.raises(RequestError, match="A till sees what concerns its own location, L2, not L1;") as refused:
        positions(store, actor=shops[1].speaker, locations=["L2", "L1"])
    assert refused.value.code is ErrorCode.forbidden


def test_a_till_sees_the_movements_of_its_own_location(store: LedgerStore, shops: tuple[Till, Till]) -> None:
    def seen(till: Till, **asked: Any) -> set[str]:
        return {entry.location for entry in history_of(till, **asked).entries}

    def history_of(till: Till, **asked: Any) -> HistoryResult:
        answer = perform(store, History(HistoryParams(sku, **asked), actor=till.speaker))
        assert isinstance(answer, HistoryResult)
        return answer

    sku = "both"
    for shop in shops:
        shop.posts(body("sale", (sku, 1)))
    assert [seen(shop) for shop in shops] == [{"L1"}, {"L2"}]
    assert seen(shops[1], location="L2") == {"L2"}
    with pytest.raises(RequestError, match="A till sees what concerns its own location, L2, not L1;"):
        history_of(shops[1], location="L1")
    assert {entry.location for entry in history(store, sku).entries} == {"L1", "L2"}


def found(store: LedgerStore, shop: Till, number: int, of: Till) -> StoredPosting:
    asked = PostingParams(uid((of.terminal, of.lineage, number)))
    answer = perform(store, FindPosting(asked, actor=shop.speaker))
    assert isinstance(answer, StoredPosting)
    return answer


def test_by_id_a_till_sees_any_sale_without_prices_and_other_postings_only_of_its_own(
    store: LedgerStore, shops: tuple[Till, Till]
) -> None:
    one, two = shops
    assert bytes(found(store, one, 1, one).body) == PRICED
    assert wire.decode_body(bytes(found(store, two, 1, one).body)) == Body(
        "sale", instant(NOON), [Line(2, sku="a"), Line(1, gtin="40000008")], reference="R-1"
    )
    with pytest.raises(RequestError, match="of others a till sees the sales alone") as refused:
        found(store, two, 2, one)
    assert refused.value.code is ErrorCode.forbidden


def test_a_rejected_posting_is_shown_to_the_till_that_posted_it_and_to_no_other(
    store: LedgerStore, shops: tuple[Till, Till]
) -> None:
    one, two = shops
    rejected = one.posts(b'{"type":"gift"}')
    assert rejected.status == "rejected"
    assert found(store, one, 5, one).status == "rejected"
    with pytest.raises(RequestError, match="is no posting of L2"):
        found(store, two, 5, one)


def test_a_till_that_moved_sees_both_its_locations(store: LedgerStore, clock: Clock) -> None:
    enrol(store, "O", "operator", "HQ")
    post(store, hello(store, "O").speaker, item(body("sale", ("a", 1), location="L1")))
    assert positions(store, actor=Till(store, "T3", "L3").speaker) == []
    assert positions(store, actor=Till(store).speaker) == [1]


def test_a_list_takes_few_statements(store: LedgerStore, shops: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with statements(monkeypatch) as ran:
        page(store, ListPostings, since=NOON - 2 * HOUR)
    assert len(ran) < 15, ran
