"""The outbox keeps what it was given, in order, until HQ has answered for good."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from pos_client.protocol.errors import OutboxError
from pos_client.protocol.fields import PostingStatus
from pos_client.protocol.messages import CHAIN_START, PostingResult
from pos_client.protocol.units import instant
from pos_client.protocol.uuid7 import Uuid7
from pos_client.till.outbox import Outbox
from pos_client.till.outbox_records import ISOLATED, NewPosting
from pos_client.till.policy import PRUNE_STEP
from tests.support.outboxes import posting, posting_id

HEADS = ["0" * 64, "1" * 64, "2" * 64]


@pytest.fixture
def clock() -> Callable[[], int]:
    ticks = iter(range(1_700_000_000_000_000, 1_800_000_000_000_000, 1_000))
    return lambda: next(ticks)


@pytest.fixture
def outbox(tmp_path: Path, clock: Callable[[], int]) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "till.db", clock=clock, ids=Uuid7(clock, Random(1)))
    yield opened
    opened.close()


def fill(outbox: Outbox, count: int) -> list[NewPosting]:
    postings = [posting(number) for number in range(1, count + 1)]
    outbox.add(*postings)
    return postings


def answer(number: int, status: PostingStatus = "posted", reason: str | None = None) -> PostingResult:
    return PostingResult(posting_id(number), status, reason=reason)


def pending(outbox: Outbox) -> list[tuple[int, UUID]]:
    return [(entry.seq, entry.id) for entry in outbox.next_batch(1_000, 1 << 30)]


def numbered(*numbers: int) -> list[tuple[int, UUID]]:
    return [(seq, posting_id(number)) for seq, number in enumerate(numbers, 1)]


# ---------------------------------------------------------------------------------- selling


def test_what_was_added_is_there_after_reopening_in_order_byte_for_byte(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "till.db")
    postings = [posting(number) for number in (1, 2, 3)]
    first.add(postings[0])
    first.add(*postings[1:])
    lineage = first.lineage
    first.close()
    again = Outbox(tmp_path / "till.db")
    assert again.lineage == lineage
    assert [(e.id, e.seq, e.body) for e in again.next_batch(9, 1 << 20)] == [
        (p.id, seq, p.body) for seq, p in enumerate(postings, 1)
    ]
    again.close()


def test_the_same_posting_added_twice_is_one_and_leaves_no_gap(outbox: Outbox) -> None:
    outbox.add(posting(1))
    outbox.add(posting(1))
    outbox.add(posting(1), posting(2))
    assert pending(outbox) == numbered(1, 2)
    assert outbox.totals().last_seq == 2


def test_the_same_id_with_another_body_is_refused_and_nothing_of_its_commit_stays(outbox: Outbox) -> None:
    outbox.add(posting(1))
    other = posting(1)._replace(body=b'{"other":1}')
    with pytest.raises(OutboxError, match="already holds a different posting"):
        outbox.add(other)
    with pytest.raises(OutboxError, match="already holds a different posting"):
        outbox.add(posting(2), other)
    assert pending(outbox) == numbered(1)


@pytest.mark.parametrize(
    ("max_postings", "max_bytes", "skip", "expected"),
    [
        (10, 1 << 20, 0, [1, 2, 3, 4]),
        (2, 1 << 20, 0, [1, 2]),
        (10, 1, 0, [1]),  # at least one, however long
        (10, 2 * 230, 0, [1, 2]),
        (10, 1 << 20, 3, [4]),
        (1, 1, 1, [2]),
        (10, 1 << 20, 4, []),
    ],
)
def test_a_batch_keeps_to_its_limits(
    outbox: Outbox, max_postings: int, max_bytes: int, skip: int, expected: list[int]
) -> None:
    for number in range(1, 5):
        outbox.add(posting(number)._replace(body=b'"%s"' % (b"x" * 48)))
    batch = outbox.next_batch(max_postings, max_bytes, skip=skip)
    assert [entry.id for entry in batch] == [posting_id(number) for number in expected]


# ---------------------------------------------------------------------------------- settling


@pytest.mark.parametrize(
    ("status", "state"),
    [("posted", "done"), ("duplicate", "done"), ("conflict", "parked"), ("rejected", "parked")],
)
def test_only_a_definite_answer_settles(outbox: Outbox, status: PostingStatus, state: str) -> None:
    fill(outbox, 2)
    outbox.settle([answer(1, status, "why")], HEADS[1])
    found = outbox.find(posting_id(1))
    assert found is not None
    assert (found.state, found.attempts, found.result) == (state, 1, answer(1, status, "why"))
    assert pending(outbox) == [(2, posting_id(2))]
    assert outbox.head == HEADS[1]
    assert outbox.find(posting_id(3)) is None


def test_settling_twice_counts_once(outbox: Outbox) -> None:
    fill(outbox, 1)
    for _ in range(2):
        outbox.settle([answer(1)], HEADS[1])
    assert outbox.totals().count == 1


def test_attempts_without_an_answer_are_counted_and_settle_nothing(outbox: Outbox) -> None:
    fill(outbox, 2)
    outbox.note_attempt([posting_id(1), posting_id(2)])
    outbox.note_attempt([posting_id(1)])
    found = [outbox.find(posting_id(number)) for number in (1, 2)]
    assert [(each.state, each.attempts) for each in found if each] == [("pending", 2), ("pending", 1)]


def test_control_totals_hold_what_was_acknowledged(outbox: Outbox) -> None:
    postings = [posting(number)._replace(quantity=-10 * number) for number in range(1, 5)]
    outbox.add(*postings)
    outbox.settle([answer(1), answer(2, "duplicate"), answer(3, "rejected")], HEADS[1])
    totals = outbox.totals()
    assert (totals.last_seq, totals.count, totals.quantity) == (4, 2, -30)


def test_counts_and_report_name_the_oldest_pending(outbox: Outbox) -> None:
    assert outbox.report().oldest_occurred_at is None
    fill(outbox, 4)
    outbox.settle([answer(1), answer(2, "rejected")], HEADS[1])
    counts, report = outbox.counts(), outbox.report()
    assert tuple(counts) == (2, 1, 1, posting(3).occurred_at)
    assert (report.pending, report.dead, report.oldest_occurred_at) == (2, 1, instant(posting(3).occurred_at))


def test_done_rows_are_pruned_in_steps_and_pending_and_parked_never(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "till.db", keep_done=10)
    count = 2 * PRUNE_STEP
    fill(outbox, count)
    outbox.settle([answer(1, "rejected")])
    outbox.settle([answer(number) for number in range(2, count)])
    outbox.settle([answer(2)])
    assert tuple(outbox.counts())[:3] == (1, 1, count - 2 - PRUNE_STEP)
    outbox.close()
    again = Outbox(tmp_path / "till.db", keep_done=10)
    again.add(posting(count + 1))
    again.settle([answer(count), answer(count + 1)])
    assert tuple(again.counts())[:3] == (0, 1, 10)
    again.add(posting(count + 2))
    assert pending(again) == [(count + 2, posting_id(count + 2))]  # pruning never gives a number out twice
    again.close()


# ---------------------------------------------------------------------------------- parked


def test_parked_postings_are_listed_exported_and_driven_again(outbox: Outbox) -> None:
    fill(outbox, 3)
    outbox.settle([answer(1, "rejected", "no such thing")], HEADS[1])
    result = outbox.park(posting_id(2), "isolated", "killed the connection")
    assert (result.status, result.code) == ("rejected", "isolated")
    assert [(p.id, p.seq, p.code, p.reason) for p in outbox.parked()] == [
        (posting_id(1), 1, "rejected", "no such thing"),
        (posting_id(2), 2, "isolated", "killed the connection"),
    ]
    text = io.StringIO()
    assert outbox.export_parked(text) == 2
    exported = [json.loads(line) for line in text.getvalue().splitlines()]
    assert exported[0]["body"] == json.loads(posting(1).body)
    outbox.redrive(posting_id(2))
    assert pending(outbox) == [(2, posting_id(2)), (3, posting_id(3))]
    assert [p.id for p in outbox.parked()] == [posting_id(1)]


def test_many_parked_postings_are_listed_in_order(outbox: Outbox) -> None:
    fill(outbox, 250)
    outbox.settle([answer(number, "conflict") for number in range(1, 251)], HEADS[1])
    assert [each.id for each in outbox.parked()] == [posting_id(number) for number in range(1, 251)]


@pytest.mark.parametrize("number", [1, 2, 9])
def test_only_what_is_parked_is_driven_again(outbox: Outbox, number: int) -> None:
    fill(outbox, 2)
    outbox.settle([answer(1)], HEADS[1])
    with pytest.raises(OutboxError, match="is not parked"):
        outbox.redrive(posting_id(number))


def test_what_was_parked_under_an_old_lineage_gets_a_number_of_the_current_one(outbox: Outbox) -> None:
    fill(outbox, 3)
    outbox.settle([answer(1, "rejected")], HEADS[1])
    outbox.new_lineage()
    outbox.redrive(posting_id(1))
    outbox.add(posting(4))
    assert pending(outbox) == numbered(2, 3, 1, 4)
    assert outbox.totals().last_seq == 4


# ---------------------------------------------------------------------------------- lineages


def test_a_new_lineage_numbers_what_goes_out_from_1_and_keeps_ids_and_bytes(outbox: Outbox) -> None:
    fill(outbox, 5)
    outbox.settle([answer(1), answer(3, "conflict")], HEADS[1])
    bodies = [entry.body for entry in outbox.next_batch(9, 1 << 20)]
    old = outbox.lineage
    assert outbox.new_lineage() == outbox.lineage != old
    outbox.add(posting(6))
    assert pending(outbox) == numbered(1, 2, 4, 5, 6)  # and HQ is asked whether it remembers the first
    assert [entry.body for entry in outbox.next_batch(9, 1 << 20)][1:4] == bodies
    assert outbox.head is None
    totals = outbox.totals()
    assert (totals.last_seq, totals.count, totals.quantity) == (5, 0, 0)


def entry(number: int, position: int, status: PostingStatus = "posted") -> PostingResult:
    """An answer as HQ gives it: with the posting's place in the ledger."""
    return PostingResult(posting_id(number), status, position, instant(posting(position).occurred_at))


