"""A proof and a copy take work in proportion to the ledger: four times the stores, four times the work."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from inventory_server.store.admin import copy
from inventory_server.store.ledger import sql, tables
from inventory_server.store.verify import derived, documents, rebuilt, verify
from tests.support import maintenance
from tests.support.ledgers import HOUR, NOON, Clock, Till, body, opened, proof_of, uid
from tests.support.sites import Site, on_sqlite

SKUS = tuple(f"sku {number:03}" for number in range(60))
LINES = 30
STEPS = 20
"""SQLite tells after so many instructions of its virtual machine that it has carried them out."""
ALLOWED = 4.4
"""Four times the ledger, and a little for what a larger tree takes to be searched."""


class Work:
    """What was done: statements, rows read, and the instructions that SQLite took for them."""

    def __init__(self) -> None:
        self.statements = 0
        self.rows = 0
        self.instructions = 0


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    """Count the work of all connections opened meanwhile."""
    work, execute = Work(), sql.run

    def run(connection: Connection, text: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        found = execute(connection, text, parameters)
        work.statements += 1
        work.rows += len(found)
        return found

    def stepped() -> int:
        work.instructions += STEPS
        return 0

    def opened_(connection: Any, _record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.set_progress_handler(stepped, STEPS)

    def before(*_: Any) -> None:
        work.statements += 1

    event.listen(Engine, "connect", opened_)
    event.listen(Engine, "before_cursor_execute", before)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(sql, "run", run)
            yield work
    finally:
        event.remove(Engine, "connect", opened_)
        event.remove(Engine, "before_cursor_execute", before)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is read in pieces takes many of them."""
    monkeypatch.setattr(tables, "SEGMENT_POSITIONS_LOG2", 3)
    monkeypatch.setattr(copy, "COPY_ROWS", 50)
    monkeypatch.setattr(documents, "VERIFY_LINES", 50)
    for module in (derived, documents, rebuilt, verify):
        monkeypatch.setattr(module, "VERIFY_ROWS", 20)


def counted(place: str, stores: int) -> None:
    """Every product of every store is delivered, sold, sent, received, reserved, counted, late, again, and voided."""
    clock = Clock(NOON + 24 * HOUR)
    with opened(place, clock) as store:
        tills = [Till(store, f"T{number}", f"L{number}") for number in range(stores)]
        for till in tills:
            here, there = till.speaker.location, f"of {till.terminal}"
            for number, kind, at, fields in (
                (1, "receipt", NOON, {}),
                (2, "sale", NOON + HOUR, {}),
                (3, "transfer_out", NOON + HOUR, {"other_location": there}),
                (4, "transfer_in", NOON + 2 * HOUR, {"other_location": there}),
                (5, "reserve", NOON + 2 * HOUR, {}),
                (6, "release", NOON + 3 * HOUR, {}),
                (7, "count", NOON + 5 * HOUR, {}),
                (8, "sale", NOON + 6 * HOUR, {}),
                (9, "count", NOON + 4 * HOUR, {}),
                (10, "sale", NOON + HOUR, {}),
                (11, "count", NOON + 7 * HOUR, {}),
            ):
                for first in range(0, len(SKUS), LINES):
                    lines = [(sku, number) for sku in SKUS[first : first + LINES]]
                    till.posts(body(kind, *lines, at=at, **fields), uid((here, number, first)))  # type: ignore[arg-type]
            for first in range(0, len(SKUS), LINES):
                till.posts(body("void", voids=uid((here, 11, first)), at=NOON + 8 * HOUR))


def work_of(job: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> Work:
    with watched(monkeypatch) as work:
        job()
    return work


def assert_in_proportion(one: Work, four: Work) -> None:
    figures = [(name, getattr(one, name), getattr(four, name)) for name in vars(one) if getattr(one, name)]
    assert len(figures) >= 2
    assert [each for each in figures if each[2] > ALLOWED * each[1]] == []


def test_a_proof_grows_with_the_ledger_and_no_faster(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    works = []
    for stores in (1, 4):
        ledger = site.new()
        counted(ledger, stores)
        works.append(work_of(lambda ledger=ledger: proof_of(ledger), monkeypatch))  # type: ignore[misc]
        assert proof_of(ledger).findings == []
    assert_in_proportion(*works)


@on_sqlite
def test_a_copy_grows_with_the_ledger_and_no_faster(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    works = []
    for stores in (1, 4):
        one, other = site.new(), site.new()
        counted(one, stores)
        works.append(work_of(lambda one=one, other=other: maintenance.copy(one, other), monkeypatch))  # type: ignore[misc]
    assert_in_proportion(*works)
