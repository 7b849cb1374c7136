"""What is on the road and what is reserved is listed, with who sent or reserved it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from inventory_server.domain.requests import ListReservations, ListTransfers
from inventory_server.store import LedgerStore
from pos_client.protocol.errors import RequestError
from pos_client.protocol.units import instant
from tests.support.ledgers import DAY, HOUR, NOON, Clock, Till, body, uid
from tests.support.lists import listed, page, pages
from tests.support.sites import on_both
from tests.support.statements import statements


@pytest.fixture
def tills(store: LedgerStore) -> tuple[Till, Till]:
    """Tills of L1 and L2: two transfers between them, the later one posted first, and two reservations at L1."""
    one, two = Till(store), Till(store, "T2", "L2")
    one.post(body("transfer_out", ("a", 5), ("b", 1), at=NOON + HOUR, other_location="L2", reference="T-2"))
    two.post(body("transfer_out", ("a", 3), at=NOON, other_location="L1"))
    one.post(
        body("reserve", ("a", 4), at=NOON, reference="WEB-1", expires_at=instant(NOON + 2 * DAY)),
        body("reserve", ("c", 1), at=NOON + HOUR),
    )
    return one, two


@on_both
def test_what_is_on_the_road(store: LedgerStore, tills: tuple[Till, Till]) -> None:
    sent = uid(("T1", tills[0].lineage, 1))
    tills[1].post(body("transfer_in", ("a", 2), transfer=sent, at=NOON + 2 * HOUR))
    tills[1].post(body("transfer_close", ("a", 1), transfer=sent, at=NOON + 3 * HOUR, reason="lost"))
    first, second, third = listed(store, ListTransfers, limit=1)
    assert (first.sku, first.from_, first.to, first.left, first.reference) == ("a", "L2", "L1", 3, None)
    assert (second.id, second.position, second.terminal, second.reference) == (sent, 1, "T1", "T-2")
    assert (second.sent, second.received, second.closed, second.left) == (5, 2, 1, 2)
    assert (second.sent_at, third.sku, third.left) == (instant(NOON + HOUR), "b", 1)


@on_both
def test_what_is_reserved(store: LedgerStore, tills: tuple[Till, Till], clock: Clock) -> None:
    tills[0].post(body("sale", ("a", 1), at=NOON + HOUR, reservation=uid(("T1", tills[0].lineage, 2))))
    first, second = listed(store, ListReservations, limit=1)
    assert (first.sku, first.location, first.terminal, first.reference) == ("a", "L1", "T1", "WEB-1")
    assert (first.reserved, first.left, first.expires_at) == (4, 3, instant(NOON + 2 * DAY))
    assert (second.sku, second.expires_at, second.reserved_at) == ("c", None, instant(NOON + HOUR))
    clock.now = NOON + 2 * DAY
    assert [each.sku for each in listed(store, ListReservations)] == ["c"]


SCOPES: list[tuple[Any, dict[str, Any], list[str]]] = [
    (ListTransfers, {"location": "L1"}, ["a", "a", "b"]),
    (ListTransfers, {"location": "L9"}, []),
    (ListTransfers, {"skus": ["b", "z"]}, ["b"]),
    (ListTransfers, {"since": NOON + HOUR}, ["a", "b"]),
    (ListTransfers, {"until": NOON + HOUR}, ["a"]),
    (ListTransfers, {"since": date(2023, 11, 15)}, []),
    (ListReservations, {"location": "L2"}, []),
    (ListReservations, {"sku": "c"}, ["c"]),
    (ListReservations, {"until": date(2023, 11, 14)}, ["a", "c"]),
]


@pytest.mark.parametrize(("request_type", "asked", "expected"), SCOPES)
def test_products_locations_and_times(
    store: LedgerStore, tills: object, request_type: Any, asked: dict[str, Any], expected: list[str]
) -> None:
    assert [each.sku for each in listed(store, request_type, **asked)] == expected


def test_a_till_sees_what_comes_and_goes_at_its_own_location(store: LedgerStore, tills: tuple[Till, Till]) -> None:
    third = Till(store, "T3", "L3")
    assert len(listed(store, ListTransfers, actor=tills[1].speaker)) == 3
    assert listed(store, ListTransfers, actor=third.speaker) == []
    assert listed(store, ListReservations, actor=tills[1].speaker) == []
    with pytest.raises(RequestError, match="A till sees what concerns its own location, L3, not L1;"):
        listed(store, ListReservations, actor=third.speaker, location="L1")


def test_all_pages_are_as_of_the_first(store: LedgerStore, tills: tuple[Till, Till], clock: Clock) -> None:
    asked = {request: pages(store, request, limit=1) for request in (ListTransfers, ListReservations)}
    found = {request: [next(each)] for request, each in asked.items()}
    tills[1].post(body("transfer_in", ("a", 5), ("b", 1), transfer=uid(("T1", tills[0].lineage, 1))))
    tills[0].post(body("void", voids=uid(("T1", tills[0].lineage, 3))))
    clock.now = NOON + 3 * DAY
    for request, rest in asked.items():
        found[request] += rest
    assert [[each.left for each in page.transfers] for page in found[ListTransfers]] == [[3], [5], [1]]
    assert [[each.left for each in page.reservations] for page in found[ListReservations]] == [[4], [1]]


@pytest.mark.parametrize("request_type", [ListTransfers, ListReservations])
def test_the_number_of_statements_does_not_grow_with_that_of_documents(
    store: LedgerStore, tills: tuple[Till, Till], request_type: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        tills[0].post(body("transfer_out", ("a", 1), at=NOON + number, other_location="L2", reference=f"{number}"))
        tills[0].post(body("reserve", ("a", 1), at=NOON + number, reference=f"{number}"))
    for limit in (2, 1_000):
        with statements(monkeypatch) as ran:
            page(store, request_type, limit=limit)
        assert len(ran) < 10, ran
