"""What storage does to the store: a full disk is waited out, an error of the disk ends it, a bug hurts one frame."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from inventory_server.config import Settings
from inventory_server.domain.requests import Item, Post
from inventory_server.store import LedgerStore, OutcomeUnknown, StoreError, open_store
from inventory_server.store.database.base import ErrorClass
from inventory_server.store.ledger.sql import run
from inventory_server.store.write import posting
from pos_client.protocol.errors import RequestError
from pos_client.protocol.units import QUANTITY_MAX, QUANTITY_UNIT
from tests.support.ledgers import (
    Clock,
    Till,
    body,
    find,
    hello,
    level,
    opened,
    outcome_of,
    post,
    proof_of,
    stock,
    together,
    uid,
    url_of,
)
from tests.support.maintenance import administer

SALE = body("sale", ("a", 1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def store(path: Path) -> Iterator[LedgerStore]:
    with opened(path) as store:
        yield store
        proof = proof_of(path)
    assert proof.holds, proof.findings


def pragma(store: LedgerStore, text: str) -> Any:
    """Set or read a setting of the writing connection, while the writer has nothing to do."""
    driver: Any = store._writer._transactions.connection.connection.driver_connection
    found = driver.execute(f"PRAGMA {text}").fetchone()
    return found and found[0]


def assert_busy(error: object) -> None:
    assert isinstance(error, RequestError)
    assert (error.code.name, error.retryable, error.data["retry_after_ms"]) == ("busy", True, 5_000)
    assert error.message == "HQ's database accepts no writes at the moment; nothing was posted."


# ---------------------------------------------------------------------------------- what passes


def test_a_full_database_is_busy_until_there_is_room(store: LedgerStore) -> None:
    till = Till(store)
    pragma(store, f"max_page_count = {pragma(store, 'page_count')}")
    frame = [till.item(body("sale", *((f"sku{n}", 1) for n in range(300)))) for _ in range(20)]
    for _ in range(2):
        assert_busy(outcome_of(lambda: post(store, till.speaker, *frame)))
    assert stock(store).items == []
    assert post(store, till.speaker, parent=till.welcome.parent).position == 0, "the chain has not moved on"
    pragma(store, "max_page_count = 1000000")
    assert {result.status for result in post(store, till.speaker, *frame).results} == {"posted"}
    assert level(store, "sku0").on_hand == -20


def test_all_frames_of_a_commit_that_finds_no_room_are_told_so(store: LedgerStore) -> None:
    tills = [Till(store, name, "L1") for name in ("T1", "T2")]
    pragma(store, "query_only = 1")
    for error in together(store, *(Post(till.speaker, [till.item(SALE)], None) for till in tills)):
        assert_busy(error)
    pragma(store, "query_only = 0")
    assert [till.posts(SALE).status for till in tills] == ["posted", "posted"]


def test_a_database_locked_by_another_process_is_busy_until_it_is_free(path: Path, store: LedgerStore) -> None:
    till = Till(store)
    pragma(store, "busy_timeout = 10")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        frame = till.item(SALE)
        assert_busy(outcome_of(lambda: post(store, till.speaker, frame)))
        assert stock(store).items == [], "reading goes on"
        other.execute("ROLLBACK")
    assert post(store, till.speaker, frame).results[0].status == "posted"


def test_an_administrator_hears_what_is_wrong_in_a_sentence(store: LedgerStore) -> None:
    pragma(store, "query_only = 1")
    with pytest.raises(StoreError, match="is read-only; give this user write access"):
        administer(store, lambda connection: connection.exec_driver_sql("DELETE FROM posting"))
    pragma(store, "query_only = 0")


# ---------------------------------------------------------------------------------- what is somebody's bug


def poisoned(monkeypatch: pytest.MonkeyPatch, poison: object) -> None:
    """Have one posting fall over in a way that nobody foresaw."""

    def falls_over(batch: Any, settings: Any, speaker: Any, item: Item) -> Any:
        if item.id == poison:
            raise RuntimeError("a bug")
        return posting.enter(batch, settings, speaker, item)

    monkeypatch.setattr("inventory_server.store.write.judge.enter", falls_over)


def test_a_posting_that_crashes_its_rules_spoils_only_its_own_frame(
    store: LedgerStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    poisoned(monkeypatch, uid("poison"))
    tills = [Till(store, f"T{n}", f"L{n}") for n in range(3)]
    works = [Post(till.speaker, [till.item(SALE)], till.welcome.parent) for till in tills]
    works[1] = Post(tills[1].speaker, [tills[1].item(SALE), tills[1].item(SALE, uid("poison"))], None)
    first, spoilt, last = together(store, *works)
    assert isinstance(spoilt, RuntimeError)
    assert [outcome.results[0].position for outcome in (first, last)] == [1, 2]  # type: ignore[union-attr]
    assert {found.location for found in stock(store).items} == {"L0", "L2"}, "nothing of the frame that fell over"
    assert "commit_failed" in caplog.text
    assert find(store, works[0].items[0].id).location == "L0"


def test_a_level_first_named_in_a_commit_that_was_rolled_back_is_known_later(
    store: LedgerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the writer remembers between commits must not outlive a rollback."""
    poisoned(monkeypatch, uid("poison"))
    till = Till(store)
    out = body("transfer_out", ("a", 1), other_location="L9")
    frame = [till.item(out), till.item(body("void", voids=uid("x"))), till.item(SALE, uid("poison"))]
    assert isinstance(outcome_of(lambda: post(store, till.speaker, *frame)), RuntimeError)
    post(store, till.speaker, frame[0])
    assert ("L9", "a") in {(found.location, found.sku) for found in stock(store).items}


