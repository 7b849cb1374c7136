"""PostgreSQL backend: durability checks, transactions and commit-outcome classification.

Several servers may write one ledger. Each commit first locks the single row of `ledger`, which serializes commits: all
later reads see what the others have committed. Settings are made with SET LOCAL only and no statement is prepared on
the server, so that a pooler in transaction mode may stand in between.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_plus

from sqlalchemy import URL, Connection, Engine, Transaction, create_engine, event, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from inventory_server.config import (
    COMMIT_IDLE_SECONDS,
    COMMIT_LOCK_SECONDS,
    DATABASE_TEXT_LENGTH_MAX,
    DISCONNECT_POLL_SECONDS,
    DISCONNECT_SECONDS,
    POSTGRESQL_CONNECT_SECONDS,
    POSTGRESQL_KEEPALIVE,
    POSTGRESQL_UNACKNOWLEDGED_MS,
    STANDBY_ANSWER_SECONDS,
    STANDBY_CONNECT_SECONDS,
)
from inventory_server.store.database import partitions
from inventory_server.store.database.base import CommitInDoubt, ErrorClass, StoreError, StoreInUse
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.sql import run

_NAME = "tillwire"
"""`application_name` of every connection."""

_PUBLIC_OPTIONS = {
    *("host", "hostaddr", "port", "dbname", "user", "connect_timeout", "tcp_user_timeout", "target_session_attrs"),
    *("load_balance_hosts", "application_name", "sslmode", "sslrootcert", "gssencmode", "channel_binding"),
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
}
"""URL options whose values are shown; any other value is hidden, as it may be a misspelt `password`."""
_HIDDEN = "***"

_ABORTED = {"40001", "40P01"}
"""Serialization failure, deadlock: rolled back for certain, even in reply to COMMIT; repeat it."""
_CANCELLED = {"55P03", "57014"}
"""Lock not available, statement cancelled: repeat it; but in reply to COMMIT the outcome is unknown."""
_NOT_PRIMARY = {"25006", "25P03", "57P01", "57P02", "57P03", "57P05"}
"""Read-only (demoted primary), terminated, shutting down, starting up: a new connection may reach the new primary."""
_BAD_VALUES = {"21", "22", "23", "54"}
"""SQLSTATE classes of errors caused by the statement's values. Any other class fails every commit alike: disk full,
missing privilege, missing column."""
_FATAL = {"58030", "XX001", "XX002"}
"""I/O error, corrupted data or index: the database cannot read or write its own files."""
_WARNING = "01000"
"""SQLSTATE of the warning that a COMMIT was not replicated as configured."""


class Postgresql:
    """A ledger in the database that `url` names; see `Database`."""

    def __init__(self, url: URL) -> None:
        if importlib.util.find_spec("psycopg") is None:
            raise StoreError("PostgreSQL needs a driver; install it with: pip install 'tillwire[server,postgresql]'")
        self._url = url

    @property
    def shown(self) -> str:
        """Its URL, without any password."""
        kept = {name: value if name in _PUBLIC_OPTIONS else _HIDDEN for name, value in self._url.query.items()}
        rendered = self._url.set(query=kept).render_as_string(hide_password=True)
        return rendered.replace(quote_plus(_HIDDEN), _HIDDEN)

    @property
    def url(self) -> str:
        """As `--db` takes it, apart from the password."""
        return self.shown

    @property
    def path(self) -> None:
        """None: a server keeps it."""

    @property
    def has_partitions(self) -> bool:
        """True: `posting` and `movement` are partitioned."""
        return True

    def assert_exists(self) -> None:
        """Nothing to check: connecting tells."""

    def make(self, fill: Callable[[Connection], None]) -> None:
        """Nothing to do: a database is created by the administrator, who decides on owner, collation and tablespace."""

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn PostgreSQL's errors, by SQLSTATE, into one sentence with the next step."""
        try:
            yield
        except DBAPIError as error:
            said = " ".join((_message(error) or str(error.orig)).split())[:DATABASE_TEXT_LENGTH_MAX].rstrip(".")
            state = _state(error)
            advice = _ADVICE.get(state or "", _UNREACHABLE if _is_disconnected(error, state) else _OTHERWISE)
            raise StoreError(f"{self.shown} {advice.format(said=said, url=self.url)}") from error

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Nothing to hold: several servers may write."""
        yield

    def assert_unused(self, connection: Connection) -> None:
        """StoreInUse if other connections named `tillwire` stay; one that was given another name is not seen."""
        until = time.monotonic() + DISCONNECT_SECONDS
        while others := connection.scalar(text(_OTHER_CONNECTIONS), {"name": _NAME}):
            if time.monotonic() > until:
                raise StoreInUse(
                    f"{self.shown} is in use by {others} other Tillwire connections;"
                    " stop all servers and connection poolers first."
                )
            time.sleep(DISCONNECT_POLL_SECONDS)
            connection.execute(text("SELECT pg_stat_clear_snapshot()"))

    def hold(self, connection: Connection) -> None:
        """Lock the row of `ledger`, as every commit does, with no limit on idle time."""
        run(connection, "SET LOCAL idle_in_transaction_session_timeout = 0", ())
        connection.execute(select(t.ledger.c.book).with_for_update())

    def writing_engine(self) -> Engine:
        """An engine whose transactions write, under the database's default isolation level."""
        limits = f"SET LOCAL lock_timeout = '{COMMIT_LOCK_SECONDS}s'; "
        limits += f"SET LOCAL idle_in_transaction_session_timeout = '{COMMIT_IDLE_SECONDS}s'; "
        limits += "SET LOCAL client_min_messages = warning"  # else COMMIT's warning could be suppressed
        return self._engine(lambda isolation: f"BEGIN ISOLATION LEVEL {isolation}; {limits}")

    def reading_engine(self) -> Engine:
        """An engine of read-only connections; each transaction reads one snapshot.

        Snapshots do not cover DDL: readers lock the partitioned tables, so that no partition is detached meanwhile.
        """
        from inventory_server.store.database.answer_timeout import (
            PatientConnection,  # imported here: psycopg is an optional dependency
        )

        return self._engine(lambda _: _READING, driver=PatientConnection)

    def standby_engine(self) -> Engine:
        """A reading engine with short timeouts for connecting and for each statement."""
        from inventory_server.store.database.answer_timeout import (
            with_answer_timeout,  # imported here: psycopg is an optional dependency
        )

        return self._engine(lambda _: _READING, STANDBY_CONNECT_SECONDS, with_answer_timeout(STANDBY_ANSWER_SECONDS))

    def _engine(self, opening: Any, connect_seconds: int = POSTGRESQL_CONNECT_SECONDS, driver: Any = None) -> Engine:
        options: dict[str, Any] = {
            "connect_timeout": connect_seconds,
            "tcp_user_timeout": POSTGRESQL_UNACKNOWLEDGED_MS,
            "application_name": _NAME,
            **POSTGRESQL_KEEPALIVE,
        }
        try:
            engine = create_engine(
                self._url,
                poolclass=NullPool,  # `Transactions` and `ConnectionPool` keep them
                paramstyle="format",
                hide_parameters=True,
                use_native_hstore=False,
                connect_args={name: value for name, value in options.items() if name not in self._url.query}
                | {"prepare_threshold": None},
            )
        except ArgumentError as error:  # the numbers of hosts and ports differ
            raise StoreError(f"{self.shown} cannot be used: {error}; put that right.") from error

        from psycopg import OperationalError  # imported here: psycopg is an optional dependency
        from psycopg.types import numeric

        @event.listens_for(engine, "do_connect")
        def connect(dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
            try:
                return (driver or dialect).connect(*args, **parameters)
            except ValueError as error:  # an invalid host name
                raise OperationalError(str(error)) from error

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, record: Any) -> None:
            connection.autocommit = True  # BEGIN is sent below
            connection.adapters.register_loader("numeric", numeric.IntLoader)  # sums of bigint are whole
            (isolation,) = connection.execute("SHOW default_transaction_isolation").fetchone()
            record.info["begin"] = opening("SERIALIZABLE" if isolation == "serializable" else "READ COMMITTED")
            notices: list[str] = []
            record.info["notices"] = notices
            connection.add_notice_handler(lambda notice: notices.append(notice.sqlstate))

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            run(connection, connection.info["begin"], ())

        return engine

    def assert_settings(self, connection: Connection) -> str | None:
        """StoreError if the database is read-only; in words, settings that could lose acknowledged postings."""
        row = connection.execute(text(_SETTINGS)).one()._asdict()
        if row["is_standby"] or row["read_only"] == "on":
            raise StoreError(f"{self.shown} {_ADVICE['25006']}")
        weak = [f"{name} = {row[name]}" for name in ("fsync", "full_page_writes") if row[name] != "on"]
        strong = {"on", "remote_apply"} if row["standbys"] else {"on", "remote_apply", "remote_write", "local"}
        if row["synchronous_commit"] not in strong:
            weak.append(f"synchronous_commit = {row['synchronous_commit']}")
        return f"{self.shown} may lose acknowledged postings ({', '.join(weak)})" if weak else None

    def schema_difference(self, connection: Connection) -> str | None:
        """Triggers, rules, row level security, unlogged tables, invalid indexes, collations, partitions."""
        ours = "c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(:tables)"
        tables = {"tables": [*t.metadata.tables, *partitions.names(connection)]}
        for words, query in _SCHEMA_CHECKS.items():
            found = connection.execute(text(query.format(ours=ours)), tables).scalar()
            if found is not None:
                return words.format(found)
        return partitions.difference(connection)

    def check_files(self, connection: Connection) -> Iterator[str]:  # noqa: ARG002 (nothing to ask)
        """Nothing: PostgreSQL reports damage where it reads, by its checksums and by errors."""
        return iter(())

    def gather_statistics(self, connection: Connection) -> None:
        """ANALYZE; PostgreSQL skips, with a warning, the tables of another owner."""
        quote = connection.dialect.identifier_preparer.quote
        run(connection, f"ANALYZE {', '.join(quote(name) for name in t.metadata.tables)}", ())

    def growth_warning(self, connection: Connection) -> str | None:
        """In words, that partitions are running out."""
        return partitions.warning(connection)

    def classify_error(self, error: Exception, committing: bool) -> ErrorClass:
        """By SQLSTATE. Once COMMIT is sent, only a serialization failure proves that nothing was committed."""
        if isinstance(error, CommitInDoubt):
            return ErrorClass.COMMIT_UNKNOWN
        if not isinstance(error, DBAPIError):
            return ErrorClass.WORK_FAILED
        state = _state(error)
        if state in _FATAL:
            return ErrorClass.FATAL
        if state in _ABORTED:
            return ErrorClass.RETRY
        if committing:  # even a cancelled COMMIT may have taken effect
            return ErrorClass.COMMIT_UNKNOWN
        if state in _CANCELLED:
            return ErrorClass.RETRY
        if _is_disconnected(error, state):
            return ErrorClass.RETRY_NEW_CONNECTION
        return ErrorClass.WORK_FAILED if state is None or state[:2] in _BAD_VALUES else ErrorClass.UNAVAILABLE

    def commit(self, transaction: Transaction) -> None:
        """Commit; CommitInDoubt if PostgreSQL warns that the transaction may be missing on a synchronous standby.

        A COMMIT that is cancelled while it waits for a standby succeeds, with a warning.
        """
        connection = transaction.connection.connection
        notices: list[str] = connection.info["notices"]
        notices.clear()
        transaction.commit()
        if _WARNING in notices:
            raise CommitInDoubt("PostgreSQL committed with a warning: a standby may lack it.")


