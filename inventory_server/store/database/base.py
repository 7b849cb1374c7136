"""What the store asks of a database: all in which SQLite and PostgreSQL differ, but for how statements are written."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, Transaction
from sqlalchemy.exc import DBAPIError

from pos_client.protocol.errors import TillwireError


class StoreError(TillwireError):
    """The database cannot be used as it is; the message says what to do."""


class StoreInUse(StoreError):
    """A server is running on this database, and what was asked for needs it to be stopped."""


class OtherLedger(StoreError):
    """The database of a standby holds another ledger than that of its primary."""


class CommitInDoubt(Exception):
    """COMMIT came back, and yet the database does not say that the transaction is as durable as it should be."""


class ErrorClass(enum.Enum):
    """What an error means for the transaction that met it."""

    RETRY = enum.auto()
    """Nothing was committed; the whole transaction may succeed when it is repeated."""
    RETRY_NEW_CONNECTION = enum.auto()
    """Nothing was committed; the whole transaction may succeed when it is repeated on a new connection."""
    UNAVAILABLE = enum.auto()
    """Nothing was committed; it hits every commit alike until it passes, or until somebody puts it right."""
    COMMIT_UNKNOWN = enum.auto()
    """It may be committed or not, which only the ids of its postings can tell; the database itself is well."""
    FATAL = enum.auto()
    """Nobody can say what is on disk: no further answer may be given."""
    WORK_FAILED = enum.auto()
    """Nothing was committed, and it is this transaction's own fault."""


def said_by(error: Exception) -> str:
    """What the database said, on one line of the log; without the statement that it is about."""
    said = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(said).split())[:300]


class TransactionBackend(Protocol):
    """What the writer has to know of a database."""

    def classify_error(self, error: Exception, committing: bool) -> ErrorClass:
        """What `error` means; `committing` once COMMIT may have been sent."""

    def commit(self, transaction: Transaction) -> None:
        """Make a transaction durable."""


class Database(TransactionBackend, Protocol):
    """One database, named by a URL."""

    @property
    def shown(self) -> str:
        """How people are told of it; never with a password."""

    @property
    def url(self) -> str:
        """What goes behind `--db` in a command that people are told to run; never with a password."""

    @property
    def path(self) -> Path | None:
        """The file that holds the ledger, which one process at a time may serve; None where a database server does."""

    @property
    def has_partitions(self) -> bool:
        """True where the ledger's tables are partitioned by position."""

    def assert_exists(self) -> None:
        """StoreError where it is not there."""

    def make(self) -> None:
        """Make it where it is missing and this program can."""

    def explained(self) -> AbstractContextManager[None]:
        """Turn what the database complains about into a StoreError: one sentence with the next step."""

    def writer(self) -> AbstractContextManager[None]:
        """The right to write; StoreInUse where only one process may have it, and another one does."""

    def assert_unused(self, connection: Connection) -> None:
        """StoreInUse where another server than the one with the right to write is seen on it."""

    def hold(self, connection: Connection) -> None:
        """Let nobody else post until the transaction on `connection` ends, however long that takes."""

    def writing_engine(self) -> Engine:
        """An engine for the writer's one connection."""

    def reading_engine(self) -> Engine:
        """An engine of connections that cannot write, each transaction one snapshot."""

    def standby_engine(self) -> Engine:
        """The same for a database that can be done without: one that does not answer is soon given up."""

    def schema_difference(self, connection: Connection) -> str | None:
        """In words, what differs from the schema needed and SQLAlchemy's comparison does not see; None: nothing."""

    def check_files(self, connection: Connection) -> Iterator[str]:
        """In words, what the database itself finds wrong with its files."""

    def assert_settings(self, connection: Connection) -> str | None:
        """In words, what could lose an answered posting if one goes on by choice; StoreError where there is none."""
