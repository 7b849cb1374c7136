"""The protocol as a table of frames and replies, without sockets and without a database."""

import hashlib
import json
import logging
from typing import Any
from uuid import UUID

import pytest

from inventory_server.domain.completeness import OutboxState
from inventory_server.domain.door import OutcomeUnknown
from inventory_server.domain.requests import Bye, CheckToken, Hello, Ping, Post, Stock
from inventory_server.protocol import attempts
from inventory_server.protocol.attempts import FailedHellos
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.tick import Tick
from tests.support.edge import ELSEWHERE, ID, LOOPBACK, SALE, MemoryStore, Talker, raising

BOOT = UUID(int=1)
SENT_AT = 1_704_063_600_000_000
"""2024-01-01T00:00:00+01:00"""

# ---------------------------------------------------------------------------------- hello


def test_hello_settles_who_speaks_and_tells_the_limits() -> None:
    result = Talker().result("hello", terminal="till-1")
    assert result == {
        "server": "tillwire",
        "protocol": 1,
        "terminal": "till-1",
        "role": "till",
        "location": "till-1",
        "epoch": 1,
        "parent": "0" * 64,
        "acked_seq": 0,
        "server_time": "2023-11-14T22:13:20Z",
        "heartbeat_s": 30,
        "limits": {"max_frame_bytes": 1 << 20, "max_postings": 500, "max_lines": 1000, "max_connections": 1024},
        "features": ["tick_clock"],
    }


@pytest.mark.parametrize(
    ("dev", "peer", "params", "trusted", "enrol"),
    [
        (True, LOOPBACK, {}, True, "till-1"),
        (True, LOOPBACK, {"location": "north"}, True, "north"),
        (True, ELSEWHERE, {"location": "north"}, False, None),
        (False, LOOPBACK, {"location": "north"}, False, None),
    ],
)
def test_only_a_loopback_peer_in_development_is_trusted(
    dev: bool, peer: Any, params: dict[str, str], trusted: bool, enrol: str | None
) -> None:
    talker = Talker(dev=dev, peer=peer)
    talker.call("hello", terminal="till-1", token="right", **params)
    *checks, work = talker.memory.works
    assert isinstance(work, Hello)
    assert [type(check) for check in checks] == ([] if trusted else [CheckToken])
    assert (work.trusted, work.enrol) == (trusted, enrol)


def test_the_store_judges_the_token_and_a_wrong_one_leaves_the_peer_unknown() -> None:
    talker = Talker(dev=False)
    assert talker.error("hello", terminal="till-1", token="wrong")["code"] == -32001
    assert talker.error("hello", terminal="till-1")["code"] == -32001
    assert talker.error("stock")["code"] == -32001
    assert talker.session.actor is None
    assert {type(work) for work in talker.memory.works} == {CheckToken}, "nothing was committed"


def test_the_answers_to_wrong_tokens_are_put_off_for_longer_and_longer() -> None:
    talker = Talker(dev=False)
    hello = b'{"id":1,"method":"hello","params":{"terminal":"%s","token":"%s"}}'

    def delay(terminal: bytes, token: bytes) -> float:
        reply = talker.frame(hello % (terminal, token))
        assert reply is not None
        return reply.delay_seconds

    assert [delay(b"till-1", b"wrong") for _ in range(5)] == [0.25, 0.5, 1, 2, 2]
    assert delay(b"till-2", b"wrong") == 0.25, "of another terminal"
    assert delay(b"till-1", b"right") == 0, "nobody is locked out"
    assert delay(b"till-1", b"wrong") == 2
    reply = talker.frame(b"[%s,%s]" % (hello % (b"till-3", b"wrong"), hello % (b"till-3", b"wrong")))
    assert reply is not None
    assert reply.delay_seconds == 0.25 + 0.5
    assert delay(b"till-2", b"right") == 0


def test_delays_begin_anew_after_a_minute_and_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = FailedHellos()
    assert [failed.failed("host", "t", now) for now in (0, 59_000_000, 130_000_000, 0)] == [0.25, 0.5, 0.25, 0.25]
    monkeypatch.setattr(attempts, "HELLO_FAILURES_MAX", 2)
    assert [failed.failed("host", name, 0) for name in ("t", "u", "v", "t", "v")] == [0.5, 0.25, 0.25, 0.25, 0.5]


@pytest.mark.parametrize(
    ("versions", "supported"), [([1, 1], True), ([0, 9], True), ([2, 3], False), ([0, 0], False), ([3, 1], False)]
)
def test_the_protocol_is_negotiated_by_range(versions: list[int], supported: bool) -> None:
    answer = Talker().call("hello", terminal="till-1", protocol=versions)
    if supported:
        assert answer["result"]["protocol"] == 1
    else:
        assert answer["error"]["data"] == {"name": "unsupported_protocol", "retryable": False, "supported": [1, 1]}


def test_a_second_hello_settles_the_speaker_anew() -> None:
    talker = Talker().hello("till-1")
    talker.result("hello", terminal="operator-1")
    assert talker.session.actor is not None
    assert talker.session.actor.role == "operator"


