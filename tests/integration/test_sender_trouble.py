"""Forks, copies, poison and a failing outbox: nothing is lost, and nobody innocent is parked."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec import Raw

from pos_client.protocol.errors import ErrorCode, OutboxError, RequestError
from pos_client.protocol.messages import HelloParams, PostItem, PostParams
from pos_client.till.actions import Connect, Idle, SendHello
from pos_client.till.policy import Identity, RetryPolicy
from pos_client.till.sender import Sender
from tests.support.desk import SECOND, Desk, ids, sent
from tests.support.outboxes import NOON, posting, posting_id


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.outbox.close()


# ---------------------------------------------------------------------------------- forks and copies


def test_a_fork_begins_a_new_lineage_at_once_with_the_same_ids(desk: Desk) -> None:
    desk.sell(1, 2)
    desk.connect()
    items = desk.post()
    old = desk.outbox.lineage
    desk.sender.on_error(RequestError(ErrorCode.fork, "parted", parent=desk.head, seq=0))
    assert isinstance(desk.next(), Connect)
    desk.sender.on_connected()
    hello = desk.next()
    assert isinstance(hello, SendHello)
    assert hello.params.lineage == desk.outbox.lineage != old
    desk.sender.on_hello(desk.hello_result())
    assert sent(desk.post()) == sent(items)


def test_a_second_fork_in_a_row_backs_off(desk: Desk) -> None:
    desk.sell(1)
    for _ in range(2):
        desk.connect()
        desk.post()
        desk.sender.on_error(RequestError(ErrorCode.fork, "parted"))
    assert isinstance(desk.next(), Idle)


def test_an_answer_that_was_lost_explains_the_chain_head_at_the_next_hello(desk: Desk) -> None:
    desk.sell(1, 2)
    desk.connect()
    desk.take(desk.post())  # HQ has them, the till does not know
    desk.sender.on_lost()
    desk.sell(3)
    lineage = desk.outbox.lineage
    again = desk.post()
    assert desk.outbox.lineage == lineage
    assert sent(again) == ids(1, 2, 3)
    assert [item.seq for item in again] == [1, 2, 3]
    desk.take(again[2:])  # lost once more: the third is new, the others are not
    desk.sender.on_lost()
    assert sent(desk.post()) == ids(1, 2, 3)
    assert desk.outbox.lineage == lineage


def test_a_chain_that_nobody_here_made_means_a_copy_and_a_new_lineage(desk: Desk) -> None:
    desk.sell(1)
    desk.connect()
    desk.answer(desk.post())
    desk.sell(2)
    desk.sender.on_lost()
    desk.head = "ab" * 32  # another copy of this outbox has posted since
    lineage = desk.outbox.lineage
    assert isinstance(desk.later(), Connect)
    desk.sender.on_connected()
    assert isinstance(desk.next(), SendHello)
    desk.sender.on_hello(desk.hello_result(acked_seq=9))
    assert desk.outbox.lineage != lineage
    assert [(item.seq, item.id) for item in desk.post()] == [(1, posting_id(1)), (2, posting_id(2))]


def test_an_hq_that_was_restored_gets_again_whatever_is_kept(desk: Desk) -> None:
    desk.sell(1, 2, 3)
    desk.connect()
    desk.answer_truly(desk.post())
    desk.sender.on_lost()
    desk.restart_hq()
    witness = desk.post()
    assert sent(witness) == ids(3)  # the last that HQ had acknowledged
    assert desk.answer_truly(witness) == ["posted"]
    assert sent(desk.post()) == ids(1, 2, 3)


def test_an_hq_that_was_not_restored_gets_only_its_last_posting_again(desk: Desk) -> None:
    """The till's own disk was put back, or copied: one question tells that HQ has lost nothing."""
    desk.sell(1, 2, 3)
    desk.connect()
    desk.answer_truly(desk.post())
    desk.sender.on_lost()
    desk.sell(4)
    desk.head = "ab" * 32
    again = desk.post()
    assert [(item.seq, item.id) for item in again] == [(1, posting_id(3)), (2, posting_id(4))]
    assert desk.answer_truly(again) == ["duplicate", "posted"]
    assert desk.pending() == []
    assert desk.sender.is_connected


def test_an_hq_that_is_restored_while_a_lineage_begins_gets_again_what_it_lost(desk: Desk) -> None:
    """First the till's disk is put back, then HQ's, before the till has said hello under its new lineage."""
    desk.sell(1, 2)
    desk.connect()
    desk.answer_truly(desk.post())
    desk.sender.on_lost()
    desk.head = "ab" * 32
    assert sent(desk.post()) == ids(2)
    desk.sender.on_lost()
    desk.restart_hq()
    assert sent(desk.post()) == ids(1, 2)


@pytest.mark.parametrize("answered", [False, True], ids=["before HQ has answered", "after HQ has answered"])
def test_an_hq_restored_to_before_an_outbox_was_moved_gets_again_what_it_lost(desk: Desk, answered: bool) -> None:
    """The new terminal's chain is empty before and after: it tells nothing."""
    desk.sell(1, 2)
    desk.connect()
    desk.answer_truly(desk.post())
    desk.move()
    moved = desk.post()
    assert sent(moved) == ids(2)
    if answered:
        assert desk.answer_truly(moved) == ["duplicate"]
    desk.sender.on_lost()
    desk.restart_hq()
    assert desk.answer_truly(desk.post()) == ["posted"]
    assert sent(desk.post()) == ids(1, 2)