def test_a_figure_beyond_64_bit_is_refused_and_its_neighbours_are_posted(store: LedgerStore) -> None:
    till = Till(store)
    units = 2**63 - 1
    till.posts(body("receipt", ("a", 1)))
    most = f"UPDATE level SET on_hand = {units - 1}, moved = 1"
    administer(store, lambda connection: connection.exec_driver_sql(most))
    refused, fine = till.post(body("receipt", ("a", QUANTITY_MAX)), body("receipt", ("b", QUANTITY_MAX))).results
    assert (refused.status, refused.code) == ("rejected", "too_much")
    assert "'a' at 'L1'" in (refused.reason or "")
    assert fine.status == "posted"
    mended = "UPDATE level SET on_hand = 100000, moved = 100000 WHERE sku = 'a'"
    administer(store, lambda connection: connection.exec_driver_sql(mended))


FIGURES = {
    "what is in transit of 'a' at 'L2'": ("UPDATE level SET in_transit = {} WHERE location = 'L2'", "transfer_out", 1),
    "what is reserved of 'a' at 'L1'": (
        "UPDATE document SET quantity = {0}, remaining = {0} WHERE kind = 1",
        "reserve",
        1,
    ),
    "the control total of terminal T1": ("UPDATE lineage SET quantity = {} WHERE terminal = 'T1'", "receipt", -1),
}
"""What sets each figure, a posting that would exceed it, and what it truly is."""


@pytest.mark.parametrize("figure", FIGURES)
def test_a_posting_that_would_have_a_figure_leave_64_bits_is_refused_alone(store: LedgerStore, figure: str) -> None:
    def put(units: int) -> None:
        administer(store, lambda connection: connection.exec_driver_sql(alter.format(units)))

    hello(store, "T2", "L2")
    till = Till(store)
    till.post(body("transfer_out", ("a", 1), other_location="L2"), body("reserve", ("a", 1)))
    alter, kind, truly = FIGURES[figure]
    put(2**63 - 2)
    fields = {"other_location": "L2"} if kind == "transfer_out" else {}
    too_much = till.item(body(kind, ("a", 2), **fields))  # type: ignore[arg-type]
    frame = [till.item(body("sale", ("b", 0))), too_much, till.item(body("count", ("b", 3)))]
    first, refused, last = post(store, till.speaker, *frame).results
    assert (first.status, last.status) == ("posted", "posted")
    assert (refused.status, refused.code) == ("rejected", "too_much")
    assert refused.reason == f"{figure} would exceed 92,233,720,368,547.75807, the most that HQ can count"
    assert post(store, till.speaker, too_much).results == [refused]
    put(truly * QUANTITY_UNIT)


@pytest.mark.parametrize(
    ("statement", "parameters", "verdict"),
    [
        ("SELECT abs(?)", (-(2**63),), ErrorClass.WORK_FAILED),
        ("SELECT abs(-9223372036854775807 - 1)", (), ErrorClass.WORK_FAILED),
        ("INSERT INTO ledger SELECT * FROM ledger", (), ErrorClass.WORK_FAILED),
        ("SELECT nothing FROM posting WHERE position = ?", (1,), ErrorClass.UNAVAILABLE),
        ("SELECT * FROM nowhere", (), ErrorClass.UNAVAILABLE),
    ],
)
def test_an_overflow_is_ones_own_and_a_missing_column_everybodys(
    store: LedgerStore, statement: str, parameters: tuple[int, ...], verdict: ErrorClass
) -> None:
    """SQLite gives both of them the same code."""
    error = outcome_of(lambda: store._writer.perform(lambda connection: run(connection, statement, parameters)))
    assert isinstance(error, DBAPIError)
    assert store._database.classify_error(error, committing=False) is verdict


