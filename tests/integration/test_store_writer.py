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
from inventory_server.store.database.sqlite import Sqlite
from inventory_server.store.write.writer import Ticket, Writer
from pos_client.protocol.errors import RequestError
from tests.support.ledgers import new_ledger

SPEAKER = Speaker("T1", "till", "Station", 1, None)


class Recorder:
    """A ledger that carries out nothing and remembers how large the frames of each commit were."""

    def __init__(self) -> None:
        self.commits: list[list[int]] = []

    def carry_out(self, _connection: Any, works: list[Any]) -> list[None]:
        self.commits.append([len(work.items) for work in works])
        return [None] * len(works)

    def change(self, connection: Any, job: Callable[[Any], Any]) -> Any:
        return job(connection)

    def forget(self) -> None:
        """There is nothing to forget."""


def writer_of(
    tmp_path: Path, on_fatal: Callable[[Exception], None] | None = None, **limits: int
) -> tuple[Writer, Recorder]:
    new_ledger(tmp_path / "hq.db")
    recorder = Recorder()
    database = Sqlite(tmp_path / "hq.db")
    writing = database.writing_engine()
    return Writer(writing, database, recorder, replace(Settings(), **limits), on_fatal), recorder  # type: ignore[arg-type]


def frame(postings: int) -> Post:
    return Post(SPEAKER, [Item(UUID(int=at), None, b"{}", b"", None, [], None) for at in range(postings)], None)


def submit(writer: Writer, *sizes: int) -> list[Ticket]:
    return [writer.submit(frame(size)) for size in sizes]


def test_sales_rung_up_now_are_committed_before_most_of_a_backlog(tmp_path: Path) -> None:
    writer, ledger = writer_of(tmp_path, commit_backlog_max=250)
    submit(writer, 200, 200, 200, 1, 2)
    while not all(not queue for queue in (writer._live, writer._backlog)):
        writer.step()
    assert ledger.commits == [[1, 2, 200], [200, 200]]


def test_a_backlog_alone_fills_the_commits(tmp_path: Path) -> None:
    writer, ledger = writer_of(tmp_path, commit_postings_max=500)
    submit(writer, 200, 200, 200, 200)
    writer.step()
    writer.step()
    assert ledger.commits == [[200, 200], [200, 200]]


def test_a_frame_larger_than_what_a_commit_has_left_still_goes_with_it(tmp_path: Path) -> None:
    writer, ledger = writer_of(tmp_path, commit_backlog_max=100, commit_postings_max=300)
    submit(writer, 500, 1, 16)
    writer.step()
    assert ledger.commits == [[1, 16, 500]]


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
    assert answered.wait() is None
    assert ledger.commits == [[1, 2]]
    assert "event=answer_failed" in caplog.text


def test_a_writer_that_falls_over_tells_everybody_who_waits_and_whoever_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fatal: list[Exception] = []
    writer, _ledger = writer_of(tmp_path, fatal.append, commit_postings_max=1)
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
