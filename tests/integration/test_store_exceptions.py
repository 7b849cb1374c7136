"""What waits for a person, a line a case: what is listed of it, what settles itself, what a person settles.

See `tests/support/shops.py` for what the words of a step mean.
"""

from __future__ import annotations

from typing import Any

import pytest

from inventory_server.domain.door import perform
from inventory_server.domain.product import Product
from inventory_server.domain.requests import ListAudit, ListExceptions, SettleException
from inventory_server.store import LedgerStore, StoreError
from inventory_server.store.admin.catalog import import_products
from pos_client.protocol.errors import RequestError
from pos_client.protocol.gtin import padded
from pos_client.protocol.lists import ExceptionsParams, ExceptionsResult
from pos_client.protocol.units import instant
from tests.support.ledgers import HOUR, NOON, Clock, Till, body, enrol, uid
from tests.support.maintenance import ADMIN, administer
from tests.support.shops import Shops
from tests.support.sites import on_both

GTIN = "40000008"


def listed(store: LedgerStore, **wanted: Any) -> ExceptionsResult:
    """What waits for a person."""
    found = perform(store, ListExceptions(ExceptionsParams(**wanted), actor=ADMIN))
    assert isinstance(found, ExceptionsResult)
    return found


def causes(store: LedgerStore, shops: Shops, **wanted: Any) -> list[str]:
    """What waits, each as "flag subject location count", a product by its letter; unlisted ones are left out."""
    letters = {shops.sku(letter): letter for letter in "ab"}
    found = listed(store, **wanted).causes
    return sorted(
        f"{one.flag} {letters.get(one.subject, one.subject)} {one.location} {one.count}"
        for one in found
        if one.flag != "unlisted_product"
    )


# the steps, and what waits in the end
STORIES: list[tuple[str, list[str]]] = [
    ("receipt 5 | sale 3", []),
    ("sale 3", ["negative_stock a L1 1"]),
    ("sale 3 1b | sale 1 | T2 sale 1", ["negative_stock a L1 2", "negative_stock a L2 1", "negative_stock b L1 1"]),
    ("sale 3 | receipt 5", []),  # no longer negative
    ("sale 3 | receipt 5 | sale 4", ["negative_stock a L1 2"]),
    ("sale 3 1 -2 1b", ["negative_stock a L1 1", "negative_stock b L1 1"]),
    ("sale 3 =x | void of:x @1", []),
    ("void of:x @1 | sale 3 =x", []),
    ("sale 3 =x | sale 2 | void of:x @1", ["negative_stock a L1 1"]),
    ("receipt 9 @0 =x | sale 3 @1 | void of:x @2", ["negative_stock a L1 1"]),  # the void bears it
    # counts inform
    ("count 10 @1 | sale 3 @0 | T3 count 9 @2", []),
    # clocks
    ("receipt 5 @-1900", ["clock_suspect T1 L1 1"]),
    ("receipt 5 @-1900 | receipt 5 @-1901 | T3 receipt 1 @-1900", ["clock_suspect T1 L1 2", "clock_suspect T3 L1 1"]),
    # the other half
    ("void of:x", ["orphan T1 L1 1"]),
    ("void of:x | void of:y | receipt 1 =x", ["orphan T1 L1 1"]),
    ("void of:x | T2 receipt 1 =x", ["orphan T1 L1 1"]),  # elsewhere
    ("O void of:x | T2 receipt 1 =x", []),
    ("receipt 1 | return 1 of:x", ["orphan T1 L1 1"]),
    ("receipt 9 | return 1 of:x | sale 1 =x", []),
    ("receipt 9 | return 1 of:x | receipt 1 =x", ["orphan T1 L1 1"]),  # another kind
    ("receipt 9 | return 1 of:x | sale 1 =x | void of:x", ["orphan T1 L1 1", "over_returned T1 L1 1"]),
    ("T2 transfer_in 5 of:x @1", ["orphan T2 L2 1"]),
    ("T2 transfer_in 5 of:x @1 | T1 receipt 5 | transfer_out 5 to:L2 =x", []),
    ("T2 transfer_in 5 of:x @1 | T1 reserve 5 =x", ["orphan T2 L2 1"]),
    ("T2 transfer_close of:x @1 | T1 receipt 5 | transfer_out 5 to:L2 =x", []),
    ("release 2 of:x", ["orphan T1 L1 1"]),
    ("release 2 of:x | reserve 5 =x", []),
    ("receipt 5 | sale 2 of:x @1 | reserve 5 =x", []),
    # transfers
    ("T2 transfer_in 5 from:L1", ["over_received a L2 1"]),
    ("T2 transfer_in 5 from:L1 | T1 receipt 9 | transfer_out 5 to:L2 @1", []),
    ("T2 transfer_in 5 from:L1 | T1 receipt 9 | transfer_out 4 to:L2 @1", ["over_received a L2 1"]),
    ("receipt 9 3b | transfer_out 5 3b to:L2 =x | T2 transfer_in 6 3b of:x", ["over_received a L2 1"]),
    ("receipt 9 | transfer_out 5 to:L2 =x | T2 transfer_in 4 of:x =y | transfer_in 4 of:x | void of:y @1", []),
    ("receipt 9 | T2 transfer_in 6 of:x | T1 transfer_out 5 to:L2 =x", ["over_received a L1 1"]),
    ("receipt 9 | transfer_out 5 to:L2 =x | T3 transfer_in 5 of:x", ["other_destination T3 L1 1"]),
    (
        "receipt 9 | transfer_out 5 to:L2 =x | T2 transfer_in 5 of:x | T1 void of:x @1",
        ["over_received a L1 1"],
    ),
    ("receipt 9 | transfer_out 5 to:L9", ["unknown_location T1 L9 1"]),
    ("receipt 9 | transfer_out 5 to:L9 =x | void of:x", []),
    # reservations
    ("release 2", ["nothing_reserved T1 L1 1"]),
    ("release 2 @1 | reserve 5", []),  # what it did not find arrives later
    ("receipt 9 | reserve 5 | release 2 @1", []),
    # returns and documents
    ("receipt 9 | sale 2 =x | return 3 of:x", ["over_returned T1 L1 1"]),
    ("receipt 9 ref:D | receipt 9 ref:D", ["repeated_document T1 L1 1"]),
    ("receipt 9 ref:D =x | T3 receipt 9 ref:D =y | void of:y", []),
    ("receipt 9 ref:D =x | T3 receipt 9 ref:D =y | void of:x", []),
    ("receipt 9 ref:D =x | T3 receipt 9 ref:D | receipt 9 ref:D | void of:x", ["repeated_document T3 L1 1"]),
]


