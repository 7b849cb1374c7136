"""Work is weighed by what it touches: voids by what they reverse, counts by what they look back on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from inventory_server.config import ROWS_PER_MOVEMENT, Settings
from inventory_server.domain.requests import Post
from inventory_server.store import LedgerStore
from pos_client.protocol.messages import PostResult
from tests.support.ledgers import NOON, SECOND, Till, body, hello, level, opened, post, proof_of, stock, together, uid

MOST = 50
"""Movements of a commit in these tests."""
LINES = [(f"sku {number}", 1) for number in range(20)]


@pytest.fixture
def store(ledger: str) -> Iterator[LedgerStore]:
    with opened(ledger, settings=Settings(commit_movements_max=MOST, commit_backlog_max=MOST)) as store:
        yield store
    proof = proof_of(ledger)
    assert proof.holds, proof.findings


@pytest.fixture
def commits(store: LedgerStore, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """How many postings each commit carried out, by frame."""
    seen: list[list[int]] = []
    judge = store._writer._judge
    carry_out = judge.carry_out

    def note(connection: Any, works: list[Any]) -> Any:
        if posts := [len(work.items) for work in works if hasattr(work, "items")]:
            seen.append(posts)
        return carry_out(connection, works)

    monkeypatch.setattr(judge, "carry_out", note)
    return seen


def test_a_void_weighs_what_it_reverses(store: LedgerStore, commits: list[list[int]]) -> None:
    till = Till(store)
    sales = [till.item(body("sale", *LINES, at=NOON + number)) for number in range(4)]
    for sale in sales:
        post(store, till.speaker, sale)
    commits.clear()
    answered = till.post(*(body("void", voids=sale.id) for sale in sales))
    assert commits == [[1], [1], [1], [1]]
    assert [each.status for each in answered.results] == ["posted"] * 4
    assert level(store, "sku 7").on_hand == 0


def test_a_void_of_a_sale_in_its_own_frame_weighs_as_much(store: LedgerStore, commits: list[list[int]]) -> None:
    till = Till(store)
    id_ = uid("sold and voided")
    answered = post(
        store,
        till.speaker,
        till.item(body("sale", *LINES, *LINES), id_),
        till.item(body("void", voids=id_)),
    )
    assert commits == [[1], [1]]
    assert [each.status for each in answered.results] == ["posted"] * 2


def test_a_late_count_weighs_what_it_looks_back_on(store: LedgerStore, commits: list[list[int]]) -> None:
    till = Till(store)
    for number in range(10):
        till.post(*(body("sale", ("a", 1), at=NOON + SECOND + number) for _ in range(2 * ROWS_PER_MOVEMENT)))
    commits.clear()
    answered = till.post(*(body("count", ("a", number), at=NOON + number) for number in range(5)))
    assert commits == [[2], [2], [1]]
    assert [each.status for each in answered.results] == ["posted"] * 5
    assert level(store).on_hand == 4 - 320


def test_a_light_void_shares_its_commit(store: LedgerStore, commits: list[list[int]]) -> None:
    hello(store, "T2")
    tills = [Till(store, name) for name in ("T1", "T2")]
    sale = tills[0].item(body("sale", ("a", 1)))
    post(store, tills[0].speaker, sale)
    commits.clear()
    frames = [
        till_frame(tills[0], body("void", voids=sale.id)),
        till_frame(tills[1], body("sale", ("b", 1))),
    ]
    together(store, *frames)
    assert commits == [[1, 1]]


def test_a_void_that_turns_out_heavier_stays_in_the_order_of_arrival(store: LedgerStore) -> None:
    tills = [Till(store, name) for name in ("T1", "T2")]
    sale = tills[0].item(body("sale", ("a", 1), ("b", 1)))
    post(store, tills[0].speaker, sale)
    frames = [till_frame(tills[0], body("void", voids=sale.id)), till_frame(tills[1], body("sale", ("b", 1)))]
    positions = [each.results[0].position for each in together(store, *frames) if isinstance(each, PostResult)]
    assert positions == [2, 3]


def test_other_sales_do_not_wait_behind_heavy_voids(store: LedgerStore, commits: list[list[int]]) -> None:
    evil, honest = Till(store, "T1"), Till(store, "T2")
    sales = [evil.item(body("sale", *LINES, at=NOON + number)) for number in range(4)]
    for sale in sales:
        post(store, evil.speaker, sale)
    commits.clear()
    voids = till_frame(evil, *(body("void", voids=sale.id) for sale in sales))
    outcomes = together(store, voids, till_frame(honest, body("sale", ("b", 1))))
    assert commits == [[1], [1], [1], [1], [1]], "the sale, then one void after the other"
    assert not any(isinstance(each, Exception) for each in outcomes)
    assert {item.sku: item.on_hand for item in stock(store).items}["b"] == -1


def till_frame(till: Till, *bodies: bytes) -> Post:
    return Post(till.speaker, [till.item(raw) for raw in bodies], None)
