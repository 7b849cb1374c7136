"""Revoking a terminal, or giving it a new token, ends its connections, to whichever server of the ledger they are."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from inventory_server.app import Application
from inventory_server.config import REVOCATIONS_PAGE, Settings
from inventory_server.domain.requests import ListTerminals, MoveTerminal, RevokeTerminal, RotateToken, SetLocation
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.revocations import Revocations
from inventory_server.store import LedgerStore, StoreError
from pos_client.protocol.address import Address
from tests.support.edge import LineClient
from tests.support.ledgers import Clock, hello, opened
from tests.support.waiting import wait_until


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[LedgerStore]:
    with opened(tmp_path / "hq.db", clock) as store:
        for terminal in ("T1", "T2"):
            hello(store, terminal)
        yield store


def administer(store: LedgerStore, change: Any) -> None:
    store.submit(change).wait()


def looking(store: LedgerStore) -> tuple[Revocations, list[str]]:
    """What has looked once, and the terminals that it will hang up on."""
    ended: list[str] = []
    revocations = Revocations(store.ask, lambda terminal, _at: ended.append(terminal))
    revocations.look()
    return revocations, ended


def test_what_happened_since_the_last_look_is_found_once(store: LedgerStore) -> None:
    administer(store, RevokeTerminal("T1", actor=HEADQUARTERS))
    revocations, ended = looking(store)
    assert ended == []
    administer(store, RevokeTerminal("T2", actor=HEADQUARTERS))
    administer(store, SetLocation("L1", "Shop", actor=HEADQUARTERS))
    administer(store, RotateToken("T1", "new", actor=HEADQUARTERS))
    revocations.look()
    revocations.look()
    assert ended == ["T2", "T1"]


def test_more_changes_than_a_page_are_all_looked_at(store: LedgerStore) -> None:
    revocations, ended = looking(store)
    administer(store, RevokeTerminal("T1", actor=HEADQUARTERS))
    for _ in range(REVOCATIONS_PAGE + 1):
        administer(store, SetLocation("L1", "Shop", actor=HEADQUARTERS))
    revocations.look()
    assert ended == ["T1"]


def test_a_refused_change_ends_nothing(store: LedgerStore) -> None:
    revocations, ended = looking(store)
    with pytest.raises(StoreError):
        administer(store, RevokeTerminal("T9", actor=HEADQUARTERS))
    revocations.look()
    assert ended == []


def test_a_database_that_is_away_is_asked_again(store: LedgerStore, caplog: pytest.LogCaptureFixture) -> None:
    ended: list[str] = []
    away = [True]

    def ask(question: Any) -> Any:
        if away[0]:
            raise StoreError("The database is away.")
        return store.ask(question)

    revocations = Revocations(ask, lambda terminal, _at: ended.append(terminal))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            revocations.look()
    assert caplog.text.count("event=revocations_not_read error=The database is away.") == 1
    away[0] = False
    revocations.look()
    administer(store, RevokeTerminal("T1", actor=HEADQUARTERS))
    revocations.look()
    assert ended == ["T1"]


def test_the_connections_of_a_revoked_terminal_are_closed_and_no_others(
    store: LedgerStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inventory_server.revocations.REVOCATIONS_SECONDS", 0.01)
    address = Address("127.0.0.1", 0)
    application = Application(Settings(), store, [address], dev=True, clock=clock, hangs_up_on_revoked=True)
    application.start()
    with ExitStack() as exits:
        exits.callback(application.stop)
        first, second, other = (exits.enter_context(LineClient(application.addresses[0])) for _ in range(3))
        for client, terminal in ((first, "T1"), (second, "T1"), (other, "T2")):
            assert "result" in client.call("hello", terminal=terminal)
        wait_until(lambda: application._revocations is not None and application._revocations._seen is not None)
        clock.now += 1
        administer(store, RotateToken("T1", "new", actor=HEADQUARTERS))
        assert (first.read_line(), second.read_line()) == (b"", b"")
        clock.now += 1
        again = exits.enter_context(LineClient(application.addresses[0]))
        assert "result" in again.call("hello", terminal="T1")
        administer(store, SetLocation("L1", "Shop", actor=HEADQUARTERS))
        assert "result" in other.call("ping")
        assert "result" in again.call("ping")


def test_a_till_that_was_moved_is_hung_up_on_after_its_next_ping(
    store: LedgerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inventory_server.heartbeats.PINGS_SECONDS", 0.01)
    application = Application(Settings(), store, [Address("127.0.0.1", 0)], dev=True)
    application.start()
    with ExitStack() as exits:
        exits.callback(application.stop)
        moved, other = (exits.enter_context(LineClient(application.addresses[0])) for _ in range(2))
        for client, terminal in ((moved, "T1"), (other, "T2")):
            assert "result" in client.call("hello", terminal=terminal)
        administer(store, SetLocation("L2", "Shop", actor=HEADQUARTERS))
        administer(store, MoveTerminal("T1", "L2", actor=HEADQUARTERS))
        assert "result" in other.call("ping")
        assert "result" in moved.call("ping")
        assert moved.read_line() == b""
        assert "result" in other.call("ping")


def test_pings_are_written_with_what_comes_next_or_at_the_end(store: LedgerStore, clock: Clock, tmp_path: Path) -> None:
    application = Application(Settings(), store, [Address("127.0.0.1", 0)], dev=True, clock=clock)
    application.start()
    with ExitStack() as exits:
        exits.callback(application.stop)
        one, other = (exits.enter_context(LineClient(application.addresses[0])) for _ in range(2))
        for client, terminal in ((one, "T1"), (other, "T2")):
            assert "result" in client.call("hello", terminal=terminal)
        before = contacts(store)
        clock.now += 1_000_000
        pinged = clock.now
        for client in (one, other):
            assert "result" in client.call("ping")
        assert contacts(store) == before
        clock.now += 500_000
        one.send(b'[{"id":1,"method":"ping"},{"id":2,"method":"bye","params":{"pending":0}}]\n')
        assert b'"id":2' in one.read_line()
        assert contacts(store) == {**before, "T1": clock.now}
        clock.now += 500_000
    with opened(tmp_path / "hq.db", clock) as reopened:
        assert contacts(reopened) == {"T1": pinged + 500_000, "T2": pinged}


def contacts(store: LedgerStore) -> dict[str, int | None]:
    """When HQ last heard of each terminal."""
    return {row.terminal: row.contact_at for row in store.ask(ListTerminals(actor=HEADQUARTERS))}
