"""Schema: created and migrated by Alembic, and compared with the required one before the ledger is used."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, column, inspect, select, table, text
from sqlalchemy.exc import InvalidRequestError

from inventory_server.config import DATABASE_TEXT_LENGTH_MAX
from inventory_server.resources import schema_path
from inventory_server.store.database import partitions
from inventory_server.store.database.base import Database, StoreError
from inventory_server.store.ledger import tables as t

_VERSION = table("alembic_version", column("first_schema"))
"""Alembic's own table, with one column more: the fingerprint of the first schema."""
_OF_TABLES = ("add_table", "remove_table")


def upgrade_schema(connection: Connection, database: Database) -> None:
    """Create or migrate the tables; StoreError if they are in use or belong to another program."""
    current = _revision(connection, database)
    if current is not None:
        _assert_known(connection, current, database)
        if current != _scripts().get_current_head():
            database.assert_unused(connection)
    elif others := inspect(connection).get_table_names():
        found = ", ".join(others)[:DATABASE_TEXT_LENGTH_MAX]
        raise StoreError(f"{database.shown} holds tables of another program ({found}); name another database.")
    alembic.command.upgrade(_alembic(connection), "head")
    if current is None:
        _write_fingerprint(connection)
    assert_schema(connection, database)


def assert_schema(connection: Connection, database: Database) -> None:
    """StoreError if the schema is older, newer or altered."""
    current, head = _revision(connection, database), _scripts().get_current_head()
    if current is None:
        raise StoreError(f"{database.shown} holds no ledger yet; run: inventory-server db upgrade --db {database.url}")
    _assert_known(connection, current, database)
    if current != head:
        raise StoreError(
            f"{database.shown} has schema {current}, this program needs {head}; "
            f"run: inventory-server db upgrade --db {database.url}"
        )
    if difference := _difference(connection, database):
        raise _altered(database, difference)


def assert_writable(connection: Connection) -> None:
    """Write to `ledger`, so that missing privileges show now and not at the first posting; the caller rolls back."""
    connection.execute(t.ledger.update().values(position=t.ledger.c.position))


def _altered(database: Database, difference: str) -> StoreError:
    shown = difference[:DATABASE_TEXT_LENGTH_MAX]
    return StoreError(f"{database.shown} was altered by hand ({shown}); undo that, or restore a backup.")


def _revision(connection: Connection, database: Database) -> str | None:
    heads = MigrationContext.configure(connection).get_current_heads()
    if len(heads) > 1:
        raise _altered(database, f"it says it has the schemas {', '.join(map(str, heads))}")
    return heads[0] if heads else None


def _assert_known(connection: Connection, current: str, database: Database) -> None:
    if _read_fingerprint(connection) != fingerprint():
        raise StoreError(
            f"{database.shown} was made by another unreleased version of Tillwire, whose tables differ; "
            "keep using that version, or make a new ledger with: inventory-server db upgrade --db URL"
        )
    if current not in {script.revision for script in _scripts().walk_revisions()}:
        raise StoreError(f"{database.shown} was made by a newer Tillwire (schema {current}); install that version.")


def fingerprint() -> str:
    """The SHA-256 of the first migration's text, in hexadecimal.

    Until the first release there is only that one, and changes edit it: the revision does not tell its versions apart.
    """
    [first] = (script for script in _scripts().walk_revisions() if script.down_revision is None)
    return hashlib.sha256(Path(first.path).read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def _write_fingerprint(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE alembic_version ADD COLUMN first_schema TEXT"))
    connection.execute(_VERSION.update().values(first_schema=fingerprint()))


def _read_fingerprint(connection: Connection) -> str | None:
    columns = {each["name"] for each in inspect(connection).get_columns("alembic_version")}
    return connection.scalar(select(_VERSION.c.first_schema)) if "first_schema" in columns else None


def _difference(connection: Connection, database: Database) -> str | None:
    """The first difference between the schema found and the one needed, in words."""
    try:
        parts = partitions.names(connection) if database.has_partitions else set()
        ours = {"include_name": lambda name, kind, _: kind != "table" or name not in parts}
        differences = compare_metadata(MigrationContext.configure(connection, opts=ours), t.metadata)
        keys = inspect(connection).get_multi_pk_constraint()
    except (InvalidRequestError, TypeError) as error:  # a foreign key that leads nowhere, a definition that is no text
        return str(error)
    if differences:  # a table that is missing or too many explains the rest
        return _in_words(next((each for each in differences if each[0] in _OF_TABLES), differences[0]))
    for each in t.metadata.sorted_tables:
        needed = [key.name for key in each.primary_key.columns]
        if keys[None, each.name]["constrained_columns"] != needed:
            return f"the primary key of {each.name} is not {', '.join(needed)}"
    heads = len(connection.execute(select(t.ledger.c.book)).all())
    return database.schema_difference(connection) if heads == 1 else f"ledger has {heads} rows instead of one"


def _in_words(difference: Any) -> str:
    operation, *what = difference[0] if isinstance(difference, list) else difference
    names = [str(getattr(part, "name", part)) for part in what if isinstance(part, str) or hasattr(part, "name")]
    return f"{operation}: {', '.join(names)}"


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_alembic())


def _alembic(connection: Connection | None = None) -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(schema_path("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