_OTHER_CONNECTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = :name AND pid <> pg_backend_pid()
"""
_SETTINGS = """
    SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
        current_setting('synchronous_commit') AS synchronous_commit,
        current_setting('synchronous_standby_names') <> '' AS standbys,
        current_setting('default_transaction_read_only') AS read_only, pg_is_in_recovery() AS is_standby
"""

_LOCK_PARTITIONS = "LOCK TABLE ONLY movement, ONLY posting IN ACCESS SHARE MODE"
_READING = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LOCK_PARTITIONS}"

_UNREACHABLE = (
    "cannot be opened: {said}; check the URL, the password and that PostgreSQL is running and has a connection left."
)
_OTHERWISE = "cannot be used: {said}; put that right, or restore a backup."
_ADVICE = {
    "42P01": "holds no ledger yet; run: inventory-server db upgrade --db {url}",
    "25006": "is read-only; name the primary, or wait until a standby has taken its place.",
    "42501": "refuses this user: {said}; grant it SELECT, INSERT, UPDATE and DELETE on all tables"
    " (db upgrade needs their owner).",
    "53100": "has no room left on its disk; free some space and try again.",
    "55P03": "is locked by another program; end that program and try again.",
    "40P01": "is locked by another program; end that program and try again.",
}


def _state(error: DBAPIError) -> str | None:
    """The SQLSTATE of `error`; None if the server sent none, as when it cannot be reached."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def _is_disconnected(error: DBAPIError, state: str | None) -> bool:
    """True if the connection is lost or unusable. Values that the driver cannot encode have no SQLSTATE either."""
    if state is not None:
        return state in _NOT_PRIMARY or state[:2] == "08"
    from psycopg import InterfaceError, OperationalError  # imported here: psycopg is an optional dependency

    return isinstance(error.orig, InterfaceError | OperationalError)