def test_a_refused_second_hello_keeps_the_first_speaker() -> None:
    talker = Talker(dev=False).hello("till-1")
    talker.error("hello", terminal="operator-1", token="wrong")
    assert talker.session.actor is not None
    assert talker.session.actor.name == "till-1"


def test_hello_passes_on_what_the_till_says_of_itself() -> None:
    talker = Talker()
    lineage = "018f4e6a-0000-7000-8000-00000000abcd"
    now, oldest = "2024-01-01T00:00:00+01:00", "2023-12-31T23:59:59.5+01:00"
    outbox = {"pending": 3, "dead": 1, "oldest_occurred_at": oldest, "oldest_tick_ms": 4_500}
    ticking = {"boot": str(BOOT), "tick_ms": 5_000}
    talker.result("hello", terminal="t", lineage=lineage, outbox=outbox, now=now, app="x 1.0", **ticking)
    work = talker.memory.works[0]
    assert isinstance(work, Hello)
    assert work.lineage == UUID(lineage)
    assert (work.now, work.tick) == (SENT_AT, Tick(BOOT, 5_000))
    assert work.outbox == OutboxState(3, 1, SENT_AT - 500_000, Tick(BOOT, 4_500))


def test_the_tick_of_the_oldest_posting_counts_only_with_the_boot_of_the_message() -> None:
    talker = Talker().hello()
    talker.result("ping", outbox={"pending": 1, "oldest_tick_ms": 4_500})
    work = talker.memory.works[-1]
    assert isinstance(work, Ping)
    assert (work.now, work.outbox) == (None, OutboxState(1))


@pytest.mark.parametrize("method", ["post", "stock", "history", "posting"])
def test_who_has_not_said_hello_is_unauthenticated(method: str) -> None:
    error = Talker().error(method, nonsense=1)
    assert error["data"] == {"name": "unauthenticated", "retryable": False, "expected": "hello"}


def test_before_hello_there_are_no_batches_no_notifications_and_one_description() -> None:
    talker = Talker()
    assert talker.line('[{"id":1,"method":"ping"}]')["error"]["data"]["name"] == "unauthenticated"
    refused = talker.line('{"method":"ping"}')
    assert (refused["id"], refused["error"]["data"]["path"]) == (None, "$.id")
    assert "openrpc" in talker.result("rpc.discover")
    assert talker.error("rpc.discover")["data"]["name"] == "unauthenticated"
    talker.hello()
    assert ["openrpc" in talker.result("rpc.discover") for _ in range(2)] == [True, True]
    assert talker.line('[{"id":1,"method":"ping"},{"method":"ping"}]')[0]["id"] == 1


def test_ping_bye_and_discover_need_no_hello() -> None:
    talker = Talker()
    assert talker.result("ping") == {"server_time": "2023-11-14T22:13:20Z"}
    assert talker.result("rpc.discover") == {"openrpc": "1.3.2"}
    assert talker.result("bye") == {"status": "closed", "missing": []}
    assert talker.memory.works == []


# ---------------------------------------------------------------------------------- ping, bye


def test_ping_after_hello_is_noted_by_the_store() -> None:
    talker = Talker().hello()
    assert talker.result("ping", outbox={"pending": 2}) == {"server_time": "2023-11-14T22:13:20Z"}
    work = talker.memory.works[-1]
    assert isinstance(work, Ping)
    assert work.outbox is not None
    assert work.outbox.pending == 2


def test_bye_hands_the_totals_to_the_store_and_closes() -> None:
    talker = Talker().hello()
    reply = talker.frame(b'{"id":1,"method":"bye","params":{"count":2,"quantity":99999999999.5,"last_seq":2}}')
    assert reply is not None
    assert reply.close
    assert json.loads(reply.data)["result"]["status"] == "balanced"
    assert isinstance(talker.memory.works[-1], Bye)


def test_bye_with_impossible_totals_is_refused_and_does_not_close() -> None:
    talker = Talker().hello()
    reply = talker.frame(b'{"id":1,"method":"bye","params":{"quantity":1e999999999}}')
    assert reply is not None
    assert not reply.close
    assert json.loads(reply.data)["error"]["data"]["path"] == "$.quantity"


@pytest.mark.parametrize("line", [b"BYE", b"bye", b" Bye \r"])
def test_a_bare_goodbye_is_answered_by_one_line_and_closes(line: bytes) -> None:
    for talker in (Talker(), Talker().hello()):
        reply = talker.frame(line)
        assert reply is not None
        assert reply.close
        answer = json.loads(reply.data)
        assert (answer["id"], answer["result"]["missing"]) == (None, [])


def test_a_goodbye_that_the_store_refuses_is_answered_and_a_bare_one_still_closes() -> None:
    talker = Talker().hello()
    talker.store = MemoryStore(raising(RequestError(ErrorCode.busy, "Later.", retry_after_ms=5)))
    reply = talker.frame(b'{"id":1,"method":"bye"}')
    assert reply is not None
    assert not reply.close
    reply = talker.frame(b"BYE")
    assert reply is not None
    assert reply.close
    assert json.loads(reply.data)["error"]["data"]["retry_after_ms"] == 5