def test_a_new_lineage_sends_the_newest_acknowledged_posting_again_before_all_others(outbox: Outbox) -> None:
    fill(outbox, 5)
    outbox.settle([entry(1, 7), entry(2, 9), entry(3, 8), answer(4, "rejected")], HEADS[1])
    outbox.new_lineage()
    assert pending(outbox) == numbered(2, 5)
    assert not outbox.settle([entry(2, 9, "duplicate")], HEADS[1])
    assert pending(outbox) == [(2, posting_id(5))]
    assert outbox.totals().count == 1


@pytest.mark.parametrize(
    "otherwise",
    [entry(2, 9), entry(2, 1, "duplicate"), answer(2, "conflict"), answer(2, "rejected")],
    ids=["new to HQ", "elsewhere", "taken by another", "refused"],
)
def test_an_hq_that_answers_otherwise_than_before_gets_all_that_is_kept_in_a_new_lineage(
    outbox: Outbox, otherwise: PostingResult
) -> None:
    fill(outbox, 4)
    outbox.settle([entry(1, 8), entry(2, 9)], HEADS[1])
    lineage = outbox.new_lineage()
    outbox.settle([entry(3, 1)], HEADS[1])
    assert outbox.settle([otherwise], HEADS[2])
    assert outbox.lineage != lineage
    assert outbox.head == HEADS[2]
    again = [1, 2, 3, 4] if otherwise.status in ("posted", "duplicate") else [1, 3, 4]
    assert sorted(key for _, key in pending(outbox)) == [posting_id(number) for number in again]
    assert not outbox.settle([entry(number, number) for number in again], HEADS[2])