def _message(error: DBAPIError) -> str | None:
    """PostgreSQL's message, without the statement."""
    diagnosis: Any = getattr(error.orig, "diag", None)
    message: str | None = getattr(diagnosis, "message_primary", None)
    return message


_SCHEMA_CHECKS = {
    "trigger {}": """
        SELECT tgname FROM pg_trigger JOIN pg_class AS c ON c.oid = tgrelid
        WHERE NOT tgisinternal AND {ours}""",
    "rule {}": "SELECT rulename FROM pg_rewrite JOIN pg_class AS c ON c.oid = ev_class WHERE {ours}",
    "{} has row level security": "SELECT relname FROM pg_class AS c WHERE relrowsecurity AND {ours}",
    "{} is not kept through a crash": "SELECT relname FROM pg_class AS c WHERE relpersistence <> 'p' AND {ours}",
    "index {} is not valid": """
        SELECT i.relname FROM pg_index JOIN pg_class AS c ON c.oid = indrelid JOIN pg_class AS i ON i.oid = indexrelid
        WHERE NOT (indisvalid AND indisready AND indislive) AND {ours}""",
    "{} is not sorted by bytes": """
        SELECT c.relname || '.' || attname FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
        WHERE attnum > 0 AND NOT attisdropped AND atttypid = 'text'::regtype AND attcollation NOT IN
            (SELECT oid FROM pg_collation WHERE collname IN ('C', 'POSIX')) AND {ours}""",
}
