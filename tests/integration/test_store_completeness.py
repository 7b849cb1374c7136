"""Completeness of an answer: up to when the tills of a location have told everything, as far as HQ was told."""

from __future__ import annotations

from typing import Any

import pytest

from inventory_server.config import Settings
from inventory_server.domain.completeness import OutboxState
from inventory_server.domain.door import perform
from inventory_server.domain.requests import Bye, ListChanges, ListSales, Ping, Reconcile
from inventory_server.store import LedgerStore
from pos_client.protocol.messages import ByeParams, ClosedTill, Completeness, Hole, SilentTill
from pos_client.protocol.units import instant
from tests.support.ledgers import (
    DAY,
    HOUR,
    NOON,
    SECOND,
    Clock,
    Till,
    body,
    enrol,
    hello,
    item,
    post,
    stock,
    uid,
)
from tests.support.lists import page, pages
from tests.support.maintenance import ADMIN

MORNING = NOON + DAY


def complete(store: LedgerStore, location: str = "L1") -> Completeness:
    return stock(store, location=location).completeness[location]


def test_a_location_is_complete_up_to_the_last_word_of_its_tills(store: LedgerStore, clock: Clock) -> None:
    speaker = hello(store, "T1", now=MORNING - SECOND).speaker
    hello(store, "T2", now=MORNING + HOUR)  # a till's clock that is ahead tells nothing of what is still to come
    assert complete(store) == Completeness(instant(MORNING - SECOND), 2, [], [], 0)
    clock.now += 91 * SECOND
    silent = [SilentTill("T1", instant(MORNING)), SilentTill("T2", instant(MORNING))]
    assert complete(store) == Completeness(instant(MORNING - SECOND), 2, silent, [], 0)
    perform(store, Ping(speaker, None, None))
    assert complete(store) == Completeness(instant(MORNING), 2, silent[1:], [], 0)


def test_what_a_till_holds_back_is_missing(store: LedgerStore) -> None:
    till = Till(store)
    perform(store, Ping(till.speaker, OutboxState(2, 1, NOON), None))
    assert complete(store) == Completeness(instant(NOON - 1), 1, [], [], 2)
    till.post(body("sale", ("a", 1)))
    assert complete(store).pending == 1
    till.post(body("sale", ("a", 1)))
    assert complete(store) == Completeness(instant(MORNING), 1, [], [], 0)


def test_a_hole_holds_back_all_after_it(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(body("sale", ("a", 1), at=NOON + SECOND))
    post(store, till.speaker, item(body("sale", ("a", 1), at=NOON + HOUR), uid(3), 3))
    assert complete(store) == Completeness(instant(NOON + SECOND), 1, [], [Hole("T1", 2, 2)], 0, holes_total=1)
    post(store, till.speaker, item(body("sale", ("a", 1), at=NOON + 2 * SECOND), uid(2), 2))
    assert complete(store) == Completeness(instant(MORNING), 1, [], [], 0)


def test_a_balanced_goodbye_closes_the_day_until_the_next_hello(store: LedgerStore, clock: Clock) -> None:
    till = Till(store)
    till.posts(body("sale", ("a", 1)))
    clock.now += HOUR
    perform(store, Ping(till.speaker, None, clock.now))
    closed_at = instant(clock.now)
    clock.now += SECOND  # a sale made while the goodbye is on its way may be on its way, too
    perform(store, Bye(till.speaker, ByeParams(last_seq=1, count=1, quantity=-1, pending=0)))
    clock.now += DAY
    assert complete(store) == Completeness(closed_at, 1, [], [], 0, [ClosedTill("T1", closed_at)])
    hello(store, lineage=till.lineage, now=clock.now - HOUR)
    assert complete(store) == Completeness(instant(clock.now - HOUR), 1, [], [], 0)


def test_a_till_that_tells_no_time_is_closed_as_of_its_last_posting(store: LedgerStore, clock: Clock) -> None:
    till = Till(store)
    clock.now += HOUR
    till.posts(body("sale", ("a", 1), at=clock.now - SECOND))
    clock.now += HOUR
    perform(store, Bye(till.speaker, ByeParams(last_seq=1, count=1, quantity=-1, pending=0)))
    assert complete(store).closed == [ClosedTill("T1", instant(clock.now - HOUR - SECOND))]


@pytest.mark.parametrize("totals", [ByeParams(), ByeParams(last_seq=2, pending=0), ByeParams(last_seq=1, pending=3)])
def test_no_other_goodbye_does(store: LedgerStore, clock: Clock, totals: ByeParams) -> None:
    till = Till(store)
    till.posts(body("sale", ("a", 1)))
    perform(store, Bye(till.speaker, totals))
    clock.now += DAY
    found = complete(store)
    assert found.complete_to is None or found.complete_to < instant(clock.now)
    assert [silent.terminal for silent in found.silent] == ["T1"]


def test_a_till_that_did_not_end_its_day_is_silent_after_a_while(store: LedgerStore, clock: Clock) -> None:
    enrol(store, "T2", "till", "L1")
    till = Till(store)
    heard_at = clock.now
    clock.now += Settings().silent_after_seconds * SECOND
    assert [(each.terminal, each.silent_since_at, each.is_open) for each in perform(store, Reconcile(actor=ADMIN))] == [
        ("T1", None, False),
        ("T2", None, False),
    ]
    clock.now += 1
    assert [(each.terminal, each.silent_since_at, each.is_open) for each in perform(store, Reconcile(actor=ADMIN))] == [
        ("T1", heard_at, True),
        ("T2", None, False),
    ]
    perform(store, Bye(till.speaker, ByeParams(last_seq=0, count=0, quantity=0, pending=0)))
    assert not any(each.is_open for each in perform(store, Reconcile(actor=ADMIN)))


def test_neither_a_till_that_never_spoke_nor_a_reader_counts(store: LedgerStore) -> None:
    hello(store, "T1")
    enrol(store, "R1", "reader", "L1")
    assert complete(store).complete_to == instant(MORNING)
    enrol(store, "T2", "till", "L1")
    assert complete(store) == Completeness(instant(MORNING), 1, [], [], 0)


@pytest.mark.parametrize(("request_", "asked"), [(ListSales, {}), (ListChanges, {"from_": 0})])
def test_lists_of_what_was_sold_and_changed_say_how_complete_they_are(
    store: LedgerStore, request_: type, asked: dict[str, Any]
) -> None:
    Till(store).post(body("sale", ("a", 1), ("b", 1)))
    hello(store, "T2", "L2", outbox=OutboxState(3))  # it has told of sales, and delivered none
    enrol(store, "T3", "reader", "desk")
    first, second = pages(store, request_, limit=1, **asked)
    assert (sorted(first.completeness), second.completeness) == (["L1", "L2"], {})
    assert first.completeness == {location: complete(store, location) for location in ("L1", "L2")}
    assert first.completeness["L2"].pending == 3
    assert page(store, request_, locations=["L2", "L9"], **asked).completeness == {"L2": first.completeness["L2"]}
    own = page(store, request_, actor=Till(store, "T4", "L4").speaker, **asked)
    assert list(own.completeness) == ["L4"]
