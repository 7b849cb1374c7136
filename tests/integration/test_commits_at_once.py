"""A few live frames are committed by the thread that hands them in: only a few, and only where commits are swift."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import OperationalError

from inventory_server.app import Application
from inventory_server.clock import now_microseconds
from inventory_server.config import SWIFT_COMMIT_MOVEMENTS, SWIFT_COMMIT_SECONDS, Settings
from inventory_server.domain.door import OutcomeUnknown
from inventory_server.domain.requests import Item
from inventory_server.jsonserver import InterpreterTurn
from inventory_server.store import open_store, upgrade
from inventory_server.store.write.waiting import Ticket
from pos_client.protocol.address import Address
from pos_client.protocol.messages import Body
from tests.integration.test_store_writer import frame, writer_of
from tests.support.edge import ID, SALE, LineClient
from tests.support.waiting import HANG_SECONDS, wait_until


class Clock:
    """Tells the writer that each commit takes so long."""

    def __init__(self) -> None:
        self.commit_seconds = 0.0
        self._now = 0.0

    def __call__(self) -> float:
        self._now += self.commit_seconds
        return self._now


class Handing:
    """A writer whose last commit was swift, and a thread that hands in work in turns: the test's."""

    def __init__(self, folder: Path, on_fatal: Callable[[Exception], None] | None = None) -> None:
        self.turn = InterpreterTurn()
        self.writer, self.ledger = writer_of(folder, on_fatal, turn=self.turn)
        self.clock = self.writer._timer = Clock()
        self.committed_by: list[int] = []
        self.writer.submit(frame(1))
        self.writer.step()
        self.ledger.commits.clear()

    def hand_in(self, *works: Any) -> list[Ticket]:
        """Hand in `works` in one turn, and do what comes after it."""
        with self.turn:
            tickets = [self.writer.submit(work, self._note) for work in works]
        self.turn.afterwards()
        return tickets

    def _note(self, _outcome: Any, _error: Exception | None) -> None:
        self.committed_by.append(threading.get_ident())

    def is_left(self) -> bool:
        """True where the writer's thread has something to do."""
        return bool(self.writer._live or self.writer._backlog)


@pytest.fixture
def handing(tmp_path: Path) -> Handing:
    return Handing(tmp_path)


def void() -> Any:
    body = Body(type="void", occurred_at=datetime(2026, 10, 5, 10, tzinfo=UTC), voids=UUID(int=7))
    post = frame(1)
    post.items[:] = [Item(UUID(int=8), None, b"{}", b"", body, [], None)]
    return post


def test_the_thread_that_hands_in_a_single_frame_commits_and_answers_it_after_its_turn(handing: Handing) -> None:
    handing.hand_in(frame(1, lines=3))
    assert handing.ledger.commits == [[1]]
    assert handing.committed_by == [threading.get_ident()]
    assert not handing.is_left()


