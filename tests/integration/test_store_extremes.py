"""Whatever extreme but well-formed is posted, the store says what the model says, and its proof holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_server.domain.requests import CloseBooks
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store.ledger import tables
from pos_client.protocol.units import instant
from tests.integration.test_store_model import commits, few, headquarters, many, modest
from tests.support.model.history import NOON, Delivery, posting_id
from tests.support.model.postings import DAY
from tests.support.sites import Site, on_postgresql, on_sqlite

QUANTITIES = (
    *(10**6, -(10**6), 10**6 + 1, 10**9, -(10**9), 10**9 + 1, 0, 1, -1),
    *("0.00001", "-0.00001", "999999.99999", "1000000.00001", "-999999999.99999", "1000000000.00000", "1e6", "1E-5"),
)
INSTANTS = (
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00.000001-14:00"),
    *("1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "2038-01-19T03:14:08Z"),
    *("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999-14:00", "9999-12-31T00:00:00+14:00"),
)
NAMING = ("voids", "returns", "transfer", "reservation")
Commits = list[list[list[Delivery]]]


@pytest.fixture(autouse=True, scope="module")
def short_segments() -> Iterator[None]:
    """Every history crosses some segments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "SEGMENT_POSITIONS_LOG2", 1)
        yield


@st.composite
def extremes(draw: st.DrawFn) -> Commits:
    """A history of which many bodies are extreme; a posting that is sent again stays the same."""
    history = draw(commits())
    bodies: dict[tuple[str, str], dict[str, Any]] = {}
    ids = sorted({delivery.id for commit in history for frame in commit for delivery in frame})

    def changed(delivery: Delivery) -> Delivery:
        key = (delivery.id, repr(delivery.body))
        if key not in bodies:
            bodies[key] = extreme(draw, delivery.body, ids)
        return replace(delivery, body=bodies[key])

    return [[[changed(delivery) for delivery in frame] for frame in commit] for commit in history]


def extreme(draw: st.DrawFn, body: dict[str, Any], ids: list[str]) -> dict[str, Any]:
    """A body with quantities, an instant and names at the edge of what is well-formed."""
    made = dict(body)
    if draw(st.booleans()) and isinstance(made.get("lines"), list):
        made["lines"] = [line | {"quantity": draw(st.sampled_from(QUANTITIES))} for line in made["lines"]]
    if draw(st.integers(0, 3)) == 0:
        made["occurred_at"] = draw(st.sampled_from(INSTANTS))
    for name in NAMING:
        if name in made and draw(st.integers(0, 3)) == 0:
            made[name] = draw(st.sampled_from([*ids, posting_id(999)]))
    return made


def agrees(site: Site, history: Commits) -> None:
    """The store and its model agree on every answer, level and history; the proof holds in the end."""
    with headquarters(site) as hq:
        for number, commit in enumerate(history):
            hq.commit(commit)
            if number == len(history) // 2:
                hq.store.submit(CloseBooks(actor=HEADQUARTERS)).wait()
        hq.compare_levels()
        as_of = NOON - DAY
        hq.compare_levels((as_of, None), as_of=instant(as_of))
        hq.compare_filters()
        hq.compare_history()


@on_sqlite
@modest
@given(history=extremes())
def test_extreme_postings_are_judged_as_by_the_model(site: Site, history: Commits) -> None:
    agrees(site, history)


@pytest.mark.long
@on_postgresql
@few
@given(history=extremes())
def test_extreme_postings_are_judged_as_by_the_model_on_postgresql(site: Site, history: Commits) -> None:
    agrees(site, history)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@on_sqlite
@many
@given(history=extremes())
def test_many_extreme_postings_are_judged_as_by_the_model(site: Site, history: Commits) -> None:
    agrees(site, history)
