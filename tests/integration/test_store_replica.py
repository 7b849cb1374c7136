"""Questions may go to a standby: the position in an answer says how old it is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from inventory_server.app import Application
from inventory_server.clock import now_microseconds
from inventory_server.config import READERS_MAX, STANDBY_ANSWER_SECONDS, Settings
from inventory_server.store import LedgerStore, StoreError, open_store, upgrade
from inventory_server.store.database import postgresql
from inventory_server.store.query import standby as standbys
from pos_client import PosClient
from pos_client.commands import console
from pos_client.protocol.address import Address
from tests.support.ledgers import Till, body, find, hello, item, post, stock, uid
from tests.support.postgres import Cluster, binaries
from tests.support.processes import Server, run
from tests.support.standby import Standby
from tests.support.waiting import HANG_SECONDS, wait_until

pytestmark = [
    pytest.mark.skipif(binaries() is None, reason="no PostgreSQL here"),
    pytest.mark.long,
]

SETTINGS = Settings(accept_weak_durability=True, busy_retry_ms=10)
FOR_EVER = 10**9
SALE = body("sale", ("milk", 1))


@pytest.fixture(scope="module")
def primary() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def standby(primary: Cluster) -> Iterator[Standby]:
    with Standby(primary) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby that was away is asked again at once, and one that is slow is waited for."""
    monkeypatch.setattr(standbys, "STANDBY_RETRY_SECONDS", 0)
    monkeypatch.setattr(postgresql, "STANDBY_CONNECT_SECONDS", int(HANG_SECONDS))
    monkeypatch.setattr(postgresql, "STANDBY_ANSWER_SECONDS", HANG_SECONDS)


@pytest.fixture
def database(primary: Cluster) -> Iterator[str]:
    name = primary.database()
    upgrade(primary.url(name))
    yield name
    primary.drop(name)


@contextmanager
def till(url: str, read_url: str, folder: Path) -> Iterator[PosClient]:
    """A till at a server that writes at `url` and reads at `read_url`."""
    store = open_store(url, SETTINGS, now_microseconds, read_url=read_url)
    application = Application(SETTINGS, store, [Address("127.0.0.1", 0)], dev=True)
    application.start()
    address = str(application.addresses[0])
    try:
        with PosClient(address, terminal="t1", location="north", outbox=folder / "till.db") as client:
            yield client
    finally:
        application.stop()


def sell(client: PosClient, times: int) -> int:
    """Sell one pint of milk so many times; the position of the last one."""
    results = [client.sell([("milk", 1)]).wait(timeout=HANG_SECONDS) for _ in range(times)]
    assert {result.status for result in results} == {"posted"}
    return int(results[-1].position or 0)


def seen(client: PosClient) -> tuple[int, str | None]:
    """The position of an answer about milk, and how much of it there is."""
    answer = client.stock(["milk"])
    return answer.position, str(answer.items[0].on_hand) if answer.items else None


def test_the_position_of_an_answer_tells_how_far_the_standby_is(
    primary: Cluster, standby: Standby, database: str, tmp_path: Path
) -> None:
    wait_for(standby, database)
    with till(primary.url(database), standby.url(database), tmp_path) as client:
        assert sell(client, 3) == 3
        wait_until(lambda: is_at(standby, database, 3), "the standby to catch up")
        with standby.paused():
            assert sell(client, 2) == 5
            assert seen(client) == (3, "-3")
        wait_until(lambda: seen(client) == (5, "-5"), "the standby to catch up")


def test_a_standby_that_is_away_is_done_without(
    primary: Cluster, standby: Standby, database: str, tmp_path: Path
) -> None:
    wait_for(standby, database)
    with till(primary.url(database), standby.url(database), tmp_path) as client:
        assert sell(client, 1) == 1
        standby.stop()
        assert sell(client, 1) == 2
        assert seen(client) == (2, "-2")
        standby.start()
        wait_until(lambda: is_at(standby, database, 2), "the standby to be back")
        with standby.paused():
            assert sell(client, 1) == 3
            assert seen(client) == (2, "-2")


def test_a_server_starts_without_its_standby_and_asks_it_once_it_is_there(
    primary: Cluster, standby: Standby, database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wait_for(standby, database)
    standby.stop()
    with till(primary.url(database), standby.url(database), tmp_path) as client:
        assert sell(client, 1) == 1
        assert seen(client) == (1, "-1")
        assert caplog.text.count("event=standby_unavailable") == 1
        standby.start()
        wait_until(lambda: is_at(standby, database, 1), "the standby to be there")
        with standby.paused():
            assert sell(client, 1) == 2
            assert seen(client) == (1, "-1")
    assert caplog.text.count("event=standby_available") == 1


def test_a_worker_is_replaced_while_the_standby_is_away(
    primary: Cluster, standby: Standby, database: str, tmp_path: Path
) -> None:
    wait_for(standby, database)
    config = tmp_path / "tillwire.toml"
    config.write_text("accept_weak_durability = true\n")
    options = ("--config", str(config), "--workers", "2", "--read-db", standby.url(database))
    server = Server(tmp_path, *options, db=primary.url(database))
    server.start()
    standby.stop()
    first, other = server.workers
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: len(set(server.workers) - {first, other}) == 1, "a new worker")
    (new,) = set(server.workers) - {first, other}
    wait_until(lambda: server.log.read_text().count("event=standby_unavailable") == 1, "the new worker to look")
    with PosClient(server.address, terminal="t1", location="north", outbox=tmp_path / "till.db") as client:
        assert sell(client, 1) == 1
        assert seen(client) == (1, "-1")
    assert set(server.workers) == {other, new}
    server.stop()
    server.start()  # at a start, too, it may be away
    server.stop()
    standby.start()