def test_a_lineage_that_begins_before_hq_has_answered_the_last_one_sends_all_that_is_kept(outbox: Outbox) -> None:
    """HQ may have forgotten the posting and been given it again, into the same place."""
    fill(outbox, 3)
    outbox.settle([entry(1, 4), entry(2, 5)], HEADS[1])
    outbox.new_lineage()
    assert pending(outbox) == numbered(2, 3)
    outbox.new_lineage()
    assert pending(outbox) == numbered(1, 2, 3)
    assert not outbox.settle([entry(2, 1), entry(1, 2)], HEADS[2])


def test_a_chain_to_which_the_witness_was_added_is_that_of_an_hq_that_had_forgotten_it(outbox: Outbox) -> None:
    postings = fill(outbox, 3)
    outbox.settle([entry(1, 4)], HEADS[1])
    outbox.new_lineage(head=CHAIN_START)
    assert outbox.recognises(CHAIN_START, 0, 500)
    assert outbox.recognises(chained(CHAIN_START, *postings[1:]), 0, 500)
    assert not outbox.recognises(chained(CHAIN_START, *postings), 0, 500)


def test_what_is_parked_before_hq_has_answered_is_no_word_of_hq(outbox: Outbox) -> None:
    fill(outbox, 2)
    outbox.settle([entry(1, 4), entry(2, 5)], HEADS[1])
    lineage = outbox.new_lineage()
    outbox.park(posting_id(2), "too_large", "the limit was lowered")
    assert outbox.lineage == lineage


