"""What changed between two positions or instants is listed, with what moved it."""

from __future__ import annotations

from typing import Any

import pytest

from inventory_server.domain.requests import ListChanges
from inventory_server.store import LedgerStore
from pos_client.protocol.errors import RequestError
from pos_client.protocol.lists import ListedChange
from pos_client.protocol.units import instant
from tests.support.ledgers import DAY, HOUR, NOON, Clock, Till, body
from tests.support.lists import listed, page, pages
from tests.support.sites import on_both
from tests.support.statements import statements


@pytest.fixture
def till(store: LedgerStore) -> Till:
    """A till that has posted a delivery, a count and two sales, the last of them before the count."""
    till = Till(store)
    till.post(body("receipt", ("a", 9), ("b", 5)))
    till.post(body("count", ("a", 7), at=NOON + 2 * HOUR))
    till.post(body("sale", ("a", 2), ("b", 1), at=NOON + 3 * HOUR))
    till.post(body("sale", ("a", 1), at=NOON + HOUR))
    return till


CASES: list[tuple[dict[str, Any], list[ListedChange]]] = [
    ({"from_": 4}, []),
    ({"from_": 99}, []),
    ({"from_": 3}, [ListedChange("L1", "a", 5, 5, 0, {"sale": -1})]),
    (
        {"from_": 1},
        [ListedChange("L1", "a", 9, 5, -4, {"sale": -3}), ListedChange("L1", "b", 5, 4, -1, {"sale": -1})],
    ),
    ({"from_": 1, "to": 2}, [ListedChange("L1", "a", 9, 7, -2, {})]),
    ({"from_": 1, "sku": "b"}, [ListedChange("L1", "b", 5, 4, -1, {"sale": -1})]),
    ({"from_": 1, "skus": ["z"]}, []),
    ({"from_": 1, "location": "L2"}, []),
    ({"from_": 0, "to": 1, "sku": "a"}, [ListedChange("L1", "a", 0, 9, 9, {"receipt": 9})]),
]


@on_both
@pytest.mark.parametrize("limit", [1, 1_000])
def test_what_changed(store: LedgerStore, till: Till, limit: int) -> None:
    for asked, expected in CASES:
        assert listed(store, ListChanges, limit=limit, **asked) == expected, asked


@on_both
def test_what_moved_is_told_by_type_even_if_it_adds_up_to_nothing(store: LedgerStore) -> None:
    till = Till(store)
    till.post(body("sale", ("a", 2), ("a", -2), ("b", 1)), body("receipt", ("a", 3), ("c", 1)), body("sale", ("c", 1)))
    till.post(body("return", ("b", 1)), body("adjustment", ("b", 4), ("b", -4)))
    assert {each.sku: each.moved for each in listed(store, ListChanges, from_=0)} == {
        "a": {"receipt": 3, "sale": 0},
        "b": {"adjustment": 0, "return": 1, "sale": -1},
        "c": {"receipt": 1, "sale": -1},
    }
    assert [list(each.moved) for each in listed(store, ListChanges, from_=0, sku="b")] == [
        ["adjustment", "return", "sale"]
    ]


def test_moments_are_instants_of_recording(store: LedgerStore, till: Till, clock: Clock) -> None:
    clock.now += DAY
    till.post(body("sale", ("a", 3), at=NOON + HOUR * 5))
    [found] = listed(store, ListChanges, from_=instant(NOON + DAY + HOUR))
    assert (found.before, found.after) == (5, 2)
    assert page(store, ListChanges, from_=instant(NOON + DAY + HOUR)).since == 4
    assert listed(store, ListChanges, from_=instant(NOON), to=instant(NOON + HOUR)) == []
    first, second = listed(store, ListChanges, from_=instant(NOON), to=instant(NOON + DAY + HOUR))
    assert (first.before, first.after, second.after) == (0, 5, 4)


def test_all_pages_compare_the_same_positions(store: LedgerStore, till: Till) -> None:
    first, *_ = pages(store, ListChanges, limit=1, from_=0)
    till.post(body("receipt", ("b", 50), ("c", 1)))
    later = page(store, ListChanges, from_=0, cursor=first.cursor)
    assert [(each.sku, each.after) for each in (*first.changes, *later.changes)] == [("a", 5), ("b", 4)]
    assert (later.since, later.position) == (0, 4)


def test_a_till_sees_its_own_location(store: LedgerStore, till: Till) -> None:
    other = Till(store, "T2", "L2")
    assert listed(store, ListChanges, actor=other.speaker, from_=0) == []
    with pytest.raises(RequestError, match="its own location, L2, not L1"):
        listed(store, ListChanges, actor=other.speaker, from_=0, location="L1")


def test_the_number_of_statements_does_not_grow_with_that_of_changes(
    store: LedgerStore, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    till.post(body("receipt", *((f"{number}", 1) for number in range(400))))
    for limit in (2, 1_000):
        with statements(monkeypatch) as ran:
            found = page(store, ListChanges, limit=limit, from_=0).changes
        assert len(ran) < 20, ran
    assert len(found) == 402
