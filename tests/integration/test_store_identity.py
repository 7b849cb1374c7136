"""An id has one content and one answer, for ever: whatever else is sent under it is kept aside."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from inventory_server.domain.requests import Item, Post
from inventory_server.domain.roles import Speaker
from inventory_server.store import LedgerStore
from inventory_server.store.admin.review import reopen, waiting
from inventory_server.store.ledger import tables
from pos_client.protocol.errors import RequestError
from pos_client.protocol.messages import PostingResult
from tests.support.ledgers import (
    NOON,
    Clock,
    Till,
    body,
    enrol,
    find,
    hello,
    item,
    level,
    outcome_of,
    post,
    together,
    uid,
)
from tests.support.maintenance import administer
from tests.support.sites import on_both

pytestmark = on_both

TWICE = uid("an id that a faulty till program uses twice")
THREADS = 8
SALE = body("sale", ("a", 1))
ELSEWHERE = body("sale", ("a", 1), location="elsewhere")


def at_once(jobs: list[Callable[[], Any]]) -> list[Any]:
    """What each of `jobs` returns when threads of their own run them at the same time."""
    barrier = threading.Barrier(len(jobs))
    results: list[Any] = [None] * len(jobs)

    def run(at: int) -> None:
        barrier.wait()
        results[at] = outcome_of(jobs[at])

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def posting(store: LedgerStore, speaker: Speaker, sent: Item) -> Callable[[], PostingResult]:
    return lambda: post(store, speaker, sent).results[0]


def rows(store: LedgerStore, table: Any) -> list[Any]:
    found: list[Any] = administer(store, lambda connection: connection.execute(select(table)).all())
    return found


# ---------------------------------------------------------------------------------- the same content


def test_an_id_sent_by_eight_threads_at_once_is_posted_once(store: LedgerStore) -> None:
    speakers = [hello(store, f"T{number}").speaker for number in range(THREADS)]
    results = at_once([posting(store, speaker, item(SALE, TWICE)) for speaker in speakers])
    assert Counter(result.status for result in results) == {"posted": 1, "duplicate": THREADS - 1}
    assert {(result.position, result.recorded_at) for result in results} == {(1, results[0].recorded_at)}
    assert level(store).on_hand == -1


def test_an_id_twice_in_a_frame_is_posted_and_then_a_duplicate(store: LedgerStore) -> None:
    speaker = hello(store).speaker
    first, second = post(store, speaker, item(SALE, TWICE), item(SALE, TWICE)).results
    assert (first.status, second.status) == ("posted", "duplicate")
    assert (second.position, second.recorded_at, second.flags) == (first.position, first.recorded_at, first.flags)


def test_an_id_twice_in_a_commit_is_posted_and_then_a_duplicate(store: LedgerStore) -> None:
    speakers = [hello(store, name).speaker for name in ("T1", "T2")]
    outcomes = together(store, *(Post(speaker, [item(SALE, TWICE)], None) for speaker in speakers))
    assert [outcome.results[0].status for outcome in outcomes] == ["posted", "duplicate"]  # type: ignore[union-attr]


def test_a_duplicate_gets_the_first_answer_however_late_and_by_any_till_of_the_location(
    store: LedgerStore, clock: Clock
) -> None:
    first = Till(store, "T1").posts(SALE, TWICE)
    clock.now += 10**12
    again = Till(store, "T2").posts(SALE, TWICE)
    assert (again.position, again.recorded_at, again.flags) == (first.position, first.recorded_at, first.flags)
    assert again.status == "duplicate"


def test_the_same_content_for_another_location_is_a_conflict(store: LedgerStore) -> None:
    Till(store, "T1").posts(SALE, TWICE)
    again = Till(store, "T2", "L2").posts(SALE, TWICE)
    assert (again.status, again.code) == ("conflict", "id_taken")
    assert level(store).on_hand == -1


def test_an_identical_content_under_another_id_is_another_sale(store: LedgerStore) -> None:
    till = Till(store)
    assert [result.status for result in till.post(SALE, SALE).results] == ["posted", "posted"]
    assert level(store).on_hand == -2


# ---------------------------------------------------------------------------------- another content


def test_another_content_under_a_posted_id_is_a_conflict(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(body("sale", ("a", 1)), TWICE)
    assert (till.posts(body("sale", ("a", 2)), TWICE).status, level(store).on_hand) == ("conflict", -1)


def test_another_content_under_a_rejected_id_is_a_conflict_and_not_refused_for_the_first_ones_reason(
    store: LedgerStore,
) -> None:
    till = Till(store)
    refused = till.posts(ELSEWHERE, TWICE)
    assert (refused.status, refused.code) == ("rejected", "forbidden_location")
    other = till.posts(body("sale", ("a", 2)), TWICE)
    assert (other.status, other.code) == ("conflict", "id_taken")
    assert till.posts(ELSEWHERE, TWICE) == refused


def test_of_different_contents_sent_at_once_one_is_posted_and_all_others_are_kept_aside(store: LedgerStore) -> None:
    speakers = [hello(store, f"T{number}").speaker for number in range(THREADS)]
    raws = [body("sale", ("a", number + 1)) for number in range(THREADS)]
    sent = zip(speakers, raws, strict=True)
    results = at_once([posting(store, speaker, item(raw, TWICE)) for speaker, raw in sent])
    statuses = [result.status for result in results]
    assert Counter(statuses) == {"posted": 1, "conflict": THREADS - 1}
    winner = statuses.index("posted")
    assert level(store).on_hand == -(winner + 1)
    assert find(store, TWICE).digest == hashlib.sha256(raws[winner]).hexdigest()
    aside = {row.body: row for row in rows(store, tables.quarantine)}
    assert aside.keys() == {*raws} - {raws[winner]}
    assert all(row.digest == hashlib.sha256(row.body).digest() for row in aside.values())
    assert {row.terminal for row in aside.values()} == {f"T{n}" for n in range(THREADS) if n != winner}


def test_a_conflict_sent_again_is_kept_aside_once(store: LedgerStore) -> None:
    till = Till(store)
    till.posts(SALE, TWICE)
    for _ in range(3):
        assert till.posts(body("sale", ("a", 2)), TWICE).status == "conflict"
    assert len(rows(store, tables.quarantine)) == 1


def test_a_conflict_in_one_frame(store: LedgerStore) -> None:
    speaker = hello(store).speaker
    sent = [item(SALE, TWICE), item(body("sale", ("a", 2)), TWICE), item(body("sale", ("b", 5)))]
    assert [result.status for result in post(store, speaker, *sent).results] == ["posted", "conflict", "posted"]
    assert level(store, "b").on_hand == -5


# ---------------------------------------------------------------------------------- what is refused

REFUSED: list[tuple[bytes, str, str]] = [
    (b"{}", "invalid_body", "$"),
    (b'{"type":"sale","occurred_at":"2024-01-01T00:00:00Z","lines":[]}', "invalid_body", "$.lines: expected 1 to"),
    (ELSEWHERE, "forbidden_location", "$.location: expected 'L1' (the till's own), got 'elsewhere'"),
    (body("transfer_out", ("a", 1), other_location="L1"), "invalid_body", "expected a location other than 'L1'"),
    (body("transfer_in", ("a", 1), other_location="L1"), "invalid_body", "expected a location other than 'L1'"),
]


@pytest.mark.parametrize(("raw", "code", "reason"), REFUSED)
def test_what_can_never_be_posted_is_rejected_for_ever(store: LedgerStore, raw: bytes, code: str, reason: str) -> None:
    till = Till(store)
    refused = till.posts(raw, TWICE)
    assert (refused.status, refused.code, refused.position) == ("rejected", code, None)
    assert reason in (refused.reason or "")
    assert till.posts(raw, TWICE) == refused
    assert Till(store, "T2", "L2").posts(raw, TWICE) == refused
    stored = find(store, TWICE)
    assert (stored.status, stored.reason, bytes(stored.body)) == ("rejected", refused.reason, raw)


def test_a_rejected_posting_blocks_none_of_its_neighbours(store: LedgerStore) -> None:
    results = Till(store).post(SALE, ELSEWHERE, SALE).results
    assert [result.status for result in results] == ["posted", "rejected", "posted"]
    assert [result.position for result in results] == [1, None, 2]


def test_an_id_rejected_twice_in_a_frame_gets_the_same_answer(store: LedgerStore) -> None:
    first, second = post(store, hello(store).speaker, item(ELSEWHERE, TWICE), item(ELSEWHERE, TWICE)).results
    assert first == second


def test_a_rejected_posting_that_hq_reopened_is_judged_anew(store: LedgerStore) -> None:
    till = Till(store, location="L1")
    sent = till.item(body("transfer_out", ("a", 1), other_location="L1"), TWICE)
    assert post(store, till.speaker, sent).results[0].status == "rejected"
    administer(store, lambda connection: reopen(connection, TWICE, NOON))
    moved = hello(store, "T1", lineage=till.lineage).speaker
    elsewhere = Speaker(moved.terminal, moved.role, "L2", moved.epoch, moved.lineage)
    assert post(store, elsewhere, sent).results[0].status == "posted"
    assert post(store, elsewhere, sent).results[0].status == "duplicate"
    assert find(store, TWICE).status == "posted"
    assert administer(store, waiting) == []


def test_a_reopened_posting_may_be_rejected_again(store: LedgerStore) -> None:
    till = Till(store)
    sent = till.item(ELSEWHERE, TWICE)
    refused = post(store, till.speaker, sent).results[0]
    administer(store, lambda connection: reopen(connection, TWICE, NOON))
    assert post(store, till.speaker, sent).results[0] == refused
    assert [found.id for found in administer(store, waiting)] == [str(TWICE)]


def test_only_a_refused_posting_can_be_reopened(store: LedgerStore) -> None:
    with pytest.raises(Exception, match="There is no rejected posting"):
        administer(store, lambda connection: reopen(connection, TWICE, NOON))


def test_a_posting_that_hq_does_not_have_is_not_found(store: LedgerStore) -> None:
    with pytest.raises(RequestError) as caught:
        find(store, TWICE)
    assert caught.value.code.name == "not_found"


def test_a_posting_is_shown_as_it_was_sent(store: LedgerStore) -> None:
    till = Till(store)
    raw = SALE[:-1] + b', "reference" : "R 1",  "ext":{"any":[1.50, null]}}'
    till.posts(raw, TWICE)
    stored = find(store, TWICE)
    assert (bytes(stored.body), stored.lineage, stored.seq, stored.location) == (raw, till.lineage, 1, "L1")


# ---------------------------------------------------------------------------------- an operator


def test_an_operator_posts_for_any_location_and_is_never_fenced(store: LedgerStore) -> None:
    enrol(store, "O", "operator", "HQ")
    first = hello(store, "O").speaker
    hello(store, "O")
    assert post(store, first, item(body("sale", ("a", 1), location="L7"))).results[0].status == "posted"
    assert level(store, "a", "L7").on_hand == -1


# ---------------------------------------------------------------------------------- HQ's clock


def test_recorded_at_rises_with_the_position_even_when_the_clock_goes_back(store: LedgerStore, clock: Clock) -> None:
    till = Till(store)
    recorded = []
    for moves in (0, 0, -(10**12), 5, 10**12, -1, 0):
        clock.now += moves
        recorded += [result.recorded_at for result in till.post(SALE, SALE).results]
    moments = [moment for moment in recorded if moment is not None]
    assert len(moments) == len(recorded)
    assert all(earlier < later for earlier, later in itertools.pairwise(moments))


CLOCKS = [
    (0, ()),
    (2 * 10**6, ()),
    (2 * 10**6 + 1, ("clock_suspect",)),
    (-45 * 86_400 * 10**6, ()),
    (-45 * 86_400 * 10**6 - 1, ("clock_suspect",)),
]


@pytest.mark.parametrize(("offset", "flags"), CLOCKS)
def test_a_sale_far_from_hqs_clock_is_posted_and_flagged(
    store: LedgerStore, clock: Clock, offset: int, flags: Any
) -> None:
    result = Till(store).posts(body("sale", ("a", 1), at=clock.now + offset))
    assert result.status == "posted"
    assert tuple(flag for flag in result.flags if flag == "clock_suspect") == flags
