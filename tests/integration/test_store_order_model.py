"""How fast products sell, and what to order, is what a slow model says, whatever is posted in whatever order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from inventory_server.domain.door import perform
from inventory_server.domain.limits import VELOCITY_DAYS
from inventory_server.domain.ordering import Velocity
from inventory_server.domain.requests import CloseBooks, ListOrder
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store.ledger import tables
from inventory_server.store.query.velocity import Velocities
from pos_client.protocol.units import instant, scaled
from tests.integration.test_store_model import (
    KEYS,
    REORDER_POINT,
    Headquarters,
    commits,
    few,
    headquarters,
    many,
    modest,
)
from tests.support.maintenance import administer
from tests.support.model.postings import DAY, ON_HAND
from tests.support.model.stock import Key, on_hand
from tests.support.model.story import deliveries
from tests.support.sites import Site, on_postgresql, on_sqlite


@pytest.fixture(autouse=True, scope="module")
def short_segments() -> Iterator[None]:
    """Segments are so short that every history crosses some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "SEGMENT_POSITIONS_LOG2", 1)
        yield


def expected_velocities(hq: Headquarters, now: int) -> dict[Key, Velocity]:
    """The rule, posting by posting and day by day: all days are those of UTC."""
    book, today = hq.model.book(), instant(now).date()
    names, first_day = book.names(), today - timedelta(days=VELOCITY_DAYS)
    moves: dict[Key, list[tuple[date, int, int]]] = defaultdict(list)
    for posting in book.standing(*ON_HAND):
        day, is_sale = instant(posting.effective_at).date(), posting.type in ("sale", "return")
        for sku, quantity in names.sums(posting.moves).items():
            moves[posting.location, sku].append((day, quantity, -quantity if is_sale else 0))
    counted: dict[Key, list[date]] = defaultdict(list)
    for posting in book.standing("count"):
        for sku in names.sums(posting.document.quantities):
            counted[posting.location, sku].append(instant(posting.effective_at).date())
    stock = on_hand(book)
    return {key: _expected(moves[key], counted[key], stock.get(key, 0), first_day, today) for key in KEYS}


def _expected(
    moves: list[tuple[date, int, int]], counted: list[date], stock: int, first_day: date, today: date
) -> Velocity:
    if sum(quantity for day, quantity, _ in moves if day < first_day) == 0 and not any(
        day < first_day for day in counted
    ):
        known = [day for day, *_ in moves if day >= first_day] + counted
        first_day = min(known, default=today)
    sold = days = 0
    while first_day < today:
        shelf = stock - sum(quantity for day, quantity, _ in moves if day >= first_day)
        at_end = shelf + sum(quantity for day, quantity, _ in moves if day == first_day)
        of_day = sum(quantity for day, _, quantity in moves if day == first_day)
        sold, days = sold + of_day, days + (shelf > 0 or at_end > 0 or of_day > 0)
        first_day += timedelta(days=1)
    return Velocity(sold, days)


def compare(hq: Headquarters, now: int) -> None:
    expected = expected_velocities(hq, now)
    for is_range in (False, True):
        found = administer(hq.store, partial(_velocities, now, is_range))
        ended = {sku for _, sku in KEYS if hq.model.book().names().at(sku) != sku}
        assert found == {key: Velocity(0, 0) if key[1] in ended else rate for key, rate in expected.items()}


def _velocities(now: int, is_range: bool, connection: Connection) -> dict[Key, Velocity]:
    return Velocities(connection, now).of(KEYS, is_range)


def compare_list(hq: Headquarters) -> None:
    """Without a lead time it is what the list of stock shows as below its reorder point."""
    found = perform(hq.store, ListOrder(actor=HEADQUARTERS))
    below = hq.pages(below="reorder_point", net_of_transit=True)
    lines = {(each.location, each.sku): (each.available, each.in_transit) for each in found.lines}
    assert lines == {(each.location, each.sku): (each.available, each.in_transit) for each in below}
    assert found.total == len(found.lines) == len(below)
    for each in found.lines:
        missing = scaled(REORDER_POINT) - scaled(each.available) - scaled(each.in_transit)
        assert 0 <= scaled(each.quantity) - missing < scaled(1)


STORIES = [
    "receipt a=10 @1 | sale a=3 @25 | sale a=2 @49 | void voids:3 @50",
    "receipt a=10 @-800 | sale a=10 @-790 | count a=4 @30 | sale a=1 @31",
    "sale a=1 @1 | merge merge:a into:b @30 | sale a=2 @40 | sale b=1 @41 | return a=1 @60",
    "receipt a=5 @1 | transfer_out a=5 other:L2 @2 | transfer_in a=5 transfer:2 location:L2 @30 | sale a=1 @31 by:t2",
    "receipt a=1 @1 | void voids:1 @2 | count a=1 @30",
    "void voids:2 | receipt a=1 @1 | count a=1 @30",
    "receipt b=1 @1 | transfer_out b=1 other:L2 @2 | count b=1 @30",
    "void voids:2 | sale a=2 @1 | sale a=1 @100",
]


@pytest.mark.parametrize("story", STORIES)
def test_velocities_agree_with_the_model_of_a_story(site: Site, story: str) -> None:
    with headquarters(site) as hq:
        for delivery in deliveries(story):
            hq.commit([[delivery]])
        for days in (0, 1, 27, 60):
            compare(hq, hq.clock.now - 41 * DAY + days * DAY)
        compare_list(hq)


@on_sqlite
@modest
@given(history=commits(), data=st.data())
def test_velocities_and_orders_agree_with_the_model(site: Site, history: Any, data: st.DataObject) -> None:
    agree(site, history, data)


@pytest.mark.long
@on_postgresql
@few
@given(history=commits(), data=st.data())
def test_those_of_postgresql_agree_with_the_model(site: Site, history: Any, data: st.DataObject) -> None:
    agree(site, history, data)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@on_sqlite
@many
@given(history=commits(), data=st.data())
def test_they_agree_with_the_model_in_many_histories(site: Site, history: Any, data: st.DataObject) -> None:
    agree(site, history, data)


def agree(site: Site, history: Any, data: st.DataObject) -> None:
    with headquarters(site) as hq:
        for commit in history:
            hq.commit(commit)
            if data.draw(st.booleans(), "close"):
                hq.store.submit(CloseBooks(actor=HEADQUARTERS)).wait()
        compare(hq, hq.clock.now + data.draw(st.integers(0, 40), "days later") * DAY)
        compare_list(hq)
