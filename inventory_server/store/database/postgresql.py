"""PostgreSQL, asked so that it can be trusted: settings that keep what is acknowledged, no doubt left unsaid.

Many servers may write one ledger. Each commit starts by locking the ledger's one row, so that commits follow one
another: whatever is read after that is what all the others have committed. Nothing is set for a session and nothing
is prepared on the server, so that a pooler which lends connections by the transaction may stand in between.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_plus

from sqlalchemy import URL, Connection, Engine, Transaction, create_engine, event, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from inventory_server.config import (
    COMMIT_IDLE_SECONDS,
    COMMIT_LOCK_SECONDS,
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
"""What connections call themselves, for administrators to see."""

_HARMLESS = {
    *("host", "hostaddr", "port", "dbname", "user", "connect_timeout", "tcp_user_timeout", "target_session_attrs"),
    *("load_balance_hosts", "application_name", "sslmode", "sslrootcert", "gssencmode", "channel_binding"),
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
}
"""Options of a URL that are shown; the value of any other, a misspelt `password` too, is not."""
_HIDDEN = "***"

_ABORTED = {"40001", "40P01"}
"""Serialization failure, deadlock: the transaction is gone, whenever that is said, and may be repeated."""
_STOPPED = {"55P03", "57014"}
"""A lock not to be had, a statement cancelled: the same, but of a COMMIT that was stopped nobody knows."""
_ELSEWHERE = {"25006", "25P03", "57P01", "57P02", "57P03", "57P05"}
"""Read-only (a demoted primary), thrown out, going down, coming up: a new connection may find a primary that serves."""
_ITS_OWN = {"21", "22", "23", "54"}
"""Classes of complaints about the values that were given. All others would be made of everybody: no room, no right,
no such column, a file that is missing."""
_UNTRUSTED = {"58030", "XX001", "XX002"}
"""The database cannot read or write its own files."""
_WARNING = "01000"
"""What COMMIT says where it was not replicated as it should be."""


class Postgresql:
    """A ledger in the database that `url` names; see `Database`."""

    def __init__(self, url: URL) -> None:
        if importlib.util.find_spec("psycopg") is None:
            raise StoreError("PostgreSQL needs a driver; install it with: pip install 'tillwire[server,postgresql]'")
        self._url = url

    @property
    def shown(self) -> str:
        """Its URL, without any password."""
        kept = {name: value if name in _HARMLESS else _HIDDEN for name, value in self._url.query.items()}
        rendered = self._url.set(query=kept).render_as_string(hide_password=True)
        return rendered.replace(quote_plus(_HIDDEN), _HIDDEN)

    @property
    def url(self) -> str:
        """As `--db` takes it, once a password is put in."""
        return self.shown

    @property
    def path(self) -> None:
        """None: a server keeps it."""

    @property
    def has_partitions(self) -> bool:
        """True: `posting` and `movement` are partitioned."""
        return True

    def assert_exists(self) -> None:
        """Whoever connects will hear."""

    def make(self) -> None:
        """A database is made by whoever looks after the server: who owns it, how it sorts, where it is kept."""

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what PostgreSQL complains about, by its SQLSTATE, into one sentence with the next step."""
        try:
            yield
        except DBAPIError as error:
            said = " ".join((_message(error) or str(error.orig)).split())[:300].rstrip(".")
            state = _state(error)
            advice = _ADVICE.get(state or "", _UNREACHABLE if _is_cut_off(error, state) else _OTHERWISE)
            raise StoreError(f"{self.shown} {advice.format(said=said, url=self.url)}") from error

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Everybody may write."""
        yield

    def assert_unused(self, connection: Connection) -> None:
        """StoreInUse where others of ours are connected, too, and stay; what calls itself otherwise is not seen."""
        until = time.monotonic() + DISCONNECT_SECONDS
        while others := connection.scalar(text(_OTHERS), {"name": _NAME}):
            if time.monotonic() > until:
                raise StoreInUse(
                    f"{self.shown} is in use, by {others} other connections of Tillwire; stop all servers first,"
                    " and what pools their connections."
                )
            time.sleep(0.05)
            connection.execute(text("SELECT pg_stat_clear_snapshot()"))

    def hold(self, connection: Connection) -> None:
        """Lock the ledger's one row, as every commit does; PostgreSQL is told to bear with long pauses."""
        run(connection, "SET LOCAL idle_in_transaction_session_timeout = 0", ())
        connection.execute(select(t.ledger.c.book).with_for_update())

    def writing_engine(self) -> Engine:
        """An engine whose transactions write, under the isolation that the database is set to."""
        limits = f"SET LOCAL lock_timeout = '{COMMIT_LOCK_SECONDS}s'; "
        limits += f"SET LOCAL idle_in_transaction_session_timeout = '{COMMIT_IDLE_SECONDS}s'; "
        limits += "SET LOCAL client_min_messages = warning"  # COMMIT's warning must be heard
        return self._engine(lambda isolation: f"BEGIN ISOLATION LEVEL {isolation}; {limits}")

    def reading_engine(self) -> Engine:
        """An engine of read-only connections; a transaction on one sees a single state of the ledger.

        Partitions belong to no snapshot: so that none goes while somebody reads, it waits for whoever is taking one.
        """
        return self._engine(lambda _: _READING)

    def standby_engine(self) -> Engine:
        """The same for a database that can be done without: one that does not answer is soon given up."""
        from inventory_server.store.database.answer_timeout import (
            with_answer_timeout,  # only who uses PostgreSQL has its driver installed
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
                poolclass=NullPool,  # the writer and the readers keep theirs themselves
                paramstyle="format",
                hide_parameters=True,
                use_native_hstore=False,
                connect_args={name: value for name, value in options.items() if name not in self._url.query}
                | {"prepare_threshold": None},
            )
        except ArgumentError as error:  # hosts and ports that do not go together
            raise StoreError(f"{self.shown} cannot be used: {error}; put that right.") from error

        from psycopg import OperationalError  # only who uses PostgreSQL has it installed
        from psycopg.types import numeric

        @event.listens_for(engine, "do_connect")
        def connect(dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
            try:
                return (driver or dialect).connect(*args, **parameters)
            except ValueError as error:  # the name of a host that no network can have
                raise OperationalError(str(error)) from error

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, record: Any) -> None:
            connection.autocommit = True  # BEGIN is ours
            connection.adapters.register_loader("numeric", numeric.IntLoader)  # sums of bigint: all are whole
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
        """StoreError where this is no PostgreSQL that takes writes; in words, what could lose an answered posting."""
        row = connection.execute(text(_SETTINGS)).one()._asdict()
        if row["is_standby"] or row["read_only"] == "on":
            raise StoreError(f"{self.shown} {_ADVICE['25006']}")
        weak = [f"{name} = {row[name]}" for name in ("fsync", "full_page_writes") if row[name] != "on"]
        strong = {"on", "remote_apply"} if row["standbys"] else {"on", "remote_apply", "remote_write", "local"}
        if row["synchronous_commit"] not in strong:
            weak.append(f"synchronous_commit = {row['synchronous_commit']}")
        return f"{self.shown} may lose what it has acknowledged ({', '.join(weak)})" if weak else None

    def schema_difference(self, connection: Connection) -> str | None:
        """Triggers, rules, row level security, unlogged tables, invalid indexes, collations, partitions."""
        ours = "c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(:tables)"
        tables = {"tables": [*t.metadata.tables, *partitions.names(connection)]}
        for words, query in _OWN_CHECKS.items():
            found = connection.execute(text(query.format(ours=ours)), tables).scalar()
            if found is not None:
                return words.format(found)
        return partitions.difference(connection)

    def check_files(self, connection: Connection) -> Iterator[str]:  # noqa: ARG002 (nothing to ask)
        """Nothing: PostgreSQL reports damage where it reads, by its checksums and by errors."""
        return iter(())

    def classify_error(self, error: Exception, committing: bool) -> ErrorClass:
        """By SQLSTATE. Once COMMIT is sent, only a serialization failure says for sure that nothing was committed."""
        if isinstance(error, CommitInDoubt):
            return ErrorClass.COMMIT_UNKNOWN
        if not isinstance(error, DBAPIError):
            return ErrorClass.WORK_FAILED
        state = _state(error)
        if state in _UNTRUSTED:
            return ErrorClass.FATAL
        if state in _ABORTED:
            return ErrorClass.RETRY
        if committing:  # and stopped, it may have been done all the same
            return ErrorClass.COMMIT_UNKNOWN
        if state in _STOPPED:
            return ErrorClass.RETRY
        if _is_cut_off(error, state):
            return ErrorClass.RETRY_NEW_CONNECTION
        return ErrorClass.WORK_FAILED if state is None or state[:2] in _ITS_OWN else ErrorClass.UNAVAILABLE

    def commit(self, transaction: Transaction) -> None:
        """Make a transaction durable; CommitInDoubt where PostgreSQL does not say that it is, everywhere it should be.

        A COMMIT that is cancelled while it waits for a standby succeeds, with a warning.
        """
        connection = transaction.connection.connection
        notices: list[str] = connection.info["notices"]
        notices.clear()
        transaction.commit()
        if _WARNING in notices:
            raise CommitInDoubt("PostgreSQL committed with a warning: a standby may lack it.")


_OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = :name AND pid <> pg_backend_pid()
"""
_SETTINGS = """
    SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
        current_setting('synchronous_commit') AS synchronous_commit,
        current_setting('synchronous_standby_names') <> '' AS standbys,
        current_setting('default_transaction_read_only') AS read_only, pg_is_in_recovery() AS is_standby
"""

_STAY = "LOCK TABLE ONLY movement, ONLY posting IN ACCESS SHARE MODE"
_READING = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_STAY}"

_UNREACHABLE = (
    "cannot be opened: {said}; check the URL, the password and that PostgreSQL is running and has a connection left."
)
_OTHERWISE = "cannot be used: {said}; put that right, or restore a backup."
_ADVICE = {
    "42P01": "holds no ledger yet; run: inventory-server db upgrade --db {url}",
    "25006": "is read-only; name the primary, or wait until a standby has taken its place.",
    "42501": "refuses this user: {said}; grant it what the owner of the tables may do.",
    "53100": "has no room left on its disk; free some space and try again.",
    "55P03": "is locked by another program; end that program and try again.",
    "40P01": "is locked by another program; end that program and try again.",
}


def _state(error: DBAPIError) -> str | None:
    """The SQLSTATE of `error`; None where PostgreSQL did not say one, as when it cannot be reached."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state


def _is_cut_off(error: DBAPIError, state: str | None) -> bool:
    """True where the connection is gone or of no use; what the driver itself cannot encode has no SQLSTATE either."""
    if state is not None:
        return state in _ELSEWHERE or state[:2] == "08"
    from psycopg import InterfaceError, OperationalError  # only who uses PostgreSQL has it installed

    return isinstance(error.orig, InterfaceError | OperationalError)


def _message(error: DBAPIError) -> str | None:
    """PostgreSQL's own sentence, without the statement that it is about."""
    diagnosis: Any = getattr(error.orig, "diag", None)
    message: str | None = getattr(diagnosis, "message_primary", None)
    return message


_OWN_CHECKS = {
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
