"""The sender decides what goes out next and what an answer means; only a definite answer settles a posting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET, Raw, json

from pos_client.protocol import wire
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.fields import PostingStatus
from pos_client.protocol.messages import (
    CHAIN_START,
    ByeParams,
    Limits,
    PingResult,
    PostingResult,
    PostParams,
    PostResult,
    Request,
)
from pos_client.protocol.units import instant
from pos_client.till.actions import Connect, Idle, SendHello, SendPing, SendPost
from pos_client.till.policy import MEANINGS
from tests.support.desk import SECOND, Desk, ids, sent
from tests.support.outboxes import posting, posting_id


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.outbox.close()


# ---------------------------------------------------------------------------------- the good days


def test_it_connects_says_who_it_is_posts_in_order_and_says_that_nothing_is_left(desk: Desk) -> None:
    desk.sell(1, 2, 3, 4, 5, 6)
    assert isinstance(desk.next(), Connect)
    desk.sender.on_connected()
    hello = desk.next()
    assert isinstance(hello, SendHello)
    assert (hello.params.terminal, hello.params.token, hello.params.lineage) == ("T1", "secret", desk.outbox.lineage)
    assert hello.params.outbox is not UNSET
    assert hello.params.outbox.pending == 6
    desk.sender.on_hello(desk.hello_result())
    first = desk.post()
    assert [(item.seq, item.id, bytes(item.body)) for item in first] == [
        (number, posting_id(number), posting(number).body) for number in (1, 2, 3, 4)
    ]
    desk.answer(first)
    second = desk.post()
    assert sent(second) == ids(5, 6)
    desk.answer(second)
    ping = desk.next()
    assert isinstance(ping, SendPing)
    assert ping.params.outbox is not UNSET
    assert (ping.params.outbox.pending, ping.params.now) == (0, instant(desk.now))
    desk.sender.on_pong(PingResult(instant(desk.now)))
    assert desk.next() == Idle(desk.now + 30 * SECOND)
    assert [result.id for result in desk.results] == ids(1, 2, 3, 4, 5, 6)


def test_each_frame_names_the_chain_head_that_hq_gave_last(desk: Desk) -> None:
    desk.sell(1, 2, 3, 4, 5)
    desk.connect()
    for _ in range(2):
        action = desk.next()
        assert isinstance(action, SendPost)
        assert action.params.parent == desk.head
        desk.answer(action.params.postings)
    assert desk.outbox.head == desk.head


def test_frames_keep_to_the_bytes_the_server_takes(desk: Desk) -> None:
    desk.sell(1, 2, 3)
    desk.connect(limits=Limits(512 + 2 * (176 + len(posting(1).body)), 500, 1_000, 100))
    assert sent(desk.post()) == ids(1, 2)


def test_when_idle_it_pings_every_heartbeat(desk: Desk) -> None:
    desk.connect()
    for _ in range(3):
        assert desk.next() == Idle(desk.now + 30 * SECOND)
        desk.now += 30 * SECOND
        assert isinstance(desk.next(), SendPing)
        desk.sender.on_pong(PingResult(instant(desk.now + 5 * SECOND)))
    assert desk.sender.hq_ahead_micros == 5 * SECOND


def test_a_sale_in_steady_state_is_one_message(desk: Desk) -> None:
    desk.connect()
    desk.sell(1)
    desk.answer(desk.post())
    assert isinstance(desk.next(), Idle)


@pytest.mark.parametrize(
    ("status", "state"),
    [("posted", "done"), ("duplicate", "done"), ("conflict", "parked"), ("rejected", "parked")],
)
def test_a_definite_answer_settles(desk: Desk, status: PostingStatus, state: str) -> None:
    desk.sell(1)
    desk.connect()
    desk.answer(desk.post(), status)
    found = desk.outbox.find(posting_id(1))
    assert found is not None
    assert found.state == state
    assert [(result.id, result.status) for result in desk.results] == [(posting_id(1), status)]


def test_hq_hears_of_a_parked_posting_at_once(desk: Desk) -> None:
    desk.connect()
    desk.sell(1)
    desk.answer(desk.post(), "rejected")
    ping = desk.next()
    assert isinstance(ping, SendPing)
    assert ping.params.outbox is not UNSET
    assert ping.params.outbox.dead == 1


# ---------------------------------------------------------------------------------- unknown outcomes


def test_what_was_not_answered_is_sent_again_byte_for_byte(desk: Desk) -> None:
    desk.sell(1, 2)
    desk.connect()
    first = desk.post()
    desk.sender.on_lost("deadline")
    assert desk.sender.hello is None
    assert desk.sender.last_error == "deadline"
    again = desk.post()
    assert [(item.id, item.seq, bytes(item.body)) for item in again] == [
        (item.id, item.seq, bytes(item.body)) for item in first
    ]
    desk.answer(again)
    found = desk.outbox.find(posting_id(1))
    assert found is not None
    assert found.attempts == 2


@pytest.mark.parametrize("mangle", [lambda results: results[:1], lambda results: results[::-1]])
def test_an_answer_about_other_postings_is_no_answer(
    desk: Desk, mangle: Callable[[list[PostingResult]], list[PostingResult]]
) -> None:
    desk.sell(1, 2)
    desk.connect()
    results = [PostingResult(item.id, "posted") for item in desk.post()]
    desk.sender.on_post(PostResult(mangle(results), CHAIN_START, 1, []))
    assert desk.pending() == ids(1, 2)
    assert not desk.sender.is_connected


def test_back_off_is_jittered_capped_and_ends_with_success(desk: Desk) -> None:
    waits = []
    for _ in range(3_000):  # weeks
        assert isinstance(desk.later(), Connect)
        desk.sender.on_lost("no route")
        action = desk.next()
        assert isinstance(action, Idle)
        waits.append(action.until - desk.now)
    assert max(waits[:3]) <= 2 * SECOND
    assert 50 * SECOND < max(waits) <= 60 * SECOND
    assert len(set(waits)) > 2_000
    assert isinstance(desk.later(), Connect)
    desk.sender.on_connected()
    assert isinstance(desk.next(), SendHello)
    desk.sender.on_hello(desk.hello_result())
    desk.sender.on_lost("cut")
    action = desk.next()
    assert isinstance(action, Idle)
    assert action.until - desk.now <= SECOND // 2


def test_somebody_who_waits_cuts_a_back_off_short_but_not_what_hq_asked_for(desk: Desk) -> None:
    assert isinstance(desk.next(), Connect)
    desk.sender.on_lost()
    desk.sender.connect_now()
    assert isinstance(desk.next(), Connect)
    desk.sender.on_connected()
    assert isinstance(desk.next(), SendHello)
    desk.sender.on_error(RequestError(ErrorCode.busy, "later", retry_after_ms=700))
    desk.sender.connect_now()
    assert isinstance(desk.next(), Idle)


# ---------------------------------------------------------------------------------- refusals


def test_every_error_of_the_protocol_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ErrorCode)


# error, what is done on the connection it came on, the wait in seconds (at least, at most)
REFUSALS: list[tuple[ErrorCode, dict[str, Any], bool, tuple[float, float]]] = [
    (ErrorCode.busy, {"retry_after_ms": 500}, True, (0.5, 1.0)),
    (ErrorCode.draining, {"retry_after_ms": 4_000}, True, (4.0, 8.0)),
    (ErrorCode.busy, {"retry_after_ms": "soon"}, True, (1.0, 2.0)),
    (ErrorCode.internal, {"incident": "x"}, True, (0.0, 0.5)),
    (ErrorCode.fenced, {"epoch": 9}, False, (30.0, 120.0)),
    (ErrorCode.unauthenticated, {}, False, (30.0, 120.0)),
    (ErrorCode.forbidden, {}, False, (30.0, 120.0)),
    (ErrorCode.method_not_found, {}, False, (30.0, 120.0)),
    (ErrorCode.not_found, {}, False, (30.0, 120.0)),
    (ErrorCode.unsupported_protocol, {}, False, (30.0, 120.0)),
    (ErrorCode.invalid_params, {"path": "$.parent"}, False, (30.0, 120.0)),
]


@pytest.mark.parametrize(("code", "data", "stays", "wait"), REFUSALS)
def test_a_refused_post_waits_as_the_rules_say_and_parks_nothing(
    desk: Desk, code: ErrorCode, data: dict[str, Any], stays: bool, wait: tuple[float, float]
) -> None:
    desk.sell(1, 2)
    desk.connect()
    desk.post()
    desk.sender.on_error(RequestError(code, "because", **data))
    action = desk.next()
    assert isinstance(action, Idle)
    assert wait[0] * SECOND <= action.until - desk.now <= wait[1] * SECOND
    assert desk.sender.is_connected is stays
    assert "because" in str(desk.sender.last_error)
    assert sent(desk.post()) == ids(1, 2)


def test_a_server_that_closes_after_draining_is_still_given_the_time_it_asked_for(desk: Desk) -> None:
    desk.sell(1)
    desk.connect()
    desk.post()
    desk.sender.on_error(RequestError(ErrorCode.draining, "going down", retry_after_ms=5_000))
    desk.sender.on_lost("HQ closed the connection.")
    action = desk.next()
    assert isinstance(action, Idle)
    assert action.until - desk.now >= 5 * SECOND
    assert isinstance(desk.later(), Connect)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_a_refused_hello_or_ping_loses_and_parks_nothing(desk: Desk, code: ErrorCode) -> None:
    desk.sell(1)
    assert isinstance(desk.next(), Connect)
    desk.sender.on_connected()
    assert isinstance(desk.next(), SendHello)
    desk.sender.on_error(RequestError(code, "because"))
    assert not desk.sender.is_connected
    desk.answer(desk.post())
    assert isinstance(desk.later(), SendPing)
    desk.sender.on_error(RequestError(code, "because"))
    desk.sell(2)
    assert sent(desk.post()) == ids(2)


def test_two_tills_with_one_name_do_not_wait_equally_long(tmp_path: Path) -> None:
    waits = set()
    for seed in range(5):
        (tmp_path / str(seed)).mkdir()
        desk = Desk(tmp_path / str(seed), seed)
        desk.sell(1)
        desk.connect()
        desk.post()
        desk.sender.on_error(RequestError(ErrorCode.fenced, "other"))
        action = desk.next()
        assert isinstance(action, Idle)
        waits.add(action.until)
        desk.outbox.close()
    assert len(waits) == 5


# ---------------------------------------------------------------------------------- goodbye, misuse


def test_after_goodbye_it_stays_away_until_there_is_something_to_send(desk: Desk) -> None:
    desk.sell(1)
    desk.connect()
    desk.answer(desk.post())
    totals = desk.outbox.totals()
    assert desk.sender.bye_params() == ByeParams(
        lineage=totals.lineage, last_seq=1, count=1, quantity=-1, pending=0, dead=0
    )
    desk.sender.on_bye()
    assert isinstance(desk.next(), Idle)
    assert desk.sender.awaits_work
    desk.sell(2)
    assert isinstance(desk.next(), Connect)


def test_an_outcome_must_be_told_and_must_be_that_of_what_was_asked(desk: Desk) -> None:
    with pytest.raises(RuntimeError, match="No connection was asked for"):
        desk.sender.on_connected()
    assert isinstance(desk.next(), Connect)
    with pytest.raises(RuntimeError, match="has not been reported"):
        desk.next()
    desk.sender.on_connected()
    assert isinstance(desk.next(), SendHello)
    with pytest.raises(RuntimeError, match="SendPing"):
        desk.sender.on_pong(PingResult(instant(desk.now)))


def test_the_same_seed_and_answers_give_the_same_actions(tmp_path: Path) -> None:
    def story(folder: Path) -> list[str]:
        folder.mkdir()
        desk = Desk(folder, seed=5)
        desk.sell(1, 2, 3)
        told: list[str] = []
        connections = 0
        for _ in range(40):
            action = desk.next()
            told.append(f"{type(action).__name__} {json.encode(action)!r}")
            if isinstance(action, Idle):
                desk.now = action.until
            elif isinstance(action, SendPost) and connections > 3:
                desk.answer(action.params.postings)
            elif isinstance(action, Connect) and connections > 1:
                desk.sender.on_connected()
            elif isinstance(action, SendHello):
                connections += 1
                desk.sender.on_hello(desk.hello_result())
            else:
                connections += 1
                desk.sender.on_lost()
        desk.outbox.close()
        return told

    assert story(tmp_path / "a") == story(tmp_path / "b")


def test_a_frame_of_the_largest_postings_fits_the_servers_limit(desk: Desk) -> None:
    """What `Outbox.next_batch` reckons for a frame is never less than the frame."""
    desk.sell(*range(1, 200))
    limit = 16_384
    desk.connect(limits=Limits(limit, 500, 1_000, 100))
    params = PostParams(desk.post(), desk.head)
    assert len(params.postings) > 20
    assert len(wire.encode(Request("post", Raw(json.encode(params)), 2**63, "2.0"))) <= limit
