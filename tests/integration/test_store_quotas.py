"""What a till may have HQ keep beside its postings is limited a day; nothing of it is lost at the till."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inventory_server.config import Settings
from inventory_server.domain.requests import ListWaiting, Post
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore
from pos_client.protocol.errors import RequestError
from tests.support.ledgers import DAY, Clock, Till, body, enrol, find, hello, item, opened, post, proof_of, uid

SMALL = Settings(
    refused_postings_daily_max=4, refused_bytes_daily_max=200, unknown_locations_daily_max=2, new_skus_daily_max=3
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[LedgerStore]:
    with opened(tmp_path / "hq.db", clock, SMALL) as store:
        yield store
    proof = proof_of(tmp_path / "hq.db")
    assert proof.holds, proof.findings


def refused_by(quota: str) -> Any:
    return pytest.raises(RequestError, match=rf"Terminal T1 has used up {quota} \(\d+\): look into what it posts")


def junk(number: int) -> bytes:
    return b'{"type":"sale","junk":"%s%d"}' % (b"x" * 150, number)


def test_of_refused_bodies_beyond_the_quota_hq_keeps_the_digest(store: LedgerStore) -> None:
    till = Till(store)
    first, second, third = till.post(*(junk(number) for number in range(3))).results
    assert bytes(find(store, first.id).body) == junk(0)
    assert bytes(find(store, second.id).body) == junk(1)
    assert bytes(find(store, third.id).body) == b"null"
    assert find(store, third.id).digest == hashlib.sha256(junk(2)).hexdigest()
    assert post(store, till.speaker, item(junk(2), third.id, 3)).results == [third]
    assert len(store.ask(ListWaiting(actor=HEADQUARTERS))) == 3


def test_a_till_whose_postings_are_all_refused_is_busy_until_some_of_the_quota_is_free(
    store: LedgerStore, clock: Clock
) -> None:
    till = Till(store)
    till.post(*(junk(number) for number in range(4)))
    sale = till.item(body("sale", ("a", 1)))
    with refused_by("refused_postings_daily_max") as refused:
        post(store, till.speaker, sale)
    assert refused.value.code.name == "busy"
    clock.now += DAY // 4
    assert post(store, till.speaker, sale).results[0].status == "posted"


def test_other_tills_do_not_notice(store: LedgerStore) -> None:
    Till(store).post(*(junk(number) for number in range(4)))
    assert Till(store, "T2").posts(body("sale", ("a", 1))).status == "posted"


def test_conflicts_count_as_refused_postings(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(body("sale", ("a", 1)), uid("taken"))
    for number in range(4):
        post(store, till.speaker, item(body("sale", ("a", 2 + number)), uid("taken")))
    with refused_by("refused_postings_daily_max"):
        post(store, till.speaker, item(body("sale", ("a", 1)), uid("taken")))


def test_goods_sent_to_locations_that_hq_does_not_know_have_a_quota(store: LedgerStore) -> None:
    till = Till(store)
    till.post(*(body("transfer_out", ("a", 1), other_location=f"nowhere {number}") for number in range(2)))
    with refused_by("unknown_locations_daily_max"):
        till.posts(body("transfer_out", ("a", 1), other_location="nowhere"))


def test_products_that_no_catalogue_lists_have_a_quota(store: LedgerStore) -> None:
    till = Till(store)
    till.post(*(body("sale", (f"sku {number % 2}", 1), at=number) for number in range(20)))
    assert till.posts(body("sale", ("sku 2", 1))).status == "posted"
    with refused_by("new_skus_daily_max"):
        till.posts(body("sale", ("sku 0", 1), at=99))


def test_operators_have_no_quota(store: LedgerStore) -> None:
    enrol(store, "ops", "operator", "HQ")
    speaker = hello(store, "ops", "HQ").speaker
    for number in range(6):
        frame = [item(body("sale", (f"sku {number}", 1), at=number, location="nowhere")), item(junk(number))]
        results = store.submit(Post(speaker, frame, None)).wait().results
        assert [each.status for each in results] == ["posted", "rejected"]