# ---------------------------------------------------------------------------------- what ends the store


class Failing:
    """A store and what it said when it failed."""

    def __init__(self, path: Path) -> None:
        self.fatal: list[Exception] = []
        self.store = open_store(url_of(path), Settings(), Clock(), self.fatal.append)

    def assert_failed(self, *errors: object) -> None:
        """Nothing is answered any more, and whoever runs the store has been told, once."""
        assert errors
        assert {type(error) for error in errors} == {OutcomeUnknown}
        after = outcome_of(lambda: Till(self.store, "T9", "L9"))
        assert isinstance(after, OutcomeUnknown)
        assert isinstance(after.__cause__, OutcomeUnknown)
        self.store.close()
        assert len(self.fatal) == 1
        assert isinstance(self.fatal[0], OutcomeUnknown)


@pytest.fixture
def failing(path: Path) -> Iterator[Failing]:
    with opened(path):
        pass
    failing = Failing(path)
    yield failing
    failing.store.close()


def test_an_error_while_committing_leaves_the_outcome_open(failing: Failing, path: Path) -> None:
    till, other = Till(failing.store), Till(failing.store, "T2", "L2")

    def lost(_: Connection) -> None:
        raise ConnectionError("somewhere between here and the disk")

    event.listen(failing.store._writer._transactions.connection.engine, "commit", lost)
    works = [Post(each.speaker, [each.item(SALE)], None) for each in (till, other)]
    failing.assert_failed(*together_or_failed(failing.store, *works))
    assert proof_of(path).holds


def together_or_failed(store: LedgerStore, *works: Post) -> list[object]:
    """Like `together`; the job that holds the writer back fails too."""
    gate, writer = threading.Event(), store._writer
    held = writer.submit(lambda _: gate.wait())
    tickets = [writer.submit(work) for work in works]
    gate.set()
    return [outcome_of(ticket.wait) for ticket in (held, *tickets)]


def damage_ids(path: Path) -> None:
    """Overwrite the beginning of the table of ids in a ledger that nobody has open."""
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'identity'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 100)


def test_a_question_that_meets_a_damaged_page_is_answered_in_a_sentence(path: Path) -> None:
    with opened(path) as store:
        Till(store).posts(SALE, uid("one"))
    damage_ids(path)
    with opened(path) as damaged, pytest.raises(StoreError, match="is damaged; restore the last backup"):
        find(damaged, uid("one"))


def test_a_damaged_page_ends_the_store(failing: Failing, path: Path) -> None:
    Till(failing.store).posts(SALE)
    failing.store.close()
    damage_ids(path)
    damaged = Failing(path)
    till = Till(damaged.store)
    damaged.assert_failed(outcome_of(lambda: till.posts(SALE)))


def test_a_rollback_that_fails_ends_the_store(failing: Failing) -> None:
    def broken(connection: Connection) -> None:
        connection.connection.driver_connection.close()  # type: ignore[union-attr]
        raise ValueError("after the connection was lost")

    failing.assert_failed(outcome_of(lambda: administer(failing.store, broken)))


def test_those_who_were_answered_before_it_failed_keep_their_answers(
    failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One frame spoils a commit, so each gets its own; then the disk fails under the last."""
    poisoned(monkeypatch, uid("poison"))
    tills = [Till(failing.store, f"T{n}", f"L{n}") for n in range(4)]
    works = [Post(till.speaker, [till.item(SALE)], None) for till in tills]
    works[1] = Post(tills[1].speaker, [tills[1].item(SALE, uid("poison"))], None)
    commits: list[Connection] = []

    def fails_the_third_time(connection: Connection) -> None:
        commits.append(connection)
        if len(commits) == 3:  # the job that holds the writer back, the first frame, the third frame
            raise ConnectionError

    event.listen(failing.store._writer._transactions.connection.engine, "commit", fails_the_third_time)
    _, first, second, *rest = together_or_failed(failing.store, *works)
    assert first.results[0].status == "posted"  # type: ignore[attr-defined]
    assert isinstance(second, RuntimeError)
    failing.assert_failed(*rest)