def test_an_outbox_that_is_moved_twice_is_known_to_be_elsewhere_though_both_chains_are_empty(desk: Desk) -> None:
    desk.sell(1, 2)
    desk.connect()
    desk.answer_truly(desk.post())
    desk.move()
    assert desk.answer_truly(desk.post()) == ["duplicate"]
    lineage = desk.outbox.lineage
    desk.move()
    assert desk.answer_truly(desk.post()) == ["duplicate"]
    assert desk.outbox.lineage != lineage


def test_an_hq_that_gives_a_posting_another_place_was_restored(desk: Desk) -> None:
    """A copy of this outbox has sent the posting to the restored HQ again: to HQ it is no news, and yet it was lost."""
    desk.sell(1, 2)
    desk.connect()
    desk.answer_truly(desk.post())
    desk.sender.on_lost()
    desk.restart_hq()
    _, copy = desk.hq.hello(HelloParams("copy"))
    desk.hq.post(PostParams([PostItem(posting_id(2), Raw(posting(2).body))]), copy)
    assert desk.answer_truly(desk.post()) == ["duplicate"]
    assert desk.answer_truly(desk.post()) == ["posted", "duplicate"]


# ---------------------------------------------------------------------------------- poison


@pytest.mark.parametrize(
    "error",
    [
        RequestError(ErrorCode.invalid_params, "no UUID", path="$.postings[1].id"),
        RequestError(ErrorCode.invalid_request, "odd"),
        RequestError(ErrorCode.parse_error, "too deep"),
        RequestError(ErrorCode.too_large, "too long", limit=10),
        RequestError(ErrorCode.internal, "crashed"),
        None,
    ],
    ids=lambda error: error.code.name if error else "connection dies",
)
def test_a_posting_that_the_server_cannot_take_is_parked_alone(desk: Desk, error: RequestError | None) -> None:
    desk.sell(1, 2, 3, 4, 5, 6)
    desk.connect()
    done: list[UUID] = []
    for _ in range(200):
        if not desk.pending():
            break
        items = desk.post()
        if posting_id(3) not in sent(items):
            desk.answer(items)
            done += sent(items)
        elif error is None:
            desk.sender.on_lost("died")
        else:
            desk.sender.on_error(error)
    assert sorted(done) == ids(1, 2, 4, 5, 6)
    parked = list(desk.outbox.parked())
    assert [each.id for each in parked] == ids(3)
    assert parked[0].code == (error.code.name if error and error.code is not ErrorCode.internal else "isolated")
    assert [(result.id, result.status) for result in desk.results if result.status == "rejected"] == [
        (posting_id(3), "rejected")
    ]


def test_the_only_posting_is_parked_after_a_long_time(desk: Desk) -> None:
    desk.sender = Sender(
        desk.outbox,
        Identity("T1"),
        clock=desk.clock,
        tick_clock=desk.tick,
        rng=random.Random(1),
        retry_policy=RetryPolicy(alone_seconds=5.0),
    )
    desk.sell(1)
    desk.connect()
    while desk.pending():
        desk.post()
        desk.sender.on_lost("died")
    assert desk.now > NOON + 5 * SECOND
    assert [(each.id, each.code) for each in desk.outbox.parked()] == [(posting_id(1), "isolated")]


# ---------------------------------------------------------------------------------- the outbox fails


def failing(*_: object, **__: object) -> Any:
    raise OutboxError("no room")


def lose(desk: Desk) -> None:
    desk.post()
    desk.sender.on_lost()


def fork(desk: Desk) -> None:
    desk.post()
    desk.sender.on_error(RequestError(ErrorCode.fork, "parted"))


@pytest.mark.parametrize(
    ("method", "event"),
    [("settle", lambda desk: desk.answer(desk.post())), ("note_attempt", lose), ("new_lineage", fork)],
)
def test_an_outbox_that_fails_is_waited_for(
    desk: Desk, method: str, event: Callable[[Desk], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sell(1)
    desk.connect()
    with monkeypatch.context() as patch:
        patch.setattr(desk.outbox, method, failing)
        event(desk)
        assert isinstance(desk.next(), Idle)
        assert "no room" in str(desk.sender.last_error)
    desk.answer(desk.post(), "duplicate")
    assert desk.pending() == []


def test_an_outbox_that_cannot_be_read_is_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.sell(1)
    desk.connect()
    with monkeypatch.context() as patch:
        patch.setattr(desk.outbox, "next_batch", failing)
        assert isinstance(desk.next(), Idle)
    assert sent(desk.post()) == ids(1)


def test_an_outbox_that_fails_at_hello_is_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.sell(1)
    assert isinstance(desk.next(), Connect)
    desk.sender.on_connected()
    assert isinstance(desk.next(), SendHello)
    with monkeypatch.context() as patch:
        patch.setattr(desk.outbox, "adopt_head", failing)
        desk.sender.on_hello(desk.hello_result())
    assert not desk.sender.is_connected
    assert sent(desk.post()) == ids(1)