def test_a_standby_that_stands_still_holds_nobody_up_for_long(
    primary: Cluster,
    standby: Standby,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wait_for(standby, database)
    monkeypatch.setattr(postgresql, "STANDBY_ANSWER_SECONDS", STANDBY_ANSWER_SECONDS)
    url, read_url = primary.url(database), standby.url(database)
    with closing(open_store(url, SETTINGS, now_microseconds, read_url=read_url)) as store:
        till = Till(store)
        till.posts(SALE)
        wait_until(lambda: is_at(standby, database, 1), "the standby to catch up")
        assert asked_by_many(store) == {1}
        monkeypatch.setattr(standbys, "STANDBY_RETRY_SECONDS", FOR_EVER)  # who meets it now must not look again
        with standby.frozen():
            till.posts(SALE)
            assert asked_by_many(store) == {2}
            assert asked_by_many(store) == {2}
        assert caplog.text.count("event=standby_unavailable") == 1
        assert "no answer in time" in caplog.text


def asked_by_many(store: LedgerStore) -> set[int]:
    """The positions that are told to more askers at once than there are connections."""
    positions: list[int] = []
    questions: list[dict[str, Any]] = [{}, {"sku": "milk", "location": "L1"}]
    askers = [
        threading.Thread(target=lambda question=question: positions.append(stock(store, **question).position))
        for question in questions * READERS_MAX
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(positions) == len(askers)
    return set(positions)


def test_who_was_enrolled_a_moment_ago_may_ask(
    primary: Cluster, standby: Standby, database: str, tmp_path: Path
) -> None:
    wait_for(standby, database)
    with till(primary.url(database), standby.url(database), tmp_path) as client, standby.paused():
        assert sell(client, 1) == 1
        assert seen(client) == (1, "-1")  # by the primary: the standby has never heard of this till


def is_at(standby: Standby, database: str, position: int) -> bool:
    return standby.execute("SELECT position FROM ledger", database) == [(position,)]


def wait_for(standby: Standby, database: str) -> None:
    """Wait until a new `database` has arrived, with its tables and all."""

    def has_arrived() -> bool:
        if not standby.execute(f"SELECT 1 FROM pg_database WHERE datname = '{database}'"):
            return False
        if standby.execute("SELECT to_regclass('alembic_version')", database) == [(None,)]:
            return False
        return bool(standby.execute("SELECT 1 FROM alembic_version", database))

    wait_until(has_arrived, "the standby to have the database")


def post_one(url: str) -> None:
    with closing(open_store(url, SETTINGS, now_microseconds)) as store:
        speaker = hello(store, "T1", "north").speaker
        post(store, speaker, item(body("sale", ("milk", 1)), uid(url)))


def test_another_ledger_is_refused(primary: Cluster, database: str, tmp_path: Path) -> None:
    config = tmp_path / "tillwire.toml"
    config.write_text("accept_weak_durability = true\n")
    other = primary.database()
    url, read_url = primary.url(database), primary.url(other)
    upgrade(read_url)
    open_store(url, SETTINGS, now_microseconds, read_url=read_url).close()  # nothing tells them apart yet
    for each in (url, read_url):
        post_one(each)
    with pytest.raises(StoreError, match=r"does not hold the ledger of .*: its posting at position 1 is a different"):
        open_store(url, SETTINGS, now_microseconds, read_url=read_url)
    done = run("inventory-server", "serve", "--db", url, "--read-db", read_url, "--config", config)
    assert done.returncode == console.CANNOT
    assert "does not hold the ledger of" in done.stderr


def test_another_ledger_is_never_asked(primary: Cluster, database: str, caplog: pytest.LogCaptureFixture) -> None:
    other = primary.database()
    upgrade(primary.url(other))
    with closing(open_store(primary.url(database), SETTINGS, now_microseconds, read_url=primary.url(other))) as store:
        speaker = hello(store, "T1", "north").speaker
        post(store, speaker, item(body("sale", ("milk", 1)), uid(database)))
        post_one(primary.url(other))
        primary.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{other}'")
        for _ in range(2):
            assert find(store, uid(database)).status == "posted"
    assert "does not hold the ledger of" in caplog.text


def test_a_standby_ahead_of_its_primary_is_not_asked(
    primary: Cluster, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = primary.database()
    upgrade(primary.url(other))
    post_one(primary.url(other))
    open_store(primary.url(database), SETTINGS, now_microseconds, read_url=primary.url(other)).close()
    assert "if this persists, rebuild the standby from its primary." in caplog.text


NOT_YET = [("no_such_database", "cannot be"), ("template1", "inventory-server db upgrade")]


@pytest.mark.parametrize(("name", "said"), NOT_YET, ids=["not there", "no ledger"])
def test_a_standby_that_cannot_be_asked_yet_is_done_without(
    name: str, said: str, primary: Cluster, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(open_store(primary.url(database), SETTINGS, now_microseconds, read_url=primary.url(name))) as store:
        assert stock(store).items == []
    assert "event=standby_unavailable" in caplog.text
    assert said in caplog.text


def test_a_url_that_names_no_database_is_refused(primary: Cluster, database: str) -> None:
    with pytest.raises(StoreError, match="is not a database URL"):
        open_store(primary.url(database), SETTINGS, now_microseconds, read_url="standby")
