"""The lists say what the model of the rules says, whatever is posted in whatever order and by whatever clocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_server.domain.requests import (
    CloseBooks,
    ListChanges,
    ListCounts,
    ListPostings,
    ListReservations,
    ListSales,
    ListTransfers,
)
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store.ledger import tables
from pos_client.protocol.units import instant, unscaled
from tests.integration.test_store_model import Headquarters, commits, few, headquarters, many, modest
from tests.support.lists import listed, pages
from tests.support.model.book import Book
from tests.support.model.documents import reservation_rows
from tests.support.model.history import Delivery
from tests.support.model.postings import Posting
from tests.support.model.stock import CountRow, on_hand
from tests.support.model.story import deliveries
from tests.support.sites import Site, on_postgresql, on_sqlite


@pytest.fixture(autouse=True, scope="module")
def short_segments() -> Iterator[None]:
    """Segments are so short that every history crosses some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "SEGMENT_POSITIONS_LOG2", 1)
        yield


# ---------------------------------------------------------------------------------- what the model says


def expected_postings(hq: Headquarters, known_at: int) -> list[tuple[Any, ...]]:
    book = hq.model.book(known_at)
    return [
        (each.position, each.type, _place(each, book), each.sender.terminal, book.stands(each))
        for each in reversed(book.known)
    ]


def _place(posting: Posting, book: Book) -> str:
    """Where a posting is listed: a void that names no location at that of what it voids, if that had arrived."""
    target = None if posting.document.voids is None else book.find(posting.document.voids)
    if target is None or target.position > posting.position or posting.document.location is not None:
        return posting.location
    return target.location


def expected_counts(hq: Headquarters, known_at: int) -> list[tuple[Any, ...]]:
    return sorted(map(_variance, hq.model.counts(known_at)))


def _variance(row: CountRow) -> tuple[Any, ...]:
    figures = (row.counted, row.variance_then, row.variance_now)
    return (row.posting.location, row.sku, row.posting.position, *map(unscaled, figures))


def expected_transfers(hq: Headquarters, known_at: int) -> list[tuple[Any, ...]]:
    rows = [each for each in hq.model.transfers(None, known_at) if each.left]
    return sorted(
        (each.out.id, each.sku, *map(unscaled, (each.sent, each.received, each.closed, each.left))) for each in rows
    )


def expected_reservations(hq: Headquarters, known_at: int, now: int) -> list[tuple[Any, ...]]:
    rows = reservation_rows(hq.model.book(known_at), now)
    return sorted((each.reserve.id, each.sku, unscaled(each.left)) for each in rows)


def expected_sales(hq: Headquarters, known_at: int) -> list[tuple[Any, ...]]:
    book, sums = hq.model.book(known_at), dict[tuple[Any, ...], list[int]]()
    for posting in book.standing("sale", "return"):
        day = instant(posting.effective_at).date()
        for sku, quantity in book.names().of(posting).items():
            figures = sums.setdefault((posting.location, sku, day), [0, 0])
            figures[posting.type == "return"] += quantity
    return sorted((*key, unscaled(sold - back), unscaled(back)) for key, (sold, back) in sums.items())


# ---------------------------------------------------------------------------------- what the store says


def compare_changes(found: list[Any], hq: Headquarters, since: int, until: int) -> None:
    """The figures of both moments are the model's, and of what is not listed none has changed."""
    before, after = (on_hand(hq.model.book(position)) for position in (since, until))
    keys = [(each.location, each.sku) for each in found]
    assert keys == sorted(set(keys))
    for key, each in zip(keys, found, strict=True):
        figures = unscaled(before.get(key, 0)), unscaled(after.get(key, 0))
        assert (each.before, each.after, each.change) == (*figures, figures[1] - figures[0]), each
    others = {*before, *after}.difference(keys)
    assert [key for key in others if before.get(key, 0) != after.get(key, 0)] == []


def compare_sales(found: list[Any], hq: Headquarters, known_at: int) -> None:
    told = [(each.location, each.sku, each.day, each.quantity, each.returned) for each in found]
    assert told == expected_sales(hq, known_at)
    assert all(each.unpriced == each.quantity and not each.values for each in found)


def compare_documents(hq: Headquarters, transfers: list[Any], reservations: list[Any], known_at: int, now: int) -> None:
    assert sorted(
        (str(each.id), each.sku, each.sent, each.received, each.closed, each.left) for each in transfers
    ) == expected_transfers(hq, known_at)
    assert sorted((str(each.id), each.sku, each.left) for each in reservations) == expected_reservations(
        hq, known_at, now
    )
    assert transfers == sorted(transfers, key=lambda each: (each.sent_at, each.position, each.sku))
    assert reservations == sorted(reservations, key=lambda each: (each.reserved_at, each.position, each.sku))


