"""Questions take turns by terminal, and end when they take too long or nobody waits for them any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.exc import DBAPIError

from inventory_server.asking import FairThreads
from inventory_server.domain.requests import Stock
from inventory_server.store.database.postgresql import Postgresql
from inventory_server.store.database.sqlite import Sqlite
from inventory_server.store.ledger.sql import plain_rows
from inventory_server.store.ledger.time_limit import TimeLimit, assert_left, limited
from pos_client.protocol.errors import RequestError
from pos_client.protocol.messages import StockParams
from tests.support.ledgers import Till, body, hello, new_ledger, opened, outcome_of
from tests.support.sites import PostgresSite
from tests.support.waiting import HANG_SECONDS, wait_until

ENDLESS = text("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n")


class Gate:
    """Task that waits to be let, and notes whose it was as it begins."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.opened = threading.Event()

    def work(self, name: str) -> Callable[[], None]:
        def wait() -> None:
            self.begun.append(name)
            assert self.opened.wait(HANG_SECONDS)

        return wait

    def has_begun(self, count: int) -> None:
        wait_until(lambda: len(self.begun) == count)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def turns() -> Iterator[FairThreads]:
    turns = FairThreads(4, "test", most_waiting=6)
    yield turns
    turns.close()


def test_one_terminal_has_at_most_half_of_the_threads(turns: FairThreads, gate: Gate) -> None:
    assert all(turns.run(number, "greedy", gate.work("greedy")) for number in range(5))
    gate.has_begun(2)
    assert turns.run("another", "modest", gate.work("modest"))
    gate.has_begun(3)
    assert gate.begun == ["greedy", "greedy", "modest"]
    gate.opened.set()
    gate.has_begun(6)


def test_terminals_are_asked_for_in_turns() -> None:
    turns, gate = FairThreads(1, "test", most_waiting=9), Gate()
    for number, terminal in enumerate(("first", "greedy", "greedy", "greedy", "modest", "shy")):
        assert turns.run(number, terminal, gate.work(terminal))
    gate.opened.set()
    gate.has_begun(6)
    assert gate.begun == ["first", "greedy", "modest", "shy", "greedy", "greedy"]
    turns.close()


def test_who_leaves_gives_its_place_to_others(turns: FairThreads, gate: Gate) -> None:
    for number in range(10):
        assert turns.run(number, f"terminal {number % 2}", gate.work("asked"))
    assert not turns.run("too many", "terminal 2", gate.work("refused"))
    turns.withdraw(9)
    turns.withdraw(9)
    assert turns.run("fits now", "terminal 2", gate.work("fits"))
    gate.opened.set()
    gate.has_begun(10)
    assert sorted(gate.begun) == ["asked"] * 9 + ["fits"]


def ended(after: int) -> TimeLimit:
    """What nobody waits for after it has been asked so often."""
    asked = count()
    return TimeLimit(1_000, lambda: next(asked) < after)


def endless(engine: Engine, statement: object) -> DBAPIError:
    """The error that ends a statement which has begun."""
    with engine.connect() as connection, limited(ended(after=3)), pytest.raises(DBAPIError) as error:
        plain_rows(connection, statement)  # type: ignore[arg-type]
    return error.value


def test_a_statement_on_sqlite_ends_with_its_question(tmp_path: Path) -> None:
    new_ledger(tmp_path / "hq.db")
    engine = Sqlite(tmp_path / "hq.db").reading_engine()
    assert "interrupted" in str(endless(engine, ENDLESS))
    engine.dispose()


def test_a_statement_on_postgresql_is_cancelled_with_its_question(postgres_site: PostgresSite) -> None:
    url = make_url(postgres_site.new())
    engine = Postgresql(url).reading_engine()
    endless(engine, text("SELECT pg_sleep(600)"))

    def sleeping(connection: Connection) -> int | None:
        query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'"
        count: int | None = connection.scalar(text(query))
        return count

    with engine.connect() as connection:
        wait_until(lambda: sleeping(connection) == 0)
    engine.dispose()


def test_a_question_that_takes_too_long_is_answered_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = count(step=6)
    impatient = partial(TimeLimit, timer=lambda: float(next(seconds)))
    with opened(tmp_path / "hq.db") as store:
        Till(store).posts(body("sale", ("a", 1)))
        question = Stock(StockParams(), None, None, actor=hello(store).speaker)
        monkeypatch.setattr("inventory_server.store.query.service.TimeLimit", impatient)
        with pytest.raises(RequestError, match="takes more than 10 s of the database; ask for less") as refused:
            store.ask(question)
        assert refused.value.code.name == "too_large"
        monkeypatch.undo()
        assert len(store.ask(question).items) == 1


def test_a_question_that_nobody_waits_for_is_not_asked(tmp_path: Path) -> None:
    with opened(tmp_path / "hq.db") as store:
        question = Stock(StockParams(), None, None, actor=hello(store).speaker)
        error = outcome_of(lambda: store.ask(question, is_wanted=lambda: False))
        assert isinstance(error, RequestError)
        assert str(error) == "Nobody waits for the answer any more."
        assert_left()