@pytest.mark.parametrize(("story", "expected"), STORIES)
@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "at once"])
def test_what_waits_for_a_person(store: LedgerStore, story: str, expected: list[str], at_once: bool) -> None:
    shops = Shops(store)
    shops.play(story, at_once)
    assert causes(store, shops) == expected


def test_an_entry_says_since_when_how_often_and_what_to_do(store: LedgerStore) -> None:
    till = Till(store)
    till.post(body("sale", ("a", 1), at=NOON + HOUR), body("sale", ("a", 2), at=NOON), body("receipt", ("b", 1)))
    found = listed(store)
    assert (found.position, found.total) == (3, 3)
    negative = next(one for one in found.causes if one.flag == "negative_stock")
    assert (negative.subject, negative.location, negative.count) == ("a", "L1", 2)
    assert (negative.first_at, negative.last_at, negative.position) == (instant(NOON), instant(NOON + HOUR), 2)
    assert (negative.action, negative.settled_at) == ("count it, or enter the delivery that is missing", None)


def test_the_latest_come_first_and_all_are_counted(store: LedgerStore) -> None:
    till = Till(store)
    till.post(*(body("sale", (sku, 1)) for sku in "abc"), body("void", voids=uid("lost")))
    found = listed(store, limit=3)
    assert (found.causes[0].flag, found.causes[0].subject) == ("orphan", "T1")
    assert (len(found.causes), found.total) == (3, 7)
    assert [one.subject for one in listed(store, flag="negative_stock").causes] == ["c", "b", "a"]
    assert listed(store, location="L2").causes == []


def test_a_product_that_a_catalogue_lists_is_settled_by_itself(store: LedgerStore) -> None:
    Till(store).post(body("sale", ("a", 1), (f"gtin:{GTIN}", 1), ("c", 1)))
    products = [Product("a"), Product("b", barcodes=(padded(GTIN),))]
    administer(store, lambda connection: import_products(connection, products))
    assert [one.subject for one in listed(store, flag="unlisted_product").causes] == ["c"]


