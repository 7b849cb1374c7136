"""What administrators do to a whole ledger, in one call each, by the requests that their commands make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from inventory_server.admin.office import open_office
from inventory_server.clock import Clock, now_microseconds
from inventory_server.config import Settings
from inventory_server.domain.answers import ArchivedPart, ClosedBooks, Comparison, Proof
from inventory_server.domain.door import Outcome, Progress, no_progress
from inventory_server.domain.requests import (
    Administrative,
    ArchivePartitions,
    CloseBooks,
    Compare,
    CopyFrom,
    MakePartitions,
    Question,
    ReturnPartition,
)
from inventory_server.domain.roles import User
from inventory_server.store import LedgerStore
from inventory_server.store.database.snapshot import snapshot
from inventory_server.store.database.url import database_of
from inventory_server.store.verify.verify import verify

ADMIN = User("kim", "admin", "test")


def read_ledger(url: str, question: Callable[[Connection], Any]) -> Any:
    """What `question` finds in one snapshot of a ledger, whether or not a server is running on it."""
    with snapshot(database_of(url)) as connection:
        return question(connection)


def verified(url: str, progress: Progress = no_progress) -> Proof:
    """What `verify` finds in a ledger, whether or not a server is running on it."""
    proof: Proof = read_ledger(url, lambda connection: verify(database_of(url), connection, progress))
    return proof


def administer(store: LedgerStore, job: Callable[[Connection], Any]) -> Any:
    """Run `job` in a transaction of the writer, between two commits of postings."""
    with store._database.explained():
        return store._writer.perform(job)


def ask(url: str, question: Question, progress: Progress = no_progress) -> Outcome:
    """The answer of the ledger of `url`."""
    with open_office(url, Settings(), now_microseconds, ADMIN) as office:
        return office.ask(question, progress)


def change(
    url: str, change: Administrative, clock: Clock = now_microseconds, progress: Progress = no_progress
) -> Outcome:
    """Have a change carried out on the ledger of `url`, by its server where one is running."""
    with open_office(url, Settings(), clock, ADMIN) as office:
        return office.change(change, progress)


def close_books(url: str, clock: Clock) -> list[ClosedBooks]:
    """Close all segments that are full."""
    with open_office(url, Settings(), clock, ADMIN) as office:
        return list(iter(lambda: office.change(CloseBooks()), None))


def make_partitions(url: str, ahead: int, positions: int) -> int:
    """Have empty partitions in front of a ledger."""
    made: int = change(url, MakePartitions(ahead, positions))
    return made


def archive(
    url: str, before: int, clock: Clock = now_microseconds, progress: Progress = no_progress
) -> list[ArchivedPart]:
    """Archive the partitions that were filled before an instant."""
    done: list[ArchivedPart] = change(url, ArchivePartitions(before), clock, progress)
    return done


def bring_back(url: str) -> ArchivedPart | None:
    """Take back the partition that was archived last."""
    back: ArchivedPart | None = change(url, ReturnPartition())
    return back


def copy(source: str, target: str, progress: Progress = no_progress) -> Comparison:
    """Copy a ledger into an empty one."""
    comparison: Comparison = change(target, CopyFrom(source), progress=progress)
    return comparison


def compare(one: str, other: str, progress: Progress = no_progress) -> Comparison:
    """Compare two ledgers."""
    comparison: Comparison = ask(one, Compare(other), progress)
    return comparison