def compare(hq: Headquarters) -> None:
    """All lists, in pages of two, are the model's."""
    position = len(hq.model.postings)
    assert [
        (each.position, each.type, each.location, each.terminal, each.voided_position is None)
        for each in listed(hq.store, ListPostings, limit=2)
    ] == expected_postings(hq, position)
    compare_counts(listed(hq.store, ListCounts, limit=2), hq, position)
    transfers, reservations = listed(hq.store, ListTransfers, limit=2), listed(hq.store, ListReservations, limit=2)
    compare_documents(hq, transfers, reservations, position, hq.clock.now)
    compare_sales(listed(hq.store, ListSales, limit=2), hq, position)
    for since in {0, position // 2, max(0, position - 1)}:
        compare_changes(listed(hq.store, ListChanges, limit=2, from_=since), hq, since, position)
    compare_changes(listed(hq.store, ListChanges, from_=0, to=position // 2), hq, 0, position // 2)


def compare_counts(found: list[Any], hq: Headquarters, known_at: int) -> None:
    assert sorted(
        (each.location, each.sku, each.position, each.counted, each.variance_then, each.variance_now) for each in found
    ) == expected_counts(hq, known_at)
    for each in found:
        changed = sum(change.quantity for change in each.changes)
        assert changed == each.variance_now - each.variance_then, each
        assert each.changes_total == len(each.changes)
        assert all(each.position < change.position <= known_at for change in each.changes)


class FirstPages:
    """The first pages of all lists, and what the model said of the ledger then."""

    def __init__(self, hq: Headquarters) -> None:
        self._hq = hq
        self._position = len(hq.model.postings)
        self._now = hq.clock.now
        self._lists = {
            request: pages(hq.store, request, limit=1)
            for request in (ListPostings, ListCounts, ListTransfers, ListReservations, ListSales)
        }
        self._found = {request: [next(each)] for request, each in self._lists.items()}

    def compare(self) -> None:
        """The later pages are as of the first."""
        found = {request: [*self._found[request], *rest] for request, rest in self._lists.items()}
        assert {page.position for each in found.values() for page in each} <= {self._position}
        assert [
            (each.position, each.type, each.location, each.terminal, each.voided_position is None)
            for page in found[ListPostings]
            for each in page.postings
        ] == expected_postings(self._hq, self._position)
        compare_counts([each for page in found[ListCounts] for each in page.counts], self._hq, self._position)
        transfers = [each for page in found[ListTransfers] for each in page.transfers]
        reservations = [each for page in found[ListReservations] for each in page.reservations]
        compare_documents(self._hq, transfers, reservations, self._position, self._now)
        compare_sales([each for page in found[ListSales] for each in page.sales], self._hq, self._position)


STORIES = [
    "count a=8 @3 | sale a=1 @2 by:t2",
    "receipt a=10 @1 | count a=8 @3 | sale a=1 @2 | sale a=1 @4",
    "receipt a=10 @1 | count a=8 @3 | count a=7 @2 | sale a=1 @2.5",
    "receipt a=10 @1 | count a=9 @2 | count a=8 @3 | void voids:2 @4",
    "receipt a=10 @1 | sale a=2 @2 | count a=8 @3 | void voids:2 @4",
    "receipt a=5 @1 | receipt b=3 @1 | count b=7 @4 | merge merge:a into:b @2",
    "count a=5 b=3 @4 | merge merge:a into:b @2 | sale a=1 @3 | void voids:2 @9",
    "transfer_out a=5 b=2 other:L2 | transfer_out a=5 other:L2 | transfer_in a=3 transfer:1 location:L2 | void voids:3",
    "transfer_out a=5 other:L2 | merge merge:a into:b | transfer_in b=2 location:L2 other:L1 | void voids:2",
    "reserve a=5 | reserve a=2 expires:9000 | release a=1 | sale a=2 reservation:2 | void voids:3 | release a=9 @1.5",
    "sale a=3 b=1 @1 | return a=1 @30 | sale a=2 @40 | void voids:1 @2 | merge merge:a into:b @35 | sale a=1 @50",
    "receipt a=3 @1 | count a=2 @2 | merge merge:a into:b @3 | count b=2 @4 | sale a=1 @1.5 | sale a=1 @3.5",
]


@pytest.mark.parametrize("story", STORIES)
def test_the_lists_agree_with_the_model_of_a_story(site: Site, story: str) -> None:
    with headquarters(site) as hq:
        for delivery in deliveries(story):
            first = FirstPages(hq)
            hq.commit([[delivery]])
            compare(hq)
            first.compare()


@on_sqlite
@modest
@given(history=commits(), data=st.data())
def test_the_lists_agree_with_the_model(site: Site, history: Any, data: st.DataObject) -> None:
    agree_with_the_model(site, history, data)


@pytest.mark.long
@on_postgresql
@few
@given(history=commits(), data=st.data())
def test_the_lists_of_postgresql_agree_with_the_model(site: Site, history: Any, data: st.DataObject) -> None:
    agree_with_the_model(site, history, data)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@on_sqlite
@many
@given(history=commits(), data=st.data())
def test_the_lists_agree_with_the_model_in_many_histories(site: Site, history: Any, data: st.DataObject) -> None:
    agree_with_the_model(site, history, data)


def agree_with_the_model(site: Site, history: list[list[list[Delivery]]], data: st.DataObject) -> None:
    asked_after = data.draw(st.integers(0, len(history)), "pages begun after")
    with headquarters(site) as hq:
        first: FirstPages | None = None
        for number, commit in enumerate(history):
            first = FirstPages(hq) if number == asked_after else first
            hq.commit(commit)
            if data.draw(st.booleans(), "close"):
                hq.store.submit(CloseBooks(actor=HEADQUARTERS)).wait()
        compare(hq)
        if first is not None:
            first.compare()