def test_a_location_where_a_terminal_is_enrolled_is_settled_by_itself(store: LedgerStore) -> None:
    Till(store).post(body("receipt", ("a", 5)), body("transfer_out", ("a", 5), other_location="L9"))
    assert [one.location for one in listed(store, flag="unknown_location").causes] == ["L9"]
    enrol(store, "T9", "till", "L9")
    assert listed(store, flag="unknown_location").causes == []


# ---------------------------------------------------------------------------------- settling


def settle(store: LedgerStore, *fields: Any, **named: Any) -> int:
    settled: int = perform(store, SettleException(*fields, actor=ADMIN, **named))
    return settled


@on_both
def test_a_settled_cause_is_gone_until_something_new_reopens_it(store: LedgerStore, clock: Clock) -> None:
    till = Till(store)
    till.post(body("sale", ("a", 1)), body("sale", ("a", 1)))
    assert settle(store, "negative_stock", 2, "a", "L1") == 1
    assert listed(store, flag="negative_stock").causes == []
    till.post(body("sale", ("a", 1), at=NOON - HOUR))
    (reopened,) = listed(store, flag="negative_stock").causes
    assert (reopened.count, reopened.first_at) == (1, instant(NOON - HOUR))
    assert reopened.settled_at == instant(clock.now)
    audited = perform(store, ListAudit(actor=ADMIN))[-1]
    assert (audited.request, audited.outcome) == ("settle", "done")
    assert audited.arguments == '{"flag":"negative_stock","position":2,"subject":"a","location":"L1"}'


def test_what_came_after_the_position_still_waits(store: LedgerStore) -> None:
    Till(store).post(body("sale", ("a", 1)), body("sale", ("a", 2)), body("sale", ("a", 3)))
    assert settle(store, "negative_stock", 2, "a", "L1") == 1
    assert [(one.count, one.position) for one in listed(store, flag="negative_stock").causes] == [(1, 3)]


def test_all_causes_of_a_flag_are_settled_together(store: LedgerStore) -> None:
    for terminal, location in (("T1", "L1"), ("T2", "L2")):
        Till(store, terminal, location).post(body("sale", ("a", 1), ("b", 1)))
    assert settle(store, "negative_stock", 2, location="L1") == 2
    assert settle(store, "negative_stock", 2) == 2
    assert settle(store, "unlisted_product", 2, "a") == 2
    assert [(one.flag, one.subject) for one in listed(store).causes] == [("unlisted_product", "b")] * 2


REFUSED = [
    (("orphan", 1), "There is no orphan to settle up to position 1; see: inventory-server exceptions"),
    (("orphan", 0), "There is no orphan to settle up to position 0; see: inventory-server exceptions"),
    (("negative_stock", 1, "b", "L1"), "There is no negative_stock of b at L1 to settle up to position 1"),
    (("before_count", 1), "There is no before_count to settle"),
    (("negative_stock", 2, "a"), "The ledger ends at position 1; 2 is beyond it."),
]


@pytest.mark.parametrize(("fields", "reason"), REFUSED)
def test_what_does_not_wait_cannot_be_settled(fields: tuple[Any, ...], reason: str, store: LedgerStore) -> None:
    Till(store).posts(body("sale", ("a", 1)))
    with pytest.raises(StoreError, match=reason):
        settle(store, *fields)


def test_a_sale_without_a_flag_leaves_nothing_to_look_at(store: LedgerStore) -> None:
    administer(store, lambda connection: import_products(connection, [Product("a")]))
    till = Till(store)
    till.post(body("receipt", ("a", 9)), body("sale", ("a", 1)))
    assert listed(store).causes == []


def test_a_till_sees_what_waits_at_its_own_location(store: LedgerStore) -> None:
    one, two = Till(store), Till(store, "T2", "L2")
    one.post(body("sale", ("a", 1)))
    two.post(body("sale", ("b", 1)))
    found = perform(store, ListExceptions(actor=two.speaker))
    assert isinstance(found, ExceptionsResult)
    assert {each.location for each in found.causes} == {"L2"}
    with pytest.raises(RequestError, match="its own location, L2, not L1"):
        perform(store, ListExceptions(ExceptionsParams(location="L1"), actor=two.speaker))
