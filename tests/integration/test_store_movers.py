"""A till that moved counts where it is; where it was, only while HQ may lack something that it sold there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from inventory_server.domain.completeness import OutboxState
from inventory_server.domain.door import perform
from inventory_server.domain.requests import Bye, MoveTerminal, Ping, RevokeTerminal
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore
from pos_client.protocol.messages import ByeParams
from pos_client.protocol.units import instant
from tests.support.ledgers import DAY, HOUR, NOON, Clock, Till, body, hello, item, post, stock, uid
from tests.support.sites import on_both

pytestmark = on_both

MORNING = NOON + DAY
PENDING = OutboxState(1, 0, MORNING - HOUR)


def moves(store: LedgerStore, *places: str) -> None:
    for place in places:
        perform(store, MoveTerminal("T1", place, actor=HEADQUARTERS))


def says_bye(store: LedgerStore, till: Till) -> None:
    perform(store, Ping(till.speaker, None, None))
    perform(store, Bye(till.speaker, ByeParams(last_seq=1, count=1, quantity=-1, pending=0)))


def stays(store: LedgerStore, _: Till) -> None: ...


def moves_away(store: LedgerStore, _: Till) -> None:
    moves(store, "L2")


def moves_and_speaks(store: LedgerStore, till: Till) -> None:
    moves(store, "L2")
    hello(store, "T1", lineage=till.lineage)


def moves_and_holds_something_back(store: LedgerStore, till: Till) -> None:
    moves(store, "L2")
    hello(store, "T1", lineage=till.lineage, outbox=PENDING)


def moves_with_a_hole(store: LedgerStore, till: Till) -> None:
    post(store, till.speaker, item(body("sale", ("a", 1)), uid(3), 3))
    moves_and_speaks(store, till)


def says_goodbye_and_moves(store: LedgerStore, till: Till) -> None:
    says_bye(store, till)
    moves(store, "L2")


def moves_and_is_revoked(store: LedgerStore, _: Till) -> None:
    moves(store, "L2")
    perform(store, RevokeTerminal("T1", actor=HEADQUARTERS))


def goes_and_comes_back(store: LedgerStore, _: Till) -> None:
    moves(store, "L2", "L1")


def goes_comes_back_and_goes(store: LedgerStore, till: Till) -> None:
    moves(store, "L2", "L1")
    hello(store, "T1", lineage=till.lineage)
    moves(store, "L2")


# What T1 does an hour after its last word; the tills that then count at L1, and at L2.
STORIES: list[tuple[Callable[[LedgerStore, Till], None], list[int]]] = [
    (stays, [2, 1]),
    (moves_away, [2, 2]),  # it may hold what it sold in that hour
    (moves_and_speaks, [1, 2]),
    (moves_and_holds_something_back, [2, 2]),
    (moves_with_a_hole, [2, 2]),
    (says_goodbye_and_moves, [1, 2]),  # the goodbye and the move are of one instant
    (moves_and_is_revoked, [1, 1]),
    (goes_and_comes_back, [2, 2]),  # it may have sold at L2
    (goes_comes_back_and_goes, [2, 2]),  # of its two stays at L1 the last one counts
]


@pytest.mark.parametrize("ask", ["everyday", "list"])
@pytest.mark.parametrize(("story", "tills"), STORIES)
def test_where_a_till_counts_that_moved(
    store: LedgerStore, clock: Clock, story: Callable[[LedgerStore, Till], None], tills: list[int], ask: str
) -> None:
    till = Till(store, "T1")
    till.posts(body("sale", ("a", 1)))
    for terminal, place in (("T2", "L1"), ("T3", "L2")):
        Till(store, terminal, place).posts(body("sale", ("a", 1)))
    clock.now += HOUR
    story(store, till)
    named = [{"location": place} | ({"sku": "a"} if ask == "everyday" else {}) for place in ("L1", "L2")]
    assert [next(iter(stock(store, **one).completeness.values())).tills for one in named] == tills


def test_the_former_location_is_complete_as_far_as_the_mover_has_told(store: LedgerStore, clock: Clock) -> None:
    till = Till(store, "T1")
    Till(store, "T2").posts(body("sale", ("a", 1)))
    clock.now += HOUR
    moves(store, "L2")
    hello(store, "T2")
    assert stock(store, sku="a", location="L1").completeness["L1"].complete_to == instant(MORNING)
    hello(store, "T1", lineage=till.lineage)
    assert stock(store, sku="a", location="L1").completeness["L1"].complete_to == instant(clock.now)