def test_bye_as_a_notification_closes_without_a_word() -> None:
    reply = Talker().frame(b'{"method":"bye"}')
    assert reply is not None
    assert (reply.data, reply.close) == (b"", True)


# ---------------------------------------------------------------------------------- post


def test_a_posting_is_digested_over_the_exact_bytes_that_were_sent() -> None:
    talker = Talker().hello()
    body = b'{ "type":"sale", "occurred_at":"2024-01-02T03:04:05+01:00",  "lines":[{"sku":"a","quantity":"1.50"}] }'
    talker.line(b'{"id":1,"method":"post","params":{"postings":[{"id":"%s","body":%s}]}}' % (ID.encode(), body))
    work = talker.memory.works[-1]
    assert isinstance(work, Post)
    (item,) = work.items
    assert item.raw == body
    assert item.digest == hashlib.sha256(body).digest()
    assert item.quantities == [150_000]
    assert (item.id, item.seq, item.refused, work.parent) == (UUID(ID), None, None, None)


def test_a_bad_posting_does_not_block_its_neighbours() -> None:
    other = ID[:-1] + "2"
    postings = [{"id": ID, "seq": 1, "body": {"type": "sale"}}, {"id": other, "seq": 2, "body": SALE}]
    result = Talker().hello().result("post", postings=postings, parent="0" * 64)
    assert [each["status"] for each in result["results"]] == ["rejected", "posted"]
    assert "occurred_at" in result["results"][0]["reason"]


@pytest.mark.parametrize(
    ("terminal", "method", "name"),
    [
        ("reader-1", "post", "forbidden"),
        ("reader-1", "stock", None),
        ("reader-1", "ping", None),
        ("operator-1", "post", None),
        ("till-1", "post", None),
    ],
)
def test_a_role_may_do_what_the_protocol_says(terminal: str, method: str, name: str | None) -> None:
    params = {"postings": [{"id": ID, "body": SALE}]} if method == "post" else {}
    answer = Talker().hello(terminal).call(method, **params)
    assert answer.get("error", {}).get("data", {}).get("name") == name


def test_while_draining_posts_are_turned_away_and_questions_answered() -> None:
    talker = Talker(draining=lambda: True).hello()
    error = talker.error("post", postings=[{"id": ID, "body": SALE}])
    assert error["code"] == -32006
    assert error["data"] == {"name": "draining", "retryable": True, "retry_after_ms": 500}
    assert talker.result("stock")["items"] == []


# ---------------------------------------------------------------------------------- stock


@pytest.mark.parametrize(
    ("below", "expected"),
    [('"reorder_point"', "reorder_point"), ("5", 5), ('"2.5"', 2.5), ("0.5", 0.5)],
)
def test_below_is_the_reorder_point_or_a_quantity(below: str, expected: object) -> None:
    talker = Talker().hello()
    talker.line(f'{{"id":1,"method":"stock","params":{{"below":{below}}}}}')
    work = talker.memory.works[-1]
    assert isinstance(work, Stock)
    assert work.below == expected


def test_what_the_store_does_not_find_is_answered_as_not_found() -> None:
    talker = Talker().hello()
    assert talker.error("posting", id=ID)["data"]["name"] == "not_found"
    assert talker.error("history", sku="a")["data"]["name"] == "not_found"


# ---------------------------------------------------------------------------------- what goes wrong in the store


def test_an_unexpected_failure_is_answered_with_an_incident_that_the_log_has(caplog: pytest.LogCaptureFixture) -> None:
    talker = Talker().hello()
    talker.store = MemoryStore(raising(ZeroDivisionError("SELECT secret")))
    error = talker.error("stock")
    assert error["code"] == -32603
    assert error["data"] == {"name": "internal", "retryable": True, "incident": "incident-1"}
    assert "secret" not in json.dumps(error)
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "incident-1" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
    talker.store = talker.memory
    assert talker.result("stock")["items"] == []


def test_an_unknown_outcome_is_not_answered_and_closes(caplog: pytest.LogCaptureFixture) -> None:
    talker = Talker().hello()
    talker.store = MemoryStore(raising(OutcomeUnknown("commit failed")))
    reply = talker.frame(
        json.dumps({"id": 1, "method": "post", "params": {"postings": [{"id": ID, "body": SALE}]}}).encode()
    )
    assert reply is not None
    assert (reply.data, reply.close) == (b"", True)
    assert "outcome_unknown" in caplog.text


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_of_the_store_reaches_the_caller_with_its_name(code: ErrorCode) -> None:
    talker = Talker().hello()
    talker.store = MemoryStore(raising(RequestError(code, "Because.", epoch=3)))
    assert talker.error("stock") == {
        "code": code.number,
        "message": "Because.",
        "data": {"name": code.name, "retryable": code.retryable, "epoch": 3},
    }
