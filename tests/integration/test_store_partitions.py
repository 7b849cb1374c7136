"""On PostgreSQL a ledger lies in partitions; nobody who posts or asks can tell."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import Table, Transaction, select

from inventory_server.domain.answers import Part
from inventory_server.domain.requests import AdviseOnGrowth, ListAudit, ListPartitions
from inventory_server.store import StoreError
from inventory_server.store.database.partitions import Partition
from inventory_server.store.database.postgresql import Postgresql
from inventory_server.store.growth import partition
from inventory_server.store.ledger import tables
from pos_client.protocol.units import instant
from tests.support.ledgers import NOON, Till, body, find, level, opened, outcome_of, pages_of_history, proof_of, uid
from tests.support.maintenance import ask, copy, make_partitions, read_ledger
from tests.support.partitions import POSITIONS, partitions_of, small
from tests.support.sites import PostgresSite, Site, on_postgresql

pytestmark = on_postgresql  # a ledger in a file has no partitions
FRAME = 256
MILLION = 1 << 20
NEW = [Partition(part << 24, (part + 1) << 24) for part in range(5)] + [Partition(5 << 24, None)]


@pytest.fixture
def ledger(site: Site) -> str:
    return small(site)


def fill(ledger: str, count: int, terminal: str = "T1") -> None:
    with opened(ledger) as store:
        till = Till(store, terminal)
        for first in range(0, count, FRAME):
            till.post(*(body("sale", ("a", 1), at=NOON + first + each) for each in range(min(FRAME, count - first))))


def warning(ledger: str) -> str | None:
    found: str | None = ask(ledger, AdviseOnGrowth())
    return found


def shown(ledger: str) -> list[Part]:
    found: list[Part] = ask(ledger, ListPartitions())
    return found


def rows_of(ledger: str, table: Table) -> list[dict[str, Any]]:
    found: list[Any] = read_ledger(ledger, lambda connection: connection.execute(select(table)).all())
    return [row._asdict() for row in found]


def test_a_new_ledger_has_partitions_ahead_of_it(site: Site) -> None:
    ledger = site.new()
    assert partitions_of(ledger) == NEW
    assert warning(ledger) is None
    assert make_partitions(ledger, 4, 1 << 24) == 0


def test_postings_go_to_their_partitions_and_are_found_there(ledger: str) -> None:
    fill(ledger, 2 * POSITIONS + 10)
    last = uid(("T1", uid("lineage of T1"), 2 * POSITIONS + 10))
    with opened(ledger) as store:
        assert level(store).on_hand == -2 * POSITIONS - 10
        assert level(store, as_of=instant(NOON + POSITIONS + 100)).on_hand == -POSITIONS - 101
        assert [entry.position for entry in pages_of_history(store, "a", 1_000)] == [*range(1, 2 * POSITIONS + 11)]
        assert find(store, last).position == 2 * POSITIONS + 10
        assert Till(store, "T2").posts(body("sale", ("a", 1), at=NOON + 2_057), last).status == "duplicate"
    first, second, third, fourth, *_ = shown(ledger)
    assert [part.postings for part in (first, second, third, fourth)] == [POSITIONS - 1, POSITIONS, 11, 0]
    assert first.last_recorded_at is not None
    assert second.first_recorded_at == first.last_recorded_at + 1
    assert (third.first, third.last, fourth.first_recorded_at) == (2 * POSITIONS, 3 * POSITIONS - 1, None)
    assert proof_of(ledger).findings == []


def test_new_ones_are_made_in_front_of_the_open_ended_one(ledger: str) -> None:
    before = partitions_of(ledger)
    assert make_partitions(ledger, 6, MILLION) == 2
    assert [part.first for part in partitions_of(ledger)] == [
        *(part.first for part in before),
        before[-1].first + MILLION,
        before[-1].first + 2 * MILLION,
    ]
    assert make_partitions(ledger, 6, MILLION) == 0


@pytest.mark.long
def test_what_went_into_the_open_ended_one_stays_where_it_is(site: Site) -> None:
    ledger = small(site, 1)
    assert warning(ledger) is None
    fill(ledger, POSITIONS)
    assert "the ledger is in the last partition; run: inventory-server db partition" in str(warning(ledger))
    fill(ledger, 3 * POSITIONS, "T2")
    assert "in the open-ended partition" in str(warning(ledger))
    assert partitions_of(ledger)[-1].first == 2 * POSITIONS
    overflow = Partition(2 * POSITIONS, 5 * POSITIONS)
    assert make_partitions(ledger, 1, POSITIONS) == 2
    assert partitions_of(ledger)[-3:-1] == [overflow, Partition(5 * POSITIONS, 6 * POSITIONS)]
    assert warning(ledger) is None
    assert shown(ledger)[2].postings == 2 * POSITIONS + 1
    fill(ledger, POSITIONS, "T3")
    assert proof_of(ledger).findings == []


@pytest.mark.long
def test_tills_post_while_partitions_are_made(ledger: str) -> None:
    done, statuses = threading.Event(), []

    def trade() -> None:
        with opened(ledger) as store:
            till = Till(store)
            while not done.is_set():
                statuses.append(till.posts(body("sale", ("a", 1))).status)

    trading = threading.Thread(target=trade)
    trading.start()
    for ahead in range(5, 15):
        make_partitions(ledger, ahead, POSITIONS)
    done.set()
    trading.join()
    assert set(statuses) == {"posted"}
    proof = proof_of(ledger)
    assert (proof.findings, proof.postings) == ([], len(statuses))


def test_who_reads_for_long_is_let_read(site: PostgresSite, ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "PARTITION_RETRY_SECONDS", 0)
    before = partitions_of(ledger)

    def reading(connection: Any) -> None:
        connection.execute(select(tables.posting)).all()
        with pytest.raises(StoreError, match="is locked by another program"):
            make_partitions(ledger, 9, POSITIONS)

    read_ledger(ledger, reading)
    assert partitions_of(ledger) == before
    make_partitions(ledger, 9, POSITIONS)


@pytest.mark.long
def test_nobody_knows_what_a_commit_did_that_broke_off(
    site: PostgresSite, ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = 0

    def breaks_off(_: object, transaction: Transaction) -> None:
        nonlocal commits
        commits += 1
        if commits == 2:  # the first one records in the audit trail that the change began
            site.execute(ledger, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        transaction.commit()

    monkeypatch.setattr(Postgresql, "commit", breaks_off)
    with pytest.raises(StoreError, match="Outcome unknown"):
        make_partitions(ledger, 9, POSITIONS)
    assert ask(ledger, ListAudit())[-1].outcome.partition(":")[0] in ("not finished", "unknown")


AS_POSTING = "(LIKE posting, PRIMARY KEY (position))"
IN_ITS_PLACE = (
    "DROP TABLE posting; ALTER TABLE other RENAME TO posting; "
    "CREATE INDEX ix_posting_reference ON posting (reference) WHERE reference IS NOT NULL"
)
ALTERED = {
    "detached": (
        "ALTER TABLE posting DETACH PARTITION posting_1024",
        "remove_table: posting_1024",
    ),
    "gone": ("DROP TABLE posting_1024", "the partitions of movement are not those of"),
    "both": (
        "DROP TABLE posting_1024, movement_1024",
        "there is no partition from position 1024 on",
    ),
    "no end": (
        "DROP TABLE posting_5120; DROP TABLE movement_5120",
        "there is no partition from position 5120 on",
    ),
    "trigger": ("CREATE TRIGGER mine BEFORE UPDATE ON posting_1024 EXECUTE FUNCTION mine()", "trigger mine"),
    "rule": ("CREATE RULE mine AS ON INSERT TO movement_0 DO INSTEAD NOTHING", "rule mine"),
    "in one": (
        "DROP TABLE movement; CREATE TABLE movement (LIKE posting INCLUDING ALL)",
        "add_column: movement, ",
    ),
    "by another rule": (
        f"CREATE TABLE other {AS_POSTING} PARTITION BY HASH (position); {IN_ITS_PLACE}",
        "posting is partitioned by HASH",
    ),
    "not at all": (
        f"CREATE TABLE other {AS_POSTING}; {IN_ITS_PLACE}",
        "posting is partitioned by nothing",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize(("statements", "expected"), ALTERED.values(), ids=ALTERED)
def test_partitions_that_were_altered_are_refused(site: Site, ledger: str, statements: str, expected: str) -> None:
    if "FUNCTION mine" in statements:
        site.execute(ledger, "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    site.execute(ledger, *statements.split(";"))
    said = outcome_of(lambda: partitions_of(ledger))
    assert isinstance(said, StoreError)
    assert any(f"was altered by hand ({either}" in str(said) for either in expected.split("|")), str(said)


@pytest.mark.long
def test_a_copy_has_partitions_for_all_of_it(site: Site, ledger: str) -> None:
    fill(ledger, 6 * POSITIONS)
    target = small(site, 1)
    assert copy(ledger, target).is_equal
    assert warning(target) is None
    assert partitions_of(target)[1:3] == [Partition(1_024, 2_048), Partition(2_048, 2_048 + (1 << 24))]
    assert proof_of(target).findings == []
