"""The writer's queue: sales rung up now do not wait behind somebody's backlog, and no backlog waits for ever."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from inventory_server.config import Settings
from inventory_server.domain.door import OutcomeUnknown
from inventory_server.domain.requests import Item, Post
from inventory_server.domain.roles import Speaker
from inventory_server.jsonserver import InterpreterTurn
from inventory_server.store.database.sqlite import Sqlite
from inventory_server.store.write.waiting import Ticket
from inventory_server.store.write.writer import Writer
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.messages import PostingResult, PostResult
from tests.support.ledgers import new_ledger

SPEAKER = Speaker("T1", "till", "Station", 1, None)


class Recorder:
    """A ledger that carries out nothing and remembers how large the frames of each commit were."""

    def __init__(self) -> None:
        self.commits: list[list[int]] = []
        self.tills: list[list[str]] = []
        self.parents: list[list[str | None]] = []
        self.refuses_after: int | None = None

    def carry_out(self, _connection: Any, works: list[Any]) -> list[PostResult | RequestError]:
        self.commits.append([len(work.items) for work in works])
        self.tills.append([work.actor.terminal for work in works])
        self.parents.append([work.parent for work in works])
        if self.refuses_after is not None and len(self.commits) > self.refuses_after:
            return [RequestError(ErrorCode.fenced, "Another connection has said hello.", epoch=2) for _ in works]
        results = ([PostingResult(item.id, "posted", 1) for item in work.items] for work in works)
        return [PostResult(each, f"head {len(self.commits)}", len(self.commits), []) for each in results]

    def change(self, connection: Any, job: Callable[[Any], Any]) -> Any:
        return job(connection)

    def forget(self) -> None:
        """There is nothing to forget."""


def writer_of(
    tmp_path: Path, on_fatal: Callable[[Exception], None] | None = None, turn: Any = None, **limits: int
) -> tuple[Writer, Recorder]:
    new_ledger(tmp_path / "hq.db")
    recorder = Recorder()
    database = Sqlite(tmp_path / "hq.db")
    writing = database.writing_engine()
    settings = replace(Settings(), **limits)  # type: ignore[arg-type]
    return Writer(writing, database, recorder, settings, on_fatal, turn), recorder  # type: ignore[arg-type]


def frame(postings: int, lines: int = 0, terminal: str = "T1") -> Post:
    speaker = replace(SPEAKER, terminal=terminal)
    items = [Item(UUID(int=at), None, b"{}", b"", None, [1] * lines, None) for at in range(postings)]
    return Post(speaker, items, "head 0")


def submit(writer: Writer, *sizes: int) -> list[Ticket]:
    return [writer.submit(frame(size, terminal=f"T{at}")) for at, size in enumerate(sizes)]


def test_sales_rung_up_now_are_committed_before_most_of_a_backlog(tmp_path: Path) -> None:
    writer, ledger = writer_of(tmp_path, commit_backlog_max=250)
    submit(writer, 200, 200, 200, 1, 2)
    while not all(not queue for queue in (writer._live, writer._backlog)):
        writer.step()
    assert ledger.commits == [[1, 2, 200], [200, 200]]


def test_a_backlog_alone_fills_the_commits(tmp_path: Path) -> None:
    writer, ledger = writer_of(tmp_path, commit_movements_max=500)
    submit(writer, 200, 200, 200, 200)
    writer.step()
    writer.step()
    assert ledger.commits == [[200, 200], [200, 200]]


def test_a_heavy_frame_is_committed_in_parts_and_answered_once(tmp_path: Path) -> None:
    writer, ledger = writer_of(tmp_path, commit_movements_max=100)
    ticket = writer.submit(frame(25, lines=9))
    for _ in range(2):
        writer.step()
        assert not ticket.settled
    writer.step()
    assert ledger.commits == [[10], [10], [5]]
    assert ledger.parents == [["head 0"], ["head 1"], ["head 2"]]
    result = ticket.wait()
    assert [each.id.int for each in result.results] == list(range(25))
    assert (result.parent, result.position) == ("head 3", 3)


def test_a_posting_heavier_than_a_commit_is_one_by_itself(tmp_path: Path) -> None:
    writer, ledger = writer_of(tmp_path, commit_movements_max=100)
    ticket = writer.submit(frame(2, lines=1_000))
    writer.step()
    writer.step()
    assert ledger.commits == [[1], [1]]
    assert len(ticket.wait().results) == 2


def test_sales_rung_up_now_share_a_commit_with_a_part_of_a_heavy_frame(tmp_path: Path) -> None:
    writer, ledger = writer_of(tmp_path, commit_backlog_max=100, commit_movements_max=300)
    submit(writer, 500, 1, 16)
    writer.step()
    writer.step()
    assert ledger.commits == [[1, 16, 100], [300]]


def test_heavy_parts_take_turns_with_live_sales(tmp_path: Path) -> None:
    writer, ledger = writer_of(tmp_path, commit_backlog_max=1_000)
    submit(writer, 2_500)
    for _ in range(4):
        writer.submit(frame(2, terminal="live"))
    for _ in range(2):
        writer.step()
        writer.submit(frame(2, terminal="live"))
    while writer._live or writer._backlog:
        writer.step()
    assert ledger.commits == [[2, 2, 2, 2], [1_000], [2, 2], [1_500]]


def test_a_heavy_sale_is_a_backlog(tmp_path: Path) -> None:
    writer, ledger = writer_of(tmp_path, commit_backlog_max=100)
    writer.submit(frame(1, lines=1_000, terminal="heavy"))
    writer.submit(frame(1, terminal="light"))
    writer.step()
    writer.step()
    assert ledger.tills == [["light"], ["heavy"]]


def test_an_error_after_a_part_was_committed_is_no_answer(tmp_path: Path) -> None:
    writer, ledger = writer_of(tmp_path, commit_movements_max=100)
    ledger.refuses_after = 1
    ticket = writer.submit(frame(25, lines=9))
    writer.step()
    writer.step()
    with pytest.raises(OutcomeUnknown, match="10 postings of the frame are committed; then: Another connection"):
        ticket.wait()


def test_terminals_take_turns(tmp_path: Path) -> None:
    writer, ledger = writer_of(tmp_path, commit_movements_max=3)
    for terminal in ("A", "A", "A", "A", "B", "C"):
        writer.submit(frame(1, terminal=terminal))
    writer.step()
    writer.step()
    assert ledger.tills == [["A", "B", "C"], ["A", "A", "A"]]


def test_what_shares_a_commit_is_carried_out_in_the_order_of_arrival(tmp_path: Path) -> None:
    writer, ledger = writer_of(tmp_path)
    for terminal in ("A", "A", "B", "A", "C", "B"):
        writer.submit(frame(1, terminal=terminal))
    writer.step()
    assert ledger.tills == [["A", "A", "B", "A", "C", "B"]]


def test_who_has_a_heavy_frame_waits_for_all_others_after_each_part(tmp_path: Path) -> None:
    writer, ledger = writer_of(tmp_path, commit_movements_max=20)
    for terminal in ("A", "B"):
        writer.submit(frame(40, terminal=terminal))
    for _ in range(4):
        writer.step()
    assert ledger.tills == [["A"], ["B"], ["A"], ["B"]]


def test_a_queue_full_of_backlogs_has_room_for_live_sales(tmp_path: Path) -> None:
    writer, _ledger = writer_of(tmp_path, queue_postings_max=100)
    submit(writer, 40)
    with pytest.raises(RequestError, match="40 postings are waiting"):
        submit(writer, 20)
    assert submit(writer, 16)


def test_what_is_handed_in_during_one_turn_is_committed_together(tmp_path: Path) -> None:
    turn = InterpreterTurn()
    writer, ledger = writer_of(tmp_path, turn=turn)
    writer.start()
    with turn:
        tickets = submit(writer, 1, 2, 3)
    turn.afterwards()
    for ticket in tickets:
        ticket.wait()
    writer.close()
    assert ledger.commits == [[1, 2, 3]]


def test_several_answers_are_given_in_a_turn_but_a_single_one_is_not(tmp_path: Path) -> None:
    turn = InterpreterTurn()
    writer, _ledger = writer_of(tmp_path, turn=turn)
    was_turn: list[bool] = []
    for frames in (1, 2):
        for _ in range(frames):
            writer.submit(frame(1), lambda *_: was_turn.append(turn.is_callers()))
        writer.step()
    assert was_turn == [False, True, True]
    assert not turn.is_callers()


def test_an_administrators_job_is_no_turn(tmp_path: Path) -> None:
    turn = InterpreterTurn()
    writer, _ledger = writer_of(tmp_path, turn=turn)
    ticket = writer.submit(lambda _connection: turn.is_callers())
    writer.step()
    assert ticket.wait() is False


def test_an_administrator_is_not_told_that_the_queue_is_full(tmp_path: Path) -> None:
    writer, _ledger = writer_of(tmp_path, queue_postings_max=10)
    submit(writer, 10)
    with pytest.raises(RequestError, match="10 postings are waiting"):
        submit(writer, 1)
    ticket = writer.submit(lambda _connection: 7)
    writer.step()
    assert ticket.wait() == 7


def test_a_job_that_fails_is_logged_and_its_error_goes_to_whoever_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer, ledger = writer_of(tmp_path)
    failing = writer.submit(lambda _connection: 1 // 0)
    writer.step()
    with pytest.raises(ZeroDivisionError):
        failing.wait()
    assert "job_failed" in caplog.text
    submit(writer, 1)
    writer.step()
    assert ledger.commits == [[1]]


def test_an_answer_that_fails_is_logged_and_everybody_else_is_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer, ledger = writer_of(tmp_path)

    def falls_over(outcome: Any, error: Exception | None) -> None:
        raise ZeroDivisionError

    writer.submit(frame(1), falls_over)
    [answered] = submit(writer, 2)
    assert writer.step()
    assert len(answered.wait().results) == 2
    assert ledger.commits == [[1, 2]]
    assert "event=answer_failed" in caplog.text


def test_a_writer_that_falls_over_tells_everybody_who_waits_and_whoever_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fatal: list[Exception] = []
    writer, _ledger = writer_of(tmp_path, fatal.append, commit_movements_max=1)
    waiting = submit(writer, 1, 1)
    monkeypatch.setattr(Writer, "_commit", lambda *_: 1 // 0)
    writer.start()
    for ticket in waiting:
        with pytest.raises(OutcomeUnknown, match="division or modulo by zero"):
            ticket.wait()
    with pytest.raises(OutcomeUnknown, match="the server is shutting down"):
        submit(writer, 1)
    writer.close()
    assert [str(error) for error in fatal] == ["integer division or modulo by zero"]
