"""A void reverses one posting, whole and once, whichever of the two arrives first."""

from __future__ import annotations

from inventory_server.store import LedgerStore
from pos_client.protocol.units import Quantity, instant
from tests.support.ledgers import (
    HOUR,
    NOON,
    Till,
    body,
    enrol,
    hello,
    history,
    item,
    level,
    post,
    stock,
    uid,
)

SALE, VOID, OTHER = uid("sale"), uid("void"), uid("other")


def on_hand(store: LedgerStore, sku: str = "a", location: str = "L1") -> Quantity:
    return level(store, sku, location).on_hand


def test_a_void_moves_the_opposite_at_the_instant_of_what_it_voids(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(body("sale", ("a", 3)), SALE)
    assert till.posts(body("void", at=NOON + HOUR, voids=SALE)).flags == ()
    assert on_hand(store) == 0
    assert level(store, as_of=instant(NOON)).on_hand == 0
    assert level(store, as_of=instant(NOON), known_at=1).on_hand == -3
    assert [(entry.type, entry.quantity, entry.on_hand_after) for entry in history(store).entries] == [
        ("sale", -3, -3),
        ("void", 3, 0),
    ]


def test_a_void_that_arrives_first_waits_for_what_it_voids(store: LedgerStore) -> None:
    till = Till(store)
    assert till.posts(body("void", at=NOON + HOUR, voids=SALE)).flags == ("orphan",)
    till.posts(body("sale", ("a", 3), ("gtin:40000001", 2)), SALE)
    assert on_hand(store) == 0
    assert on_hand(store, "gtin:00000040000001") == 0
    assert level(store, as_of=instant(NOON)).on_hand == 0
    assert [entry.on_hand_after for entry in history(store).entries] == [-3, 0]


def test_a_posting_is_voided_once(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(body("sale", ("a", 3)), SALE)
    till.posts(body("void", voids=SALE), VOID)
    second = till.posts(body("void", voids=SALE, at=NOON + 1))
    assert (second.status, second.code) == ("rejected", "already_voided")
    assert str(SALE) in (second.reason or "")
    assert on_hand(store) == 0


def test_a_posting_is_voided_once_before_it_arrives_too(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(body("void", voids=SALE), VOID)
    assert till.posts(body("void", voids=SALE, at=NOON + 1)).code == "already_voided"


def test_two_voids_in_one_frame_reverse_once(store: LedgerStore) -> None:
    till = Till(store)
    result = till.post(body("void", voids=SALE), body("void", voids=SALE, at=NOON + 1))
    assert [each.status for each in result.results] == ["posted", "rejected"]


def test_a_void_of_a_void_is_refused(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(body("sale", ("a", 3)), SALE)
    till.posts(body("void", voids=SALE), VOID)
    assert till.posts(body("void", voids=VOID)).code == "not_voidable"


def test_a_void_of_a_void_that_arrives_first_changes_nothing(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(body("sale", ("a", 3)), SALE)
    till.posts(body("void", voids=VOID), OTHER)
    till.posts(body("void", voids=SALE), VOID)
    assert on_hand(store) == 0


def test_a_void_of_itself_is_refused(store: LedgerStore) -> None:
    assert Till(store).posts(body("void", voids=VOID), VOID).code == "not_voidable"


def test_a_till_voids_only_at_its_own_location(store: LedgerStore) -> None:
    Till(store, "T1", "L1").posts(body("sale", ("a", 3)), SALE)
    refused = Till(store, "T2", "L2").posts(body("void", voids=SALE))
    assert refused.code == "forbidden_location"
    assert "'L1'" in (refused.reason or "")
    assert on_hand(store) == -3


def test_a_void_of_another_location_that_arrives_first_neither_works_nor_blocks(store: LedgerStore) -> None:
    Till(store, "T2", "L2").posts(body("void", voids=SALE))
    first = Till(store, "T1", "L1")
    first.posts(body("sale", ("a", 3)), SALE)
    assert on_hand(store) == -3
    assert first.posts(body("void", voids=SALE)).status == "posted"
    assert on_hand(store) == 0
    assert first.posts(body("void", voids=SALE, at=NOON + 1)).code == "already_voided"


def test_voids_from_two_locations_that_arrive_first_wait_beside_each_other(store: LedgerStore) -> None:
    Till(store, "T2", "L2").posts(body("void", voids=SALE))
    first = Till(store, "T1", "L1")
    assert first.posts(body("void", voids=SALE, at=NOON + HOUR)).status == "posted"
    assert first.posts(body("void", voids=SALE, at=NOON + 1)).code == "already_voided"
    first.posts(body("sale", ("a", 3)), SALE)
    assert on_hand(store) == 0
    assert level(store, as_of=instant(NOON)).on_hand == 0
    assert first.posts(body("void", voids=SALE, at=NOON + 2)).code == "already_voided"


def test_of_two_waiting_voids_that_could_both_work_the_first_one_does(store: LedgerStore) -> None:
    enrol(store, "O", "operator", "HQ")
    operator = hello(store, "O").speaker
    till = Till(store)
    till.posts(body("void", voids=SALE, at=NOON + HOUR))
    anywhere = post(store, operator, item(body("void", voids=SALE, at=NOON + 2 * HOUR))).results[0]
    assert (anywhere.status, anywhere.flags) == ("posted", ("orphan",))
    assert Till(store, "T2", "L2").posts(body("void", voids=SALE)).code == "already_voided"
    till.posts(body("sale", ("a", 3)), SALE)
    assert level(store, as_of=instant(NOON + HOUR)).on_hand == 0
    assert on_hand(store) == 0


def test_an_operator_voids_anywhere_whatever_location_the_void_names(store: LedgerStore) -> None:
    enrol(store, "O", "operator", "HQ")
    operator = hello(store, "O").speaker
    till = Till(store)
    till.posts(body("sale", ("a", 3)), SALE)
    named = post(store, operator, item(body("void", voids=SALE, location="L2"))).results[0]
    assert (named.status, named.flags) == ("posted", ("unknown_location",))
    assert on_hand(store) == 0
    post(store, operator, item(body("void", voids=OTHER, location="HQ")))
    till.posts(body("sale", ("a", 5)), OTHER)
    assert on_hand(store) == 0


def test_a_voided_count_counts_until_it_is_voided(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(body("receipt", ("a", 10)))
    till.posts(body("count", ("a", 7), at=NOON + HOUR), SALE)
    till.posts(body("sale", ("a", 1), at=NOON + 2 * HOUR))
    assert on_hand(store) == 6
    position = till.posts(body("void", voids=SALE, at=NOON + 3 * HOUR)).position
    assert position == 4
    assert on_hand(store) == 9
    assert level(store).counted_at is None
    assert level(store, known_at=position - 1).on_hand == 6
    assert level(store, as_of=instant(NOON + 2 * HOUR)).on_hand == 9


def test_after_a_void_the_level_rests_on_the_count_before(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(body("count", ("a", 100)))
    till.posts(body("sale", ("a", 1), at=NOON + HOUR))
    till.posts(body("count", ("a", 7), at=NOON + 2 * HOUR), SALE)
    till.posts(body("void", voids=SALE, at=NOON + 3 * HOUR))
    assert on_hand(store) == 99
    assert level(store).counted_at == instant(NOON)


def test_a_count_voided_before_it_arrives_never_counts(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(body("receipt", ("a", 10)))
    till.posts(body("void", voids=SALE, at=NOON + 3 * HOUR))
    till.posts(body("count", ("a", 7), at=NOON + HOUR), SALE)
    assert on_hand(store) == 10
    assert level(store, known_at=3).on_hand == 10


def test_a_voided_transfer_leaves_nothing_on_the_way(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(body("transfer_out", ("gtin:40000001", 4), ("b", 1), other_location="L2"), SALE)
    till.posts(body("void", voids=SALE))
    assert {(found.on_hand, found.in_transit) for found in stock(store).items} == {(0, 0)}


def test_a_voided_reserve_reserves_nothing(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(body("reserve", ("a", 4)), SALE)
    assert level(store).reserved == 4
    till.posts(body("void", voids=SALE))
    assert level(store).reserved == 0
