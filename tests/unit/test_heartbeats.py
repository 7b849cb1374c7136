"""Pings are answered at once and written together, or before whatever their terminal does next."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from inventory_server import heartbeats as module
from inventory_server.config import PINGS_TOGETHER
from inventory_server.domain.door import OnOutcome, OutcomeUnknown
from inventory_server.domain.requests import Ping
from inventory_server.domain.roles import Speaker
from inventory_server.heartbeats import Heartbeats
from pos_client.protocol.errors import ErrorCode, RequestError
from tests.support.waiting import wait_until


class Store:
    """Notes what is handed in, and answers it when told to."""

    def __init__(self) -> None:
        self.pings: list[Ping] = []
        self._waiting: list[OnOutcome] = []

    def submit(self, ping: Ping, then: OnOutcome) -> None:
        self.pings.append(ping)
        self._waiting.append(then)

    def answer(self, error: Exception | None = None) -> None:
        """Answer the oldest."""
        self._waiting.pop(0)(None, error)


def ping(terminal: str, now: int, epoch: int = 1) -> Ping:
    return Ping(Speaker(terminal, "till", "north", epoch, None), None, now)


def nobody() -> None:
    raise AssertionError("its connection is not over")


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def held(store: Store) -> Heartbeats:
    return Heartbeats(store.submit)


def test_the_latest_is_written_before_the_terminals_next_request(store: Store, held: Heartbeats) -> None:
    first, second, other = ping("T1", 1), ping("T1", 2), ping("T2", 3)
    for each in (first, second, other):
        held.hold(each, nobody)
    assert store.pings == []
    held.write("T1")
    held.write("T1")
    assert store.pings == [second]


def test_a_new_connection_takes_nothing_from_the_one_before(store: Store, held: Heartbeats) -> None:
    before, after = ping("T1", 1), ping("T1", 2, epoch=2)
    held.hold(before, nobody)
    held.hold(after, nobody)
    assert store.pings == [before]
    held.close()
    assert store.pings == [before, after]


def test_all_are_written_in_time_and_leave_the_queue_to_sales(
    store: Store, held: Heartbeats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PINGS_SECONDS", 0)
    for number in range(PINGS_TOGETHER + 1):
        held.hold(ping(f"T{number}", number), nobody)
    held.start()
    wait_until(lambda: len(store.pings) == PINGS_TOGETHER)
    closing = threading.Thread(target=held.close)
    closing.start()
    assert len(store.pings) == PINGS_TOGETHER
    store.answer()
    closing.join()
    assert {each.now for each in store.pings} == set(range(PINGS_TOGETHER + 1))


@pytest.mark.parametrize("code", [ErrorCode.fenced, ErrorCode.unauthenticated])
def test_a_connection_that_speaks_for_its_terminal_no_longer_is_ended(
    code: ErrorCode, store: Store, held: Heartbeats, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[str] = []
    held.hold(ping("T1", 1), lambda: ended.append("T1"))
    held.close()
    with caplog.at_level("INFO"):
        store.answer(RequestError(code, "It is at south now."))
    assert ended == ["T1"]
    assert "event=ping_refused terminal=T1 error=It is at south now." in caplog.text


@pytest.mark.parametrize(
    "error", [RequestError(ErrorCode.busy, "Later."), OutcomeUnknown("Gone.")], ids=["busy", "unknown"]
)
def test_what_could_not_be_written_is_logged_once_until_it_can(
    error: Exception, store: Store, held: Heartbeats, caplog: pytest.LogCaptureFixture
) -> None:
    def handed_in(failure: Exception | None) -> Callable[[], int]:
        held.hold(ping("T1", 1), nobody)
        held.write("T1")
        store.answer(failure)
        return lambda: caplog.text.count(f"event=pings_not_written error={error}")

    assert [handed_in(each)() for each in (error, error, None, error)] == [1, 1, 1, 2]
