"""Database interface: everything in which SQLite and PostgreSQL differ, except the SQL itself (`ledger.sql`)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, Transaction
from sqlalchemy.exc import DBAPIError

from inventory_server.config import DATABASE_TEXT_LENGTH_MAX
from pos_client.protocol.errors import TillwireError


class StoreError(TillwireError):
    """The database cannot be used; the message says why and what to do."""


class StoreInUse(StoreError):
    """A server runs on this database and must be stopped first."""


class LedgerMoved(StoreError):
    """The ledger was moved to another database: this one is only read."""


class OtherLedger(StoreError):
    """The standby's database holds a different ledger from its primary's."""


class CommitInDoubt(Exception):
    """COMMIT succeeded with a warning: the transaction may not be as durable as configured."""


class ErrorClass(enum.Enum):
    """What a database error means for its transaction, and what to do about it."""

    RETRY = enum.auto()
    """Not committed; repeat the whole transaction."""
    RETRY_NEW_CONNECTION = enum.auto()
    """Not committed; repeat the whole transaction on a new connection."""
    UNAVAILABLE = enum.auto()
    """Not committed; every commit fails alike until the condition passes or is repaired (disk full, locked)."""
    COMMIT_UNKNOWN = enum.auto()
    """Commit outcome unknown: only the ids of its postings can tell. The database itself is sound."""
    FATAL = enum.auto()
    """The state on disk is unknown: the store must stop answering."""
    WORK_FAILED = enum.auto()
    """Not committed, because of the transaction's own values: others may succeed."""


def said_by(error: Exception) -> str:
    """The database's message on one line, for the log; without the statement."""
    said = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(said).split())[:DATABASE_TEXT_LENGTH_MAX]


class TransactionBackend(Protocol):
    """The part of a database that runs transactions: commit, and what an error means."""

    def classify_error(self, error: Exception, committing: bool) -> ErrorClass:
        """Classify `error`; `committing` says that COMMIT may have been sent."""

    def commit(self, transaction: Transaction) -> None:
        """Commit; the transaction is durable once this returns."""


class Database(TransactionBackend, Protocol):
    """One database, named by a URL."""

    @property
    def shown(self) -> str:
        """Its name in messages; never with a password."""

    @property
    def url(self) -> str:
        """Its URL, as `--db` takes it; never with a password."""

    @property
    def path(self) -> Path | None:
        """The file that holds the ledger, which one process at a time may serve; None if a database server does."""

    @property
    def has_partitions(self) -> bool:
        """True if the ledger's tables are partitioned by position."""

    def assert_exists(self) -> None:
        """StoreError if the database does not exist."""

    def make(self, fill: Callable[[Connection], None]) -> None:
        """Create a missing database, with what `fill` writes or not at all, where this program can."""

    def explained(self) -> AbstractContextManager[None]:
        """Context manager that turns database errors into StoreErrors: one sentence with the next step."""

    def writer(self) -> AbstractContextManager[None]:
        """Context manager that holds the right to write; StoreInUse if another process has it exclusively."""

    def assert_unused(self, connection: Connection) -> None:
        """StoreInUse if another server is connected."""

    def hold(self, connection: Connection) -> None:
        """Block all other postings until the transaction on `connection` ends, however long it takes."""

    def writing_engine(self) -> Engine:
        """An engine for the writer's single connection."""

    def reading_engine(self) -> Engine:
        """An engine of read-only connections; each transaction reads one snapshot."""

    def standby_engine(self) -> Engine:
        """A reading engine with short timeouts, for a standby: the primary can answer instead."""

    def schema_difference(self, connection: Connection) -> str | None:
        """A difference from the required schema that SQLAlchemy's comparison misses, in words; None: no difference."""

    def check_files(self, connection: Connection) -> Iterator[str]:
        """Damage that the database finds in its own files, in words."""

    def gather_statistics(self, connection: Connection) -> None:
        """Have the planner look at all tables, after much was written in one transaction."""

    def growth_warning(self, connection: Connection) -> str | None:
        """In words, what the ledger's growth requires of the administrator; None while it requires nothing."""

    def assert_settings(self, connection: Connection) -> str | None:
        """Settings that could lose acknowledged postings, in words; None if they are safe.

        StoreError for settings that no operator may accept.
        """