def test_the_frames_of_several_tills_share_the_commit(handing: Handing) -> None:
    handing.hand_in(*(frame(1, lines=3, terminal=f"T{at}") for at in range(SWIFT_COMMIT_MOVEMENTS // 4)))
    assert handing.ledger.commits == [[1] * (SWIFT_COMMIT_MOVEMENTS // 4)]
    assert set(handing.committed_by) == {threading.get_ident()}


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(frame(1, lines=SWIFT_COMMIT_MOVEMENTS), id="more movements"),
        pytest.param(frame(SWIFT_COMMIT_MOVEMENTS + 1), id="a backlog"),
        pytest.param(void(), id="a void, which the ledger weighs"),
        pytest.param(lambda _connection: None, id="a job of an administrator"),
    ],
)
def test_whatever_may_take_longer_is_left_to_the_writers_thread(handing: Handing, work: Any) -> None:
    handing.hand_in(frame(1), work)
    assert handing.ledger.commits == []
    assert handing.is_left()


def test_while_commits_are_slow_the_writers_thread_makes_them(handing: Handing) -> None:
    handing.clock.commit_seconds = SWIFT_COMMIT_SECONDS * 1.01
    handing.hand_in(frame(1))
    assert handing.ledger.commits == [[1]]  # what was slow is known afterwards
    handing.hand_in(frame(1))
    assert handing.is_left()
    handing.clock.commit_seconds = SWIFT_COMMIT_SECONDS * 0.99
    assert handing.writer.step()
    handing.hand_in(frame(1))
    assert handing.ledger.commits == [[1], [1], [1]]
    assert not handing.is_left()


def test_what_another_thread_hands_in_meanwhile_is_committed_by_the_writers_thread(handing: Handing) -> None:
    late: list[Ticket] = []

    def hand_in_more(_outcome: Any, _error: Exception | None) -> None:
        thread = threading.Thread(target=lambda: late.append(handing.writer.submit(frame(2, terminal="T2"))))
        thread.start()
        thread.join(HANG_SECONDS)

    handing.writer.start()
    with handing.turn:
        handing.writer.submit(frame(1), hand_in_more)
    handing.turn.afterwards()
    assert len(late[0].wait().results) == 2
    handing.writer.close()
    assert handing.ledger.commits == [[1], [2]]


def test_what_is_handed_in_while_the_writers_thread_commits_waits_for_it(handing: Handing) -> None:
    is_busy, may_end = threading.Event(), threading.Event()

    def stay(_connection: Any) -> bool:
        is_busy.set()
        return may_end.wait(HANG_SECONDS)

    handing.writer.start()
    job = handing.writer.submit(stay)
    assert is_busy.wait(HANG_SECONDS)
    handing.hand_in(frame(1))
    assert handing.ledger.commits == []
    may_end.set()
    assert job.wait()
    wait_until(lambda: handing.ledger.commits == [[1]], "the frame to be committed")
    handing.writer.close()
    assert handing.committed_by != [threading.get_ident()]


def test_a_commit_that_leaves_the_ledger_unknown_ends_the_writer_on_whatever_thread(tmp_path: Path) -> None:
    fatal: list[Exception] = []
    handing = Handing(tmp_path, fatal.append)
    handing.writer.start()

    def fail(_transaction: Any) -> None:
        raise OperationalError("COMMIT", None, Exception("disk I/O error"))

    handing.writer._database.commit = fail  # type: ignore[method-assign, assignment]
    [ticket] = handing.hand_in(frame(1))
    assert isinstance(ticket.error, OutcomeUnknown)
    assert len(fatal) == 1
    handing.writer._thread.join(HANG_SECONDS)
    assert not handing.writer._thread.is_alive()
    with pytest.raises(OutcomeUnknown):
        handing.writer.submit(frame(1))


def test_a_writer_that_falls_over_on_another_thread_fails_for_good(
    handing: Handing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall_over(_tickets: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(handing.writer, "_commit", fall_over)
    [ticket] = handing.hand_in(frame(1))
    assert isinstance(ticket.error, OutcomeUnknown)


def test_a_turn_without_work_commits_nothing(handing: Handing) -> None:
    handing.hand_in()
    assert handing.ledger.commits == []


def test_a_server_answers_a_lone_till_on_the_thread_that_reads_its_frames(tmp_path: Path) -> None:
    url, turn, threads = f"sqlite:///{tmp_path / 'served.db'}", InterpreterTurn(), []
    upgrade(url)
    store = open_store(url, Settings(), now_microseconds, turn=turn)
    store._writer._timer = Clock()
    carry_out = store._writer._judge.carry_out

    def noted(connection: Any, works: Any) -> Any:
        threads.append(threading.current_thread().name)
        return carry_out(connection, works)

    store._writer._judge.carry_out = noted  # type: ignore[method-assign]
    application = Application(Settings(), store, [Address("127.0.0.1", 0)], dev=True, turn=turn)
    application.start()
    with LineClient(application.addresses[0]) as client:
        client.call("hello", terminal="till-1", location="north")
        wait_until(lambda: store._writer._is_swift and not store._writer._is_committing, "the end of the commit")
        for _ in range(2):  # the second time it is a duplicate
            results = client.call("post", postings=[{"id": ID, "body": SALE}])["result"]["results"]
    application.stop()
    assert results[0]["status"] == "duplicate"
    [hello, first, second] = threads
    assert hello == "tillwire-writer"  # it is not known yet how long a commit takes
    assert first == second != hello
