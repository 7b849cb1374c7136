"""An answer in several pages is one snapshot: that of its first page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from inventory_server.config import ANSWER_ITEM_BYTES
from inventory_server.store import LedgerStore
from inventory_server.store.query import paging
from pos_client.protocol.fields import PostingType
from pos_client.protocol.messages import StockItem
from pos_client.protocol.units import instant
from tests.support.ledgers import (
    DAY,
    HOUR,
    NOON,
    Clock,
    Till,
    body,
    enrol,
    history,
    opened,
    pages_of_history,
    proof_of,
    stock,
    uid,
)

SKUS = tuple("abcdef")
MORNING = NOON + DAY
"""HQ's clock at first."""


@pytest.fixture
def store(ledger: str, clock: Clock) -> Iterator[LedgerStore]:
    with opened(ledger, clock=clock) as store:
        enrol(store, "T2", "till", "L2")
        Till(store).posts(body("receipt", *((sku, 10) for sku in SKUS)), uid("delivery"))
        yield store
        proof = proof_of(ledger)
    assert proof.holds, proof.findings


def figures(items: list[StockItem]) -> list[tuple[Any, ...]]:
    return [(each.location, each.sku, each.on_hand, each.reserved, each.in_transit) for each in items]


def pages(store: LedgerStore, between: Callable[[], object], **params: Any) -> list[tuple[Any, ...]]:
    """The answer in pages of two; `between` is called after the first."""
    page = stock(store, limit=2, **params)
    found, position = list(page.items), page.position
    between()
    while page.cursor is not None:
        page = stock(store, limit=2, cursor=page.cursor, **params)
        assert page.position == position
        found += page.items
    return figures(found)


SENT: list[tuple[str, bytes]] = [
    ("a sale", body("sale", ("e", 4), ("a", 1))),
    ("a void", body("void", voids=uid("delivery"))),
    ("a count", body("count", ("f", 2))),
    ("a reservation", body("reserve", ("d", 3))),
    ("a transfer", body("transfer_out", ("d", 3), other_location="L2")),
    ("what HQ did not know", body("receipt", ("ee", 1))),
    ("nothing at all", body("adjustment", ("a", 0))),
]


@pytest.mark.parametrize(("what", "raw"), SENT)
@pytest.mark.parametrize("params", [{}, {"below": 100}, {"negative": False}, {"as_of": instant(MORNING + HOUR)}])
def test_what_comes_between_two_pages_is_not_in_the_second(
    store: LedgerStore, what: str, raw: bytes, params: dict[str, Any]
) -> None:
    till = Till(store)
    expected = figures(stock(store, **params).items)
    assert pages(store, lambda: till.posts(raw), **params) == expected, what


def test_what_has_left_a_filter_meanwhile_is_still_in_the_answer(store: LedgerStore) -> None:
    till = Till(store)
    expected = figures(stock(store, below=11).items)
    assert len(expected) == len(SKUS)
    assert pages(store, lambda: till.posts(body("receipt", *((sku, 90) for sku in SKUS))), below=11) == expected


def test_a_reservation_that_expires_meanwhile_is_judged_at_the_first_page(store: LedgerStore, clock: Clock) -> None:
    till = Till(store)
    till.posts(body("reserve", ("e", 3), expires_at=instant(MORNING + HOUR)))
    expected = figures(stock(store).items)

    def an_hour_later() -> None:
        clock.now += 2 * HOUR
        till.posts(body("sale", ("e", 1)))

    assert pages(store, an_hour_later) == [(*row[:3], 3 if row[1] == "e" else 0, row[4]) for row in expected]


def test_pages_as_known_at_a_position_judge_reservations_when_that_was_recorded(
    store: LedgerStore, clock: Clock
) -> None:
    till = Till(store)
    till.posts(body("reserve", ("a", 1), ("e", 3), expires_at=instant(MORNING + HOUR)))
    clock.now += 2 * HOUR
    expected = figures(stock(store, known_at=2).items)
    assert pages(store, lambda: till.posts(body("sale", ("b", 1))), known_at=2) == expected
    assert {row[1]: row[3] for row in expected if row[3]} == {"a": 1, "e": 3}


# what a till posts between two pages, when it says that it sold, and up to when the second page is then complete
ARRIVES = [
    ("sale", MORNING - HOUR, MORNING - HOUR - 1),
    ("sale", MORNING + HOUR, MORNING),
    ("adjustment", MORNING - HOUR, MORNING),
]


@pytest.mark.parametrize(("kind", "at", "expected"), ARRIVES)
def test_a_later_page_is_complete_up_to_what_its_figures_lack(
    store: LedgerStore, clock: Clock, kind: PostingType, at: int, expected: int
) -> None:
    till = Till(store, "T3")
    clock.now = MORNING
    first = stock(store, limit=2)
    clock.now += 2 * HOUR
    till.posts(body(kind, ("a", 1), at=at))
    clock.now = MORNING
    second = stock(store, limit=2, cursor=first.cursor)
    assert second.completeness["L1"].complete_to == instant(expected)


def test_a_page_of_stock_ends_with_its_bytes(store: LedgerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stock(store, limit=10_000)
    monkeypatch.setattr(paging, "ANSWER_BYTES_MAX", 2 * ANSWER_ITEM_BYTES + 10)
    page = stock(store, limit=10_000)
    found = list(page.items)
    while page.cursor is not None:
        assert len(page.items) == 2
        page = stock(store, limit=10_000, cursor=page.cursor)
        found += page.items
    assert found == whole.items
    monkeypatch.setattr(paging, "ANSWER_BYTES_MAX", 1)
    assert len(stock(store, limit=10_000).items) == 1, "an item that is too long is a page by itself"


def test_a_page_of_history_ends_with_its_bytes(store: LedgerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    Till(store, lineage=uid("more")).post(*(body("sale", ("a", number)) for number in range(1, 6)))
    whole = history(store, limit=10_000)
    monkeypatch.setattr(paging, "ANSWER_BYTES_MAX", 2 * ANSWER_ITEM_BYTES + 10)
    assert len(history(store, limit=10_000).entries) == 2
    assert pages_of_history(store, "a", limit=10_000) == whole.entries
    assert len(whole.entries) == 6


def test_letters_of_more_bytes_weigh_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "ANSWER_BYTES_MAX", 10 * ANSWER_ITEM_BYTES)
    assert paging.fitting([("a" * 64, None)] * 20) == 7
    assert paging.fitting([("東" * 64, None)] * 20) == 5
