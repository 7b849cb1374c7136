"""The audit trail of a change of many transactions: its last commit says `done`, every earlier one `not finished`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Transaction

from inventory_server.domain.requests import ArchivePartitions, CloseBooks, ListAudit, MakePartitions, ReturnPartition
from inventory_server.store import StoreError
from inventory_server.store.database import partitions
from inventory_server.store.database.url import database_of
from inventory_server.store.growth import closing
from inventory_server.store.ledger import tables
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.timetravel import cuts
from tests.support.ledgers import Clock, Till, body, opened
from tests.support.maintenance import ask, change, close_books, read_ledger
from tests.support.partitions import POSITIONS, small
from tests.support.sites import Site, on_postgresql

Left = list[tuple[str, Any]]
FAR_FUTURE = 1 << 60


def left_by_commits(monkeypatch: pytest.MonkeyPatch, ledger: str, look: Callable[[Connection], Any]) -> Left:
    """What each commit from now on leaves to a process that is killed after it: the newest outcome, and `look`."""
    left: Left = []
    kind: Any = type(database_of(ledger))
    commit = kind.commit

    def watched(database: Any, transaction: Transaction) -> None:
        commit(database, transaction)
        left.append((ask(ledger, ListAudit())[-1].outcome, read_ledger(ledger, look)))

    monkeypatch.setattr(kind, "commit", watched)
    return left


def sell(ledger: str, count: int) -> None:
    clock = Clock()
    with opened(ledger, clock) as store:
        Till(store).post(*(body("sale", ("a", 1), at=clock.now, reference=str(number)) for number in range(count)))


def test_the_commit_that_completes_a_closing_says_so(ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "SEGMENT_POSITIONS_LOG2", 2)
    sell(ledger, 5)
    left = left_by_commits(monkeypatch, ledger, lambda connection: len(cuts(connection)))
    assert change(ledger, CloseBooks()) is not None
    assert set(left) == {("not finished", 0), ("done", 1)}
    left.clear()
    assert change(ledger, CloseBooks()) is None
    assert left == [("not finished", 1), ("done", 1)]


def test_a_closing_that_fails_says_why_in_the_entry_that_it_began_with(
    ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "SEGMENT_POSITIONS_LOG2", 2)
    sell(ledger, 5)

    def fails(*_: object) -> None:
        raise StoreError("the disk is gone")

    monkeypatch.setattr(closing, "finish", fails)
    with pytest.raises(StoreError, match="the disk is gone"):
        change(ledger, CloseBooks())
    assert [entry.outcome for entry in ask(ledger, ListAudit())] == ["refused: the disk is gone"]


@pytest.mark.long
@on_postgresql
def test_so_do_those_of_partitions(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "SEGMENTS_MAX", 1)
    ledger = small(site)
    sell(ledger, 2 * POSITIONS)
    close_books(ledger, Clock())

    left = left_by_commits(monkeypatch, ledger, lambda connection: len(partitions.partitions(connection)))
    assert change(ledger, MakePartitions(6, POSITIONS)) > 0
    parts = left[-1][1]
    assert left == [("not finished", left[0][1]), ("done", parts)]
    assert parts > left[0][1]

    left = left_by_commits(monkeypatch, ledger, lambda connection: head_of(connection).archived_position)
    assert len(change(ledger, ArchivePartitions(FAR_FUTURE))) == 2
    assert {position for _, position in left} == {0, POSITIONS - 1, 2 * POSITIONS - 1}
    assert [outcome for outcome, _ in left] == ["not finished"] * (len(left) - 1) + ["done"]

    left.clear()
    assert change(ledger, ReturnPartition()) is not None
    assert left[-1] == ("done", POSITIONS - 1)
    assert {outcome for outcome, _ in left[:-1]} == {"not finished"}
