"""What a standby's failures lead to: whose question it is still asked, and when somebody looks after it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from inventory_server.config import STANDBY_RETRY_SECONDS, Settings
from inventory_server.domain.answers import ValidCode
from inventory_server.domain.changes import EnrolmentCode
from inventory_server.domain.door import Outcome, perform
from inventory_server.domain.requests import (
    REQUESTS,
    CheckToken,
    Enrol,
    FindPosting,
    Hello,
    ListAudit,
    ListCodes,
    RevokeTerminal,
    Stock,
)
from inventory_server.domain.roles import HEADQUARTERS, User
from inventory_server.store.database.base import StoreError
from inventory_server.store.database.url import database_of
from inventory_server.store.dispatch import ANSWERS, SHORTCUTS
from inventory_server.store.query.service import Asking, QueryService
from inventory_server.store.query.standby import FallbackReader
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.messages import PostingParams, StockParams, StockResult
from tests.support.ledgers import Clock, Till, body, enrol, opened, outcome_of, uid, url_of
from tests.support.sites import SqliteSite

EVERYTHING = Stock(StockParams(), None)


class Timer:
    """Seconds, turned by the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Watched(FallbackReader):
    """Counts how often the standby is connected to; its answers about stock fail as they are told to."""

    looks = 0
    failure: Exception | None = None

    def _proven_connection(self) -> Connection:
        self.looks += 1
        return super()._proven_connection()

    def stock(self, at: Asking, question: Stock) -> Outcome:
        if at.database is self._database and self.failure is not None:
            raise self.failure
        return ANSWERS[Stock](at, question)


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    """A ledger of two postings, and one of its standby that knows but the first."""
    primary, standby = tmp_path / "primary.db", tmp_path / "standby.db"
    site = SqliteSite(tmp_path)
    with opened(primary) as store:
        Till(store).posts(body("sale", ("a", 1)))
    Path(site.copy(url_of(primary)).removeprefix("sqlite:///")).rename(standby)
    with opened(primary) as store:
        Till(store).posts(body("sale", ("a", 1)))
    return primary, standby


@contextmanager
def reading(paths: tuple[Path, Path], timer: Timer) -> Iterator[Watched]:
    primary, standby = (database_of(url_of(path)) for path in paths)

    def stock(at: Asking, question: Stock) -> Outcome:
        return answering.stock(at, question)

    with ExitStack() as close:
        engine = primary.reading_engine()
        close.callback(engine.dispose)
        source = QueryService(primary, engine.connect, Settings(), Clock(), {**ANSWERS, Stock: stock}, SHORTCUTS)
        close.callback(source.close)
        answering = Watched(standby, Settings(), Clock(), source, timer)
        close.callback(answering.close)
        yield answering


def position(standby: FallbackReader) -> int:
    outcome = standby.answer(EVERYTHING)
    assert isinstance(outcome, StockResult)
    return outcome.position


def test_who_has_lost_access_is_read_from_the_primary(paths: tuple[Path, Path]) -> None:
    with opened(paths[0]) as store:
        perform(store, Enrol("T9", "till", "L1", actor=HEADQUARTERS))
        perform(store, RevokeTerminal("T9", actor=HEADQUARTERS))
    with reading(paths, Timer()) as standby:
        standby.start()
        assert position(standby) == 1, "the standby answers"
        told = standby.answer(ListAudit(1, None, actor=HEADQUARTERS))
        assert [entry.request for entry in told] == [REQUESTS[RevokeTerminal].name]


def test_codes_are_those_of_the_primary(paths: tuple[Path, Path]) -> None:
    with opened(paths[0]) as store:
        perform(store, Enrol("T9", "till", "L1", code=EnrolmentCode(b"salt", b"key", 2**62), actor=HEADQUARTERS))
    with reading(paths, Timer()) as standby:
        standby.start()
        assert position(standby) == 1, "the standby answers"
        offered = standby.answer(ListCodes(actor=User("a till that enrols", "nobody", "")))
        assert offered == [ValidCode("T9", b"salt", b"key")]


def test_of_a_standby_that_is_away_one_asker_finds_out_at_times_whether_it_is_back(
    paths: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    timer, away = Timer(), paths[1].with_name("away.db")
    paths[1].rename(away)
    with reading(paths, timer) as standby:
        standby.start()
        assert [position(standby) for _ in range(3)] == [2, 2, 2]
        assert standby.looks == 1
        for number in range(2, 4):
            timer.now += STANDBY_RETRY_SECONDS
            assert [position(standby) for _ in range(3)] == [2, 2, 2]
            assert standby.looks == number
        away.rename(paths[1])
        assert position(standby) == 2
        timer.now += STANDBY_RETRY_SECONDS
        assert [position(standby) for _ in range(3)] == [1, 1, 1]
    assert [record.message.split()[0] for record in caplog.records if "event=standby" in record.message] == [
        "event=standby_unavailable",
        "event=standby_available",
    ]


def failure(code: int) -> OperationalError:
    """What SQLAlchemy makes of an error of SQLite."""
    error = sqlite3.OperationalError("as the test says")
    error.sqlite_errorcode = code
    return OperationalError("SELECT", None, error)


@pytest.mark.parametrize(
    ("code", "is_left_out"),
    [
        (sqlite3.SQLITE_TOOBIG, False),  # the question's own fault
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_CORRUPT, True),
    ],
)
def test_whatever_is_the_matter_with_the_standby_the_primary_answers(
    paths: tuple[Path, Path], code: int, is_left_out: bool
) -> None:
    with reading(paths, Timer()) as standby:
        standby.start()
        assert position(standby) == 1
        standby.failure = failure(code)
        assert position(standby) == 2
        standby.failure = None
        assert position(standby) == (2 if is_left_out else 1)


def test_what_the_protocol_has_a_name_for_is_said_by_the_standby(paths: tuple[Path, Path]) -> None:
    with reading(paths, Timer()) as standby:
        standby.start()
        with pytest.raises(RequestError) as refused:
            standby.answer(FindPosting(PostingParams(uid("nothing"))))
        assert refused.value.code is ErrorCode.not_found
        assert position(standby) == 1


def test_nobody_connects_who_waited_for_a_turn_while_it_went_out(paths: tuple[Path, Path]) -> None:
    with reading(paths, Timer()) as standby:
        standby.start()
        looks = standby.looks
        standby._leave_out(failure(sqlite3.SQLITE_BUSY))
        with pytest.raises(StoreError, match="as the test says"):
            standby._standby.ask(EVERYTHING)
        assert standby.looks == looks


def test_a_terminal_that_is_not_replicated_yet_is_known_by_the_primary(paths: tuple[Path, Path]) -> None:
    with opened(paths[0]) as store:
        enrol(store, "T9", "till", "L1")
    with reading(paths, Timer()) as standby:
        standby.start()
        for token, is_known in (("secret", True), ("wrong", False)):
            question = CheckToken(Hello("T9", token, False, None, None, None, None), actor=HEADQUARTERS)
            assert isinstance(outcome_of(partial(standby.answer, question)), RequestError) is not is_known
