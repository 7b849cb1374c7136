"""A till against a scripted HQ that misbehaves: it sells whatever happens, and each sale counts once."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

import pos_client
from pos_client import (
    ConnectionLost,
    ErrorCode,
    OutboxInUse,
    PosClient,
    PostingResult,
    RequestError,
)
from pos_client.till import sender_thread
from tests.support.scripted_hq import ConnectionClosed, Fault, ScriptedHq
from tests.support.tills import FAST, assert_each_once, sell
from tests.support.waiting import HANG_SECONDS, wait_until

# ---------------------------------------------------------------------------------- bad days


def test_while_hq_is_away_sales_go_on_and_are_delivered_when_it_is_back(
    hq: ScriptedHq, open_till: Callable[..., PosClient]
) -> None:
    hq.stop()
    till = open_till()
    postings = sell(till, 30)
    with pytest.raises(TimeoutError, match="stays pending"):
        postings[0].wait(0.01)
    with pytest.raises(ConnectionLost):
        till.stock(timeout=0.2)
    with pytest.raises(ConnectionLost):
        till.bye(timeout=0.2)
    wait_until(lambda: till.status().last_error is not None)
    status = till.status()
    assert (till.pending, status.pending, status.connected) == (30, 30, False)
    assert status.oldest_pending_at is not None
    hq.start()
    assert_each_once(hq, postings)


FAULTS: dict[str, list[Fault]] = {
    "cut before": ["cut"],
    "answer lost": ["lose_answer"],
    "answer lost twice, then cut": ["lose_answer", "lose_answer", "cut"],
    "nonsense": ["garbage"],
    "busy": [RequestError(ErrorCode.busy, "later", retry_after_ms=10)],
    "draining": [RequestError(ErrorCode.draining, "later", retry_after_ms=10)],
    "an accident": [RequestError(ErrorCode.internal, "oops", incident="1")],
    "fenced": [RequestError(ErrorCode.fenced, "another", epoch=2)],
    "fork": [RequestError(ErrorCode.fork, "parted", parent="0" * 64, seq=0)],
    "forbidden for a while": [RequestError(ErrorCode.forbidden, "revoked")] * 3,
    "too large": [RequestError(ErrorCode.too_large, "too long", limit=1)],
}


@pytest.mark.parametrize("case", FAULTS)
def test_whatever_happens_to_a_frame_each_sale_counts_once(
    hq: ScriptedHq, open_till: Callable[..., PosClient], case: str
) -> None:
    hq.faults.extend(FAULTS[case])
    till = open_till(address=hq.address)
    hq.stop()  # so that the first frame holds several
    postings = sell(till, 10)
    hq.start()
    assert_each_once(hq, postings)
    assert till.status().parked == 0


def test_a_lost_answer_comes_as_a_duplicate_the_next_time(hq: ScriptedHq, open_till: Callable[..., PosClient]) -> None:
    hq.faults.append("lose_answer")
    till = open_till()
    posting = till.sell([("milk", 1)])
    assert (posting.wait(HANG_SECONDS).status, posting.state) == ("duplicate", "done")


def test_another_device_with_the_same_name_fences_it_and_nothing_is_lost(
    hq: ScriptedHq, open_till: Callable[..., PosClient], tmp_path: Path
) -> None:
    first, second = open_till(), open_till(outbox=tmp_path / "other.db")
    postings = [posting for _ in range(5) for till in (first, second) for posting in sell(till)]
    assert_each_once(hq, postings)


def closes_the_connection(_: object) -> NoReturn:
    raise ConnectionClosed


def test_a_query_whose_connection_is_lost_says_so_and_the_till_goes_on(
    hq: ScriptedHq, open_till: Callable[..., PosClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hq, "stock", closes_the_connection)
    till = open_till()
    with pytest.raises(ConnectionLost, match="was lost"):
        till.stock(timeout=HANG_SECONDS)
    assert_each_once(hq, sell(till))


def test_an_error_in_a_query_reaches_its_caller_and_the_till_goes_on(
    hq: ScriptedHq, open_till: Callable[..., PosClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_thread, "ERROR_PAUSE_SECONDS", 0.01)
    till = open_till()
    with pytest.raises(ZeroDivisionError):
        till._sender_thread.ask(lambda _connection, _seconds: 1 // 0, HANG_SECONDS)
    assert_each_once(hq, sell(till))


def test_a_wrong_token_is_shown_and_heals_without_restart(hq: ScriptedHq, open_till: Callable[..., PosClient]) -> None:
    hq.token = "right"
    till = open_till(token="wrong")
    posting = sell(till)[0]
    wait_until(lambda: "This token is not known" in str(till.status().last_error))
    assert (till.pending, till.status().parked) == (1, 0)
    hq.token = "wrong"
    assert_each_once(hq, [posting])


def test_a_refused_sale_is_parked_with_its_reason_and_driven_again(
    hq: ScriptedHq, open_till: Callable[..., PosClient]
) -> None:
    till = open_till()
    basket = till.open_basket()
    basket.add("milk")
    hq.rejects[basket.id] = "no such location"
    posting = basket.sell()
    assert (posting.wait(HANG_SECONDS).reason, posting.state) == ("no such location", "parked")
    assert [(parked.id, parked.reason) for parked in till.outbox.parked()] == [(posting.id, "no such location")]
    wait_until(lambda: hq.reports[-1].dead == 1)
    hq.rejects.clear()
    till.outbox.redrive(posting.id)
    wait_until(lambda: till.status().parked == till.pending == 0)
    assert list(hq.ledger) == [posting.id]


def test_a_posting_that_kills_hq_is_isolated_and_the_others_get_through(
    hq: ScriptedHq, open_till: Callable[..., PosClient]
) -> None:
    hq.stop()
    till = open_till(retry_policy=FAST._replace(alone_seconds=0.0))
    postings = sell(till, 12)
    bad = postings.pop(7)
    hq.poison.add(bad.id)
    hq.start()
    assert_each_once(hq, postings)
    assert (bad.wait(HANG_SECONDS).code, bad.state) == ("isolated", "parked")


# ---------------------------------------------------------------------------------- copies of an outbox


def copy_outbox(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as original, sqlite3.connect(target) as copy:
        original.backup(copy)
    original.close()
    copy.close()


def test_a_cloned_till_begins_a_new_lineage_and_each_sale_counts_once(
    hq: ScriptedHq, open_till: Callable[..., PosClient], tmp_path: Path
) -> None:
    first = open_till()
    postings = sell(first, 3)
    assert_each_once(hq, postings)
    copy_outbox(tmp_path / "till.db", tmp_path / "clone.db")
    clone = open_till(outbox=tmp_path / "clone.db")
    for till in (first, clone, first, clone):
        postings += sell(till, 2)
        postings[-1].wait(HANG_SECONDS)
    assert_each_once(hq, postings)
    assert first.outbox.lineage != clone.outbox.lineage
    assert first.status().parked == clone.status().parked == 0


def test_a_restored_image_begins_a_new_lineage_and_sends_the_same_ids(
    hq: ScriptedHq, open_till: Callable[..., PosClient], tmp_path: Path
) -> None:
    hq.stop()
    till = open_till()
    early = sell(till, 3)
    copy_outbox(tmp_path / "till.db", tmp_path / "image.db")
    hq.start()
    late = sell(till, 3)
    assert_each_once(hq, early + late)
    lineage = till.outbox.lineage
    till.close()
    restored = open_till(outbox=tmp_path / "image.db")
    wait_until(lambda: restored.pending == 0)
    assert restored.outbox.lineage != lineage
    assert [result.status for result in hq.answered[-3:]] == ["duplicate"] * 3
    assert_each_once(hq, early + late)


# ---------------------------------------------------------------------------------- two on one outbox


def test_two_clients_on_one_outbox_sell_and_one_of_them_sends(
    hq: ScriptedHq, open_till: Callable[..., PosClient]
) -> None:
    first = open_till()
    wait_until(lambda: first.status().sending)
    second = open_till()
    called: list[PostingResult] = []
    postings = [*sell(first, 3), *sell(second, 3), second.sell([("tea", 1)], on_result=called.append)]
    assert_each_once(hq, postings)
    wait_until(lambda: len(called) == 1)
    assert (first.status().sending, second.status().sending, len(hq.hellos)) == (True, False, 1)
    with pytest.raises(OutboxInUse, match="Another process"):
        second.stock(timeout=HANG_SECONDS)
    first.close()
    wait_until(lambda: second.status().sending)
    assert_each_once(hq, postings + sell(second, 1))


def test_many_threads_sell_at_once_and_every_sale_arrives_in_sequence(
    hq: ScriptedHq, open_till: Callable[..., PosClient]
) -> None:
    till = open_till()
    postings: list[pos_client.Posting] = []
    threads = [threading.Thread(target=lambda: postings.extend(sell(till, 10))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert_each_once(hq, postings)
    seqs = hq.terminals["T1"].seqs[till.outbox.lineage]
    assert sorted(seqs) == list(range(1, 81))
