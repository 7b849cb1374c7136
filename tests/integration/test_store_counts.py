"""Counts are listed with their variance then and now, and with the postings that changed it."""

from __future__ import annotations

from typing import Any

import pytest

from inventory_server.domain.door import perform
from inventory_server.domain.requests import ListCounts, MergeProducts
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore
from inventory_server.store.query import counts
from pos_client.protocol.lists import ListedCount
from tests.support.ledgers import DAY, HOUR, NOON, Till, body, uid
from tests.support.lists import listed, page
from tests.support.sites import on_both
from tests.support.statements import statements


@pytest.fixture
def till(store: LedgerStore) -> Till:
    return Till(store)


def variances(found: list[ListedCount]) -> list[tuple[Any, ...]]:
    return [(each.sku, each.counted, each.variance_then, each.variance_now) for each in found]


@on_both
def test_a_late_sale_changes_the_variance_and_is_named(store: LedgerStore, till: Till) -> None:
    till.post(body("receipt", ("a", 24)), body("sale", ("a", 2), at=NOON + HOUR))
    till.post(body("count", ("a", 21), at=NOON + 3 * HOUR, reference="C-1"), body("sale", ("a", 3), at=NOON + 4 * HOUR))
    Till(store, "T2").post(body("sale", ("a", 1), at=NOON + 2 * HOUR, reference="R-7"))
    [count] = listed(store, ListCounts)
    assert (count.counted, count.variance_then, count.variance_now, count.reference) == (21, -1, 0, "C-1")
    [change] = count.changes
    assert (change.position, change.terminal, change.type, change.quantity) == (5, "T2", "sale", 1)
    assert (change.reference, count.changes_total) == ("R-7", 1)


def test_what_is_after_a_count_does_not_change_its_variance(store: LedgerStore, till: Till) -> None:
    till.post(body("receipt", ("a", 9)), body("count", ("a", 9), at=NOON + HOUR), body("sale", ("a", 3), at=NOON + DAY))
    assert variances(listed(store, ListCounts)) == [("a", 9, 0, 0)]
    assert listed(store, ListCounts)[0].changes == []


def test_a_count_before_it_that_arrives_late_changes_its_variance(store: LedgerStore, till: Till) -> None:
    till.post(body("receipt", ("a", 10)), body("count", ("a", 8), at=NOON + 2 * HOUR))
    till.post(body("count", ("a", 9), at=NOON + HOUR))
    early, late = listed(store, ListCounts)
    assert variances([early, late]) == [("a", 9, -1, -1), ("a", 8, -2, -1)]
    assert [(change.type, change.quantity) for change in late.changes] == [("count", 1)]
    till.post(body("void", voids=uid(("T1", till.lineage, 3)), at=NOON + DAY))
    [left] = listed(store, ListCounts)
    assert (left.variance_then, left.variance_now) == (-2, -2)
    assert [(change.type, change.quantity) for change in left.changes] == [("count", 1), ("void", -1)]


def test_only_counts_that_are_off_now(store: LedgerStore, till: Till) -> None:
    till.post(body("receipt", ("a", 5), ("b", 5)), body("count", ("a", 5), ("b", 4), at=NOON + HOUR))
    assert variances(listed(store, ListCounts, off=True, limit=1)) == [("b", 4, -1, -1)]
    assert variances(listed(store, ListCounts, off=False)) == [("a", 5, 0, 0), ("b", 4, -1, -1)]
    till.post(body("sale", ("b", 1)))
    assert listed(store, ListCounts, off=True) == []


SCOPES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["a", "b", "a"]),
    ({"sku": "b"}, ["b"]),
    ({"skus": ["a", "z"]}, ["a", "a"]),
    ({"location": "L2"}, ["a"]),
    ({"since": NOON + DAY}, ["a"]),
    ({"until": NOON + DAY}, ["a", "b"]),
]


@pytest.mark.parametrize(("asked", "expected"), SCOPES)
def test_counts_of_products_locations_and_times(
    store: LedgerStore, till: Till, asked: dict[str, Any], expected: list[str]
) -> None:
    till.post(body("count", ("a", 1), ("b", 1), at=NOON + HOUR))
    other = Till(store, "T2", "L2")
    other.post(body("count", ("a", 1), at=NOON + DAY))
    assert [each.sku for each in listed(store, ListCounts, limit=1, **asked)] == expected
    assert [each.sku for each in listed(store, ListCounts, actor=other.speaker)] == ["a"]


def test_lines_that_now_mean_one_product_are_one_count_of_it(store: LedgerStore, till: Till) -> None:
    till.post(body("count", ("a", 1), ("b", 2), at=NOON + HOUR))
    assert variances(listed(store, ListCounts, sku="b")) == [("b", 2, 2, 2)]
    perform(store, MergeProducts("a", "b", actor=HEADQUARTERS))
    till.post(body("count", ("a", 1), ("b", 2), at=NOON + 3 * DAY))
    found = listed(store, ListCounts, limit=1)
    assert [(each.sku, each.counted) for each in found] == [("a", 1), ("b", 3), ("b", 2)]
    assert listed(store, ListCounts, sku="b") == found[1:]
    assert listed(store, ListCounts, sku="a") == found[:1]


def test_of_many_changes_the_first_are_told(store: LedgerStore, till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    till.post(body("count", ("a", 1), at=NOON + HOUR), *(body("sale", ("a", 1), at=NOON + at) for at in range(5)))
    monkeypatch.setattr(counts, "COUNT_CHANGES_MAX", 2)
    [count] = listed(store, ListCounts)
    assert [change.position for change in count.changes] == [2, 3]
    assert (count.changes_total, count.variance_now) == (5, 6)


def test_the_number_of_statements_does_not_grow_with_that_of_counts(
    store: LedgerStore, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    skus = [f"sku {number}" for number in range(300)]
    till.post(body("receipt", *((sku, 9) for sku in skus)))
    for hour in (1, 2):
        till.post(body("count", *((sku, 8) for sku in skus), at=NOON + hour * HOUR))
    Till(store, "T2").post(body("sale", *((sku, 1) for sku in skus), at=NOON + HOUR // 2))
    numbers = []
    for limit in (2, 600):
        with statements(monkeypatch) as ran:
            found = page(store, ListCounts, limit=limit).counts
        numbers.append(len(ran))
    assert len(found) == 600
    assert {each.variance_now for each in found} == {0}
    assert numbers[1] <= numbers[0] + 8, "SQLite takes chunks of 512"
