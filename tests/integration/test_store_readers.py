"""Questions share a few reading connections: each sees one snapshot, and whoever fails gives its connection back."""

import re
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from inventory_server.config import READERS_MAX
from inventory_server.domain.requests import ListTerminals
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store.database import postgresql, schema, sqlite
from inventory_server.store.database.pool import ConnectionPool
from inventory_server.store.ledger.sql import run
from tests.support.ledgers import new_ledger, opened
from tests.support.waiting import HANG_SECONDS


@pytest.fixture
def readers(tmp_path: Path) -> ConnectionPool:
    new_ledger(tmp_path / "hq.db")
    return ConnectionPool(sqlite.reading_engine(tmp_path / "hq.db").connect, READERS_MAX)


def position(readers: ConnectionPool) -> int:
    with readers.snapshot() as connection:
        return int(connection.exec_driver_sql("SELECT position FROM ledger").scalar_one())


def test_a_question_that_fails_leaves_its_connection_to_the_next(readers: ConnectionPool) -> None:
    for _ in range(2 * READERS_MAX):
        with pytest.raises(ZeroDivisionError), readers.snapshot():
            raise ZeroDivisionError
    assert position(readers) == 0
    readers.close()


def test_a_connection_that_met_an_error_is_not_used_again(readers: ConnectionPool) -> None:
    for _ in range(2 * READERS_MAX):
        with pytest.raises(DBAPIError):
            _ask_a_connection_that_breaks(readers)
    assert position(readers) == 0
    readers.close()


def _ask_a_connection_that_breaks(readers: ConnectionPool) -> None:
    with readers.snapshot() as connection:
        broken = connection.connection.driver_connection
        assert broken is not None
        broken.close()
        run(connection, "SELECT 1", ())


def test_where_the_database_cannot_be_opened_the_place_is_given_back(tmp_path: Path) -> None:
    readers = ConnectionPool(sqlite.reading_engine(tmp_path / "nothing.db").connect, READERS_MAX)
    for _ in range(2 * READERS_MAX):
        with pytest.raises(DBAPIError), readers.connection():
            raise AssertionError("there is no connection")
    readers.close()


def test_more_askers_than_connections_take_turns(readers: ConnectionPool) -> None:
    answers: list[int] = []
    askers = [threading.Thread(target=lambda: answers.append(position(readers))) for _ in range(5 * READERS_MAX)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(timeout=HANG_SECONDS)
    assert answers == [0] * len(askers)
    readers.close()


def test_a_snapshot_does_not_see_what_is_committed_after_its_first_look(
    readers: ConnectionPool, tmp_path: Path
) -> None:
    writing = sqlite.writing_engine(tmp_path / "hq.db")
    with readers.snapshot() as connection:
        before = connection.exec_driver_sql("SELECT position FROM ledger").scalar_one()
        with writing.begin() as other:
            other.exec_driver_sql("UPDATE ledger SET position = 7")
        assert connection.exec_driver_sql("SELECT position FROM ledger").scalar_one() == before
    assert position(readers) == 7
    readers.close()
    writing.dispose()


def test_connections_are_renewed_but_for_those_in_use(readers: ConnectionPool) -> None:
    with ExitStack() as used:
        first = used.enter_context(readers.connection())
        readers.renew()
        others = [used.enter_context(readers.connection()) for _ in range(READERS_MAX - 1)]
        readers.renew()
        assert position_on(first) == 0
    assert len({id(each) for each in (first, *others)}) == READERS_MAX
    readers.renew()
    assert position(readers) == 0
    readers.close()


def position_on(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT position FROM ledger").scalar_one())


def test_a_listing_of_an_open_store_is_statements_on_a_connection_it_has(
    ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No engine, no new connection, no comparison of schemas: only the listing."""
    engines: list[object] = []
    compared: list[object] = []
    connected: list[object] = []
    statements: list[str] = []

    def note_statement(*given: Any) -> None:
        statements.append(given[2])

    def note_connection(*given: Any) -> None:
        connected.append(given)

    for module in (sqlite, postgresql):
        monkeypatch.setattr(module, "create_engine", _counted(module.create_engine, engines))
    monkeypatch.setattr(schema, "assert_schema", _counted(schema.assert_schema, compared))
    with opened(ledger) as store, ExitStack() as listening:
        question = ListTerminals(actor=HEADQUARTERS)
        for _ in range(READERS_MAX):  # by then every reading connection is open
            assert store.ask(question) == []
        assert (len(engines), len(compared)) == (2, 1), "one to write, one to read; compared at opening"
        for name, note in (("before_cursor_execute", note_statement), ("engine_connect", note_connection)):
            event.listen(Engine, name, note)
            listening.callback(event.remove, Engine, name, note)
        for _ in range(3):
            assert store.ask(question) == []
        froms = re.compile(r"^SELECT .*FROM (\w+)", re.DOTALL)
        read = [table for statement in statements for table in froms.findall(statement)]
        assert read == ["former_location", "adoption", "terminal"] * 3
        assert (connected, len(engines), len(compared)) == ([], 2, 1)


def _counted(function: Callable[..., Any], calls: list[object]) -> Callable[..., Any]:
    def counting(*given: Any, **named: Any) -> Any:
        calls.append(given)
        return function(*given, **named)

    return counting
