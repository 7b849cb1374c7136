"""What a session logs: every request at DEBUG, and at INFO what an operator needs to know of a terminal."""

import logging
from uuid import UUID

import pytest

from inventory_server.config import REFUSALS_LOGGED_PER_MINUTE
from inventory_server.protocol.events import RefusalLog
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.messages import CHAIN_START, PostingResult, PostResult
from tests.support.edge import ID, SALE, MemoryStore, Talker, raising


def test_each_request_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tillwire.session")
    talker = Talker().hello("till-1")
    talker.error("new\nline")
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG] == [
        "event=request method=hello actor=till-1 peer=127.0.0.1:1 outcome=ok",
        "event=request method=new\\nline actor=till-1 peer=127.0.0.1:1 outcome=method_not_found",
    ]


def test_the_log_tells_an_operator_who_came_who_was_refused_and_who_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tillwire.session")
    talker = Talker(dev=False)
    talker.error("hello", terminal="till-1", token="wrong")
    talker.session.ended("client_closed")
    talker.hello("till-1")
    broken = {"id": ID, "body": {"type": "sale", "occurred_at": "yesterday\u001b[31m", "lines": []}}
    talker.result("post", postings=[broken])
    talker.store = MemoryStore(raising(RequestError(ErrorCode.fenced, "Another one.", epoch=3)))
    talker.error("post", postings=[{"id": ID, "body": SALE}])
    talker.session.ended("timed_out")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "event=hello_refused terminal=till-1 peer=127.0.0.1:1 count=1 reason=The token is not right."
    assert lines[1:2] == ["event=terminal_connected terminal=till-1 role=till location=store peer=127.0.0.1:1 epoch=1"]
    assert lines[2].startswith(
        f"event=postings_refused terminal=till-1 peer=127.0.0.1:1 count=1 id={ID} status=rejected"
    )
    assert "\x1b" not in lines[2]
    assert lines[3:] == [
        "event=terminal_fenced terminal=till-1 peer=127.0.0.1:1",
        "event=terminal_disconnected terminal=till-1 peer=127.0.0.1:1 reason=timed_out",
    ]
    assert "wrong" not in caplog.text


def test_the_log_tells_who_asked_for_what_the_role_may_not_do(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tillwire.session")
    talker = Talker(dev=False).hello("reader-1")
    talker.error("post", postings=[{"id": ID, "body": SALE}])
    reason = "The role reader may not call post: use another role."
    assert [record.getMessage() for record in caplog.records][1:] == [
        f"event=request_forbidden actor=reader-1 peer=127.0.0.1:1 method=post reason={reason}"
    ]


def test_refused_postings_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tillwire.session")
    refusals = RefusalLog()
    refused = PostResult([PostingResult(UUID(ID), "rejected", reason="No.")], CHAIN_START, 1, [])
    for _ in range(2 * REFUSALS_LOGGED_PER_MINUTE):
        refusals.note_postings(None, refused, "peer", lambda: 0)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == REFUSALS_LOGGED_PER_MINUTE + 1
    assert lines[-1] == "event=refusals_not_logged kind=postings_refused seconds=60"


def test_refusals_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tillwire.session")
    refusals, refused = RefusalLog(), RequestError(ErrorCode.forbidden, "No.")

    def note(count: int, now: int, method: str = "post") -> list[str]:
        caplog.clear()
        for _ in range(count):
            refusals.note(method, None, None, refused, "peer", now)
        return [record.getMessage() for record in caplog.records]

    most = REFUSALS_LOGGED_PER_MINUTE
    line = "event=request_forbidden actor=- peer=peer method=post reason=No."
    assert note(most, 0) == [line] * most
    assert note(9, 20_000_000) == ["event=refusals_not_logged kind=request_forbidden seconds=40"]
    hello = "event=hello_refused terminal=- peer=peer count={} reason=No."
    assert note(1, 20_000_000, "hello") == [hello.format(1)], "of another kind"
    assert note(500, 79_999_999, "hello") == [], "once a minute for each terminal"
    assert note(2, 80_000_000, "hello") == [hello.format(501)]
    assert note(1, 60_000_000) == [line], "a minute later"
    assert note(1, 0) == [line], "a clock that was set back"