def chained(head: str, *postings: NewPosting) -> str:
    for each in postings:
        head = hashlib.sha256(bytes.fromhex(head) + each.id.bytes + hashlib.sha256(each.body).digest()).hexdigest()
    return head


@pytest.mark.parametrize(
    ("first", "last", "recognised"),
    [(0, 0, True), (0, 1, True), (0, 2, True), (0, 3, True), (1, 3, True), (0, 4, False), (4, 5, False)],
    ids=["remembered", "1 answered", "2", "all of a frame", "the first was known", "beyond the frame", "elsewhere"],
)
def test_a_chain_head_is_recognised_where_the_unanswered_frame_explains_it(
    outbox: Outbox, first: int, last: int, recognised: bool
) -> None:
    postings = fill(outbox, 5)
    outbox.adopt_head(CHAIN_START)
    assert outbox.recognises(chained(CHAIN_START, *postings[first:last]), 0, 3) is recognised


def test_before_the_first_word_of_a_lineage_any_chain_head_is_believed(outbox: Outbox) -> None:
    assert outbox.head is None
    assert outbox.recognises(HEADS[2], 0, 500)
    outbox.adopt_head(HEADS[2])
    assert outbox.head == HEADS[2]


@pytest.mark.parametrize(
    ("acked_seq", "recognised"),
    [(0, False), (1, True), (2, False), (3, False), (4, True), (5, True)],
    ids=lambda value: str(value),
)
def test_an_hq_that_lacks_what_it_acknowledged_of_a_lineage_is_not_recognised(
    outbox: Outbox, acked_seq: int, recognised: bool
) -> None:
    """Of 6 postings HQ has answered the first, the third and, with a refusal, the fourth; the fifth was parked here."""
    fill(outbox, 6)
    outbox.settle([answer(1), answer(3), PostingResult(posting_id(4), "rejected", code="not_available")], HEADS[1])
    outbox.park(posting_id(5), ISOLATED, "no answer")
    assert outbox.recognises(HEADS[1], acked_seq, 500) is recognised


def test_what_was_pruned_was_acknowledged(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "till.db", keep_done=1)
    fill(outbox, 3)
    outbox.settle([answer(number) for number in (1, 2, 3)], HEADS[1])
    assert tuple(outbox.counts())[:3] == (0, 0, 1)
    assert [outbox.recognises(HEADS[1], acked_seq, 500) for acked_seq in (0, 1, 2, 3)] == [False, False, False, True]
    outbox.close()
