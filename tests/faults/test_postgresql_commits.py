"""What PostgreSQL does to a commit: it is repeated where nothing happened, unanswered where nobody knows."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import pytest
from sqlalchemy import Connection, Transaction, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from inventory_server.config import COMMIT_LOCK_SECONDS, POSTGRESQL_CONNECT_SECONDS, Settings
from inventory_server.store import LedgerStore, OutcomeUnknown, StoreError
from inventory_server.store.database.base import ErrorClass
from inventory_server.store.database.postgresql import Postgresql
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.transport.limits import REPLY_SECONDS
from tests.support.ledgers import NOON, Till, body, level, opened, outcome_of, proof_of, stock, uid
from tests.support.maintenance import administer
from tests.support.postgres import Cluster
from tests.support.sites import PostgresSite
from tests.support.waiting import HANG_SECONDS, wait_until

SALE = body("sale", ("a", 1))


@pytest.fixture
def ledger(postgres_site: PostgresSite) -> str:
    return postgres_site.new()


@pytest.fixture
def store(ledger: str) -> Iterator[LedgerStore]:
    with opened(ledger, settings=Settings(commit_retry_seconds=20)) as store:
        yield store
    proof = proof_of(ledger)
    assert proof.holds, proof.findings


@pytest.fixture
def error_classes(monkeypatch: pytest.MonkeyPatch) -> list[ErrorClass]:
    """What was made of each error."""
    seen: list[ErrorClass] = []
    real = Postgresql.classify_error

    def classify_error(self: Postgresql, error: Exception, committing: bool) -> ErrorClass:
        seen.append(real(self, error, committing))
        return seen[-1]

    monkeypatch.setattr(Postgresql, "classify_error", classify_error)
    return seen


def name_of(url: str) -> str:
    return make_url(url).database or ""


def later(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Have `work` done by a thread; its outcome or error is put into the list."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(outcome_of(work)))
    thread.start()
    return thread, found


def once(job: Callable[[Connection], Any]) -> Callable[[Connection], Any]:
    """Do `job` at the first try only."""
    tries = iter([job])
    return lambda connection: next(tries, lambda _: None)(connection)


# ---------------------------------------------------------------------------------- nothing was committed


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03", "57014"])
def test_what_the_database_broke_off_is_repeated_as_a_whole(
    store: LedgerStore, error_classes: list[ErrorClass], state: str
) -> None:
    job = once(lambda connection: connection.execute(text(raising(state))))
    assert administer(store, job) is None
    assert ErrorClass.RETRY in error_classes
    assert Till(store).posts(SALE).status == "posted"


def raising(state: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$"


def test_a_real_deadlock_is_repeated(
    store: LedgerStore, ledger: str, postgres: Cluster, error_classes: list[ErrorClass]
) -> None:
    till = Till(store)
    till.posts(SALE)
    with postgres.connect(name_of(ledger)) as other:
        other.execute("SET deadlock_timeout = '60s'")  # so that it is not this one that gives way
        other.execute("BEGIN")
        other.execute("SELECT * FROM level FOR UPDATE")
        posting, results = later(lambda: till.posts(SALE))
        wait_until(lambda: waiting(postgres, "Lock") > 0, "the writer to wait for the level")
        other.execute("SELECT * FROM ledger FOR UPDATE")
        other.execute("COMMIT")
    posting.join()
    assert results[0].status == "posted"
    assert ErrorClass.RETRY in error_classes
    assert level(store).on_hand == -2


def waiting(postgres: Cluster, kind: str) -> int:
    of_kind = f"'{kind}' IN (wait_event, wait_event_type)"
    [(count,)] = postgres.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {of_kind}")
    return int(count)


def test_a_commit_that_waited_too_long_for_another_servers_starts_anew(
    ledger: str, postgres: Cluster, monkeypatch: pytest.MonkeyPatch, error_classes: list[ErrorClass]
) -> None:
    monkeypatch.setattr("inventory_server.store.database.postgresql.COMMIT_LOCK_SECONDS", 1)
    with opened(ledger) as store, postgres.connect(name_of(ledger)) as other:
        till = Till(store)
        other.execute("BEGIN")
        other.execute("SELECT * FROM ledger FOR UPDATE")
        posting, results = later(lambda: till.posts(SALE))
        wait_until(lambda: ErrorClass.RETRY in error_classes, "the first try to be given up")
        other.execute("COMMIT")
        posting.join()
        assert results[0].status == "posted"


def test_contention_that_lasts_is_no_database_that_is_out(ledger: str, caplog: pytest.LogCaptureFixture) -> None:
    with opened(ledger, settings=Settings(commit_retry_seconds=1)) as store:
        with pytest.raises(StoreError):
            administer(store, lambda connection: connection.execute(text(raising("40001"))))
        assert "event=database_unavailable" not in caplog.text
        assert administer(store, once(lambda connection: connection.execute(text(raising("40001"))))) is None


def test_tills_are_told_busy_before_they_give_up() -> None:
    """The last try begins within `commit_retry_seconds`, connects to one host and waits for another server."""
    limit = next(each for each in fields(Settings) if each.name == "commit_retry_seconds")
    assert limit.metadata["most"] + POSTGRESQL_CONNECT_SECONDS + COMMIT_LOCK_SECONDS < REPLY_SECONDS
    assert Settings().commit_retry_seconds > 3 * COMMIT_LOCK_SECONDS


def test_a_connection_lost_before_the_commit_is_replaced(store: LedgerStore, error_classes: list[ErrorClass]) -> None:
    till = Till(store)
    first = administer(store, lambda connection: connection.execute(text("SELECT pg_backend_pid()")).scalar())
    hang_up = once(lambda connection: connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())")))
    administer(store, hang_up)
    second = administer(store, lambda connection: connection.execute(text("SELECT pg_backend_pid()")).scalar())
    assert ErrorClass.RETRY_NEW_CONNECTION in error_classes
    assert first != second
    assert till.posts(SALE).status == "posted"


def test_a_demoted_primary_is_left_for_a_new_connection(
    store: LedgerStore, ledger: str, postgres: Cluster, error_classes: list[ErrorClass]
) -> None:
    till = Till(store)
    name = name_of(ledger)
    postgres.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    hang_up(postgres, name)
    posting, results = later(lambda: till.posts(SALE))
    wait_until(lambda: error_classes.count(ErrorClass.RETRY_NEW_CONNECTION) >= 3, "some refusals")
    assert results == []
    postgres.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    posting.join()
    assert results[0].status == "posted"


def hang_up(postgres: Cluster, name: str) -> None:
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


def test_past_the_deadline_tills_are_told_busy_and_are_served_again_later(ledger: str, postgres: Cluster) -> None:
    name = name_of(ledger)
    with opened(ledger, settings=Settings(commit_retry_seconds=0)) as store:
        till = Till(store)
        assert level_is(store, None)
        postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        hang_up(postgres, name)
        for ask in (lambda: till.posts(SALE), lambda: stock(store)):
            with pytest.raises(RequestError) as refused:
                ask()
            assert refused.value.code is ErrorCode.busy
        postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        assert till.post(SALE).results[0].status == "posted"
        assert level_is(store, -1)
    assert proof_of(ledger).holds


def level_is(store: LedgerStore, expected: int | None) -> bool:
    return [item.on_hand for item in stock(store).items] == ([] if expected is None else [expected])


def test_questions_survive_connections_that_were_hung_up(store: LedgerStore, ledger: str, postgres: Cluster) -> None:
    Till(store).posts(SALE)
    for _ in range(3):
        assert level(store).on_hand == -1
        hang_up(postgres, name_of(ledger))


EVERYBODYS = ["53100", "53200", "53300", "42501", "42703", "0A000", "55000", "58P01", "XX000"]
"""No room, no right, no such column, a thing not as it should be, a file that is missing."""


@pytest.mark.parametrize("state", EVERYBODYS)
def test_what_would_be_said_to_everybody_is_busy_until_it_is_put_right(
    store: LedgerStore, ledger: str, postgres: Cluster, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    till = Till(store)
    with failing_inserts(postgres, name_of(ledger), state):
        for _ in range(3):
            with pytest.raises(RequestError) as refused:
                till.post(SALE)
            assert refused.value.code is ErrorCode.busy
    assert till.post(SALE).results[0].status == "posted"
    assert caplog.text.count("event=commits_refused") == caplog.text.count("event=commits_resumed") == 1
    assert "Traceback" not in caplog.text


@contextmanager
def failing_inserts(postgres: Cluster, name: str, state: str) -> Iterator[None]:
    """Each posting meets this SQLSTATE, as PostgreSQL itself would raise it."""
    fails = f"RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$"
    postgres.execute(f"CREATE FUNCTION fails() {fails}", name)
    postgres.execute("CREATE TRIGGER fails BEFORE INSERT ON posting FOR EACH STATEMENT EXECUTE FUNCTION fails()", name)
    try:
        yield
    finally:
        postgres.execute("DROP FUNCTION fails CASCADE", name)


@pytest.mark.parametrize("state", ["58030", "XX001", "XX002"])
def test_damage_ends_the_store(ledger: str, postgres: Cluster, state: str) -> None:
    fatal: list[Exception] = []
    with opened(ledger, on_fatal=fatal.append) as store:
        till = Till(store)
        with failing_inserts(postgres, name_of(ledger), state), pytest.raises(OutcomeUnknown):
            till.post(SALE)
        assert len(fatal) == 1
        with pytest.raises(OutcomeUnknown, match="shutting down"):
            till.post(SALE)


@pytest.mark.parametrize("state", ["21000", "22003", "23505", "54000"])
def test_a_fault_of_one_frame_spoils_no_other(store: LedgerStore, ledger: str, postgres: Cluster, state: str) -> None:
    till = Till(store)
    with failing_inserts(postgres, name_of(ledger), state), pytest.raises(DBAPIError):
        till.post(SALE)
    assert till.posts(SALE).status == "posted"


def test_what_cannot_be_written_at_all_is_no_trouble_of_the_database(
    store: LedgerStore, error_classes: list[ErrorClass]
) -> None:
    till = Till(store)
    too_much = [body("receipt", *[("a", 10**9)] * 1_000, at=at) for at in range(NOON, NOON + 10)]
    till.post(*too_much)
    administer(store, lambda connection: connection.execute(text("UPDATE level SET on_hand = 9223372036854775807")))
    assert till.posts(body("return", ("a", 1))).code == "too_much"
    with pytest.raises(StoreError, match="cannot be used: PostgreSQL text fields cannot contain NUL"):
        administer(store, lambda connection: connection.execute(text("SELECT :nul"), {"nul": "\0"}))
    assert set(error_classes) <= {ErrorClass.WORK_FAILED}
    administer(store, lambda connection: connection.execute(text("UPDATE level SET on_hand = moved")))
    assert Till(store, lineage=uid("another life")).posts(SALE).status == "posted"


def test_a_server_that_stands_still_in_a_commit_holds_up_the_others_only_for_a_while(
    ledger: str, monkeypatch: pytest.MonkeyPatch, error_classes: list[ErrorClass]
) -> None:
    monkeypatch.setattr("inventory_server.store.database.postgresql.COMMIT_IDLE_SECONDS", 1)
    asleep, awake = threading.Event(), threading.Event()

    def fall_asleep(connection: Connection) -> None:
        asleep.set()
        awake.wait(HANG_SECONDS)
        connection.execute(text("SELECT 1"))

    with opened(ledger) as still, opened(ledger) as other:
        standing, results = later(lambda: administer(still, once(fall_asleep)))
        asleep.wait(HANG_SECONDS)
        assert Till(other).posts(SALE).status == "posted"
        awake.set()
        standing.join()
        assert results == [None]
    assert ErrorClass.RETRY_NEW_CONNECTION in error_classes


def test_a_server_that_is_told_to_end_does_not_wait_for_the_database(ledger: str, postgres: Cluster) -> None:
    name = name_of(ledger)
    with opened(ledger, settings=Settings(commit_retry_seconds=20)) as store:
        till = Till(store)
        postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        hang_up(postgres, name)
        posting, results = later(lambda: till.posts(SALE))
        wait_until(lambda: store._writer._transactions._connection is None, "the writer to notice")
        store._writer.close()
        posting.join()
        assert isinstance(results[0], RequestError)
    postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    assert proof_of(ledger).holds


# ---------------------------------------------------------------------------------- nobody knows


def cut_before(transaction: Transaction) -> None:
    """The network goes as COMMIT is about to be sent."""
    driver: Any = transaction.connection.connection.driver_connection
    with socket.socket(fileno=driver.fileno()) as line:
        line.shutdown(socket.SHUT_RDWR)
        line.detach()


def cut_after(transaction: Transaction) -> None:
    """COMMIT is done, and its answer is lost."""
    transaction.commit()
    raise OperationalError("COMMIT", None, ConnectionError("lost"))


@pytest.mark.parametrize(("cut", "status"), [(cut_before, "posted"), (cut_after, "duplicate")])
def test_a_commit_that_got_lost_is_answered_by_nobody_and_resolved_by_its_ids(
    store: LedgerStore, monkeypatch: pytest.MonkeyPatch, cut: Callable[[Transaction], None], status: str
) -> None:
    till = Till(store)
    real = Postgresql.commit

    def commit(self: Postgresql, transaction: Transaction) -> None:
        monkeypatch.setattr(Postgresql, "commit", real)
        cut(transaction)
        real(self, transaction)

    monkeypatch.setattr(Postgresql, "commit", commit)
    item = till.item(SALE)
    with pytest.raises(OutcomeUnknown):
        till.posts(SALE, item.id)
    again = Till(store, lineage=uid("another life"))
    assert again.posts(SALE, item.id).status == status
    assert level(store).on_hand == -1


def test_an_administrator_hears_that_nobody_knows(store: LedgerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def commit(_: Postgresql, transaction: Transaction) -> None:
        cut_after(transaction)

    monkeypatch.setattr(Postgresql, "commit", commit)
    with pytest.raises(OutcomeUnknown):
        administer(store, lambda _: None)
    monkeypatch.undo()
    assert Till(store).posts(SALE).status == "posted"


@pytest.mark.long
def test_a_commit_that_lacks_its_standby_is_not_answered() -> None:
    """A COMMIT that is cancelled while it waits for a standby succeeds, with nothing but a warning."""
    settings = {"synchronous_commit": "on", "synchronous_standby_names": ""}
    with Cluster(settings=settings) as cluster:
        site = PostgresSite(cluster)
        ledger = site.new()
        with opened(ledger) as store:
            till = Till(store)
            cluster.stop()
            cluster.start(synchronous_standby_names="nobody")
            item = till.item(SALE)
            posting, results = later(lambda: till.posts(SALE, item.id))
            wait_until(lambda: waiting(cluster, "SyncRep") > 0, "the commit to wait for its standby")
            cluster.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            posting.join()
            assert isinstance(results[0], OutcomeUnknown)
            cluster.stop()
            cluster.start(synchronous_standby_names="")
            assert Till(store, lineage=uid("another life")).posts(SALE, item.id).status == "duplicate"
            assert level(store).on_hand == -1


@pytest.mark.long
def test_service_resumes_by_itself_after_a_crash_of_the_database() -> None:
    with Cluster(durable=True) as cluster:
        ledger = PostgresSite(cluster).new()
        with opened(ledger, settings=Settings(commit_retry_seconds=20)) as store:
            till = Till(store)
            till.posts(SALE)
            cluster.kill()
            posting, results = later(lambda: till.posts(SALE))
            cluster.start()
            posting.join()
            assert (results[0].status, level(store).on_hand) == ("posted", -2)
        assert proof_of(ledger).holds
