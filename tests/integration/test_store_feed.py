"""The feed says what the model of the rules says of every position, whatever is posted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_server.domain.answers import FeedPage
from inventory_server.domain.requests import CloseBooks, ReadFeed
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore
from inventory_server.store.ledger import tables
from inventory_server.store.query import feed
from pos_client.protocol.feed import ChangedParams, StockChange
from pos_client.protocol.units import instant, unscaled
from tests.integration.test_store_model import NOTHING, Headquarters, commits, few, headquarters, many, modest
from tests.integration.test_store_model_lists import STORIES
from tests.support.model.history import Delivery
from tests.support.model.postings import ON_HAND
from tests.support.model.story import deliveries
from tests.support.sites import Site, on_postgresql, on_sqlite


@pytest.fixture(autouse=True, scope="module")
def short() -> Iterator[None]:
    """Segments and pages are so short that every history crosses some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "SEGMENT_POSITIONS_LOG2", 1)
        patch.setattr(feed, "FEED_POSITIONS", 5)
        patch.setattr(feed, "FEED_MOVEMENTS", 4)
        yield


def read(store: LedgerStore, since: int = 0, **asked: Any) -> list[ChangedParams]:
    """All pages of the feed."""
    found: list[ChangedParams] = []
    while True:
        page = store.ask(ReadFeed(since, **asked, actor=HEADQUARTERS))
        assert isinstance(page, FeedPage)
        found += page.changed
        if page.position == since:
            return found
        assert all(since < each.position <= page.position for each in page.changed)
        since = page.position


def compare(hq: Headquarters) -> None:
    """Each position has the figures just after it, and of what it does not list none has changed."""
    found = read(hq.store)
    postings = hq.model.postings
    assert [each.position for each in found] == [each.position for each in postings]
    for posting, told in zip(postings, found, strict=True):
        at = posting.recorded_at
        before = hq.model.levels(at, at, posting.position - 1)
        after = hq.model.levels(at, at, posting.position)
        items = {(each.location, each.sku): each for each in told.items}
        assert list(items) == sorted(items)
        assert len(items) == len(told.items)
        others = {*before, *after}.difference(items)
        assert [key for key in others if before.get(key, NOTHING) != after.get(key, NOTHING)] == [], posting
        for key, each in items.items():
            was, now = before.get(key, NOTHING), after.get(key, NOTHING)
            figures = (now.on_hand - was.on_hand, now.on_hand, now.reserved, now.in_transit)
            assert (each.delta, each.on_hand, each.reserved, each.in_transit) == tuple(map(unscaled, figures)), each
            assert (each.type, each.effective_at) == (posting.type, instant(posting.effective_at))
        if posting.type in ON_HAND and posting.document.voids is None:
            assert {(posting.location, sku) for sku in posting.document.quantities} <= items.keys()


def compare_filters(hq: Headquarters) -> None:
    """A filtered feed is the whole one without what does not match."""
    whole, since = read(hq.store), len(hq.model.postings) // 3
    for places, skus in (({"L1"}, None), (None, {"a"}), ({"L2"}, {"b", "c"})):

        def is_asked(item: StockChange, places: Any = places, skus: Any = skus) -> bool:
            return (places is None or item.location in places) and (skus is None or item.sku in skus)

        matching = [ChangedParams(each.position, list(filter(is_asked, each.items))) for each in whole]
        expected = [each for each in matching if each.items and each.position > since]
        assert read(hq.store, since, locations=places, skus=skus) == expected


RECEIVED_ELSEWHERE = "transfer_out b=9 other:L2 | merge merge:a into:b | transfer_in a=7 transfer:1 location:L1"


@pytest.mark.parametrize("story", [*STORIES, RECEIVED_ELSEWHERE])
def test_the_feed_agrees_with_the_model_of_a_story(site: Site, story: str) -> None:
    with headquarters(site) as hq:
        for delivery in deliveries(story):
            hq.commit([[delivery]])
        compare(hq)
        compare_filters(hq)


@on_sqlite
@modest
@given(history=commits(), data=st.data())
def test_the_feed_agrees_with_the_model(site: Site, history: Any, data: st.DataObject) -> None:
    agrees_with_the_model(site, history, data)


@pytest.mark.long
@on_postgresql
@few
@given(history=commits(), data=st.data())
def test_the_feed_of_postgresql_agrees_with_the_model(site: Site, history: Any, data: st.DataObject) -> None:
    agrees_with_the_model(site, history, data)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@on_sqlite
@many
@given(history=commits(), data=st.data())
def test_the_feed_agrees_with_the_model_in_many_histories(site: Site, history: Any, data: st.DataObject) -> None:
    agrees_with_the_model(site, history, data)


def agrees_with_the_model(site: Site, history: list[list[list[Delivery]]], data: st.DataObject) -> None:
    with headquarters(site) as hq:
        for commit in history:
            hq.commit(commit)
            if data.draw(st.booleans(), "close"):
                hq.store.submit(CloseBooks(actor=HEADQUARTERS)).wait()
        compare(hq)
        compare_filters(hq)
