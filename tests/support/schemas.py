"""Compares each schema once: a ledger with the catalogue of one that was found right is right too.

Comparing takes 50 ms on SQLite and 100 on PostgreSQL, most of what opening a ledger costs, and tests open thousands.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Inspector, MetaData, inspect

from inventory_server.store.database import schema

_SQLITE = "SELECT type, name, tbl_name, typeof(sql), CAST(sql AS BLOB) FROM sqlite_schema ORDER BY type, name"
_HERE = "c.relnamespace = current_schema()::regnamespace"
_POSTGRESQL = f"""
SELECT md5(string_agg(line, ' ' ORDER BY line)) FROM (
  SELECT concat_ws(' ', c.relname, c.relkind, pg_get_expr(c.relpartbound, c.oid), a.attname, a.atttypid, a.atttypmod,
    a.attnotnull, a.attcollation, pg_get_expr(d.adbin, d.adrelid)) AS line
    FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE {_HERE}
  UNION ALL SELECT concat_ws(' ', c.relname, k.conname, pg_get_constraintdef(k.oid))
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE {_HERE}
  UNION ALL SELECT concat_ws(' ', pg_get_indexdef(c.oid), i.indisunique, i.indisvalid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE {_HERE}
) AS catalogue
"""


class ComparedOnce:
    """Stands in for Alembic's `compare_metadata`; only schemas without a difference are remembered."""

    def __init__(self) -> None:
        self._right: set[object] = set()

    def __call__(self, context: MigrationContext, needed: MetaData) -> Any:
        connection = context.connection
        assert connection is not None
        catalogue = _catalogue(connection)
        if catalogue in self._right:
            return []
        differences = compare_metadata(context, needed)
        if not differences:
            self._right.add(catalogue)
        return differences


class KeysReadOnce:
    """Stands in for SQLAlchemy's `inspect`; the primary keys of a catalogue are read once."""

    def __init__(self) -> None:
        self._keys: dict[object, Any] = {}

    def __call__(self, connection: Connection) -> Inspector:
        inspector = inspect(connection)
        read = inspector.get_multi_pk_constraint

        def keys() -> Any:
            catalogue = _catalogue(connection)
            if catalogue not in self._keys:
                self._keys[catalogue] = read()
            return self._keys[catalogue]

        inspector.get_multi_pk_constraint = keys  # type: ignore[assignment,method-assign]
        return inspector


def _catalogue(connection: Connection) -> object:
    query = _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL
    return tuple(map(tuple, connection.exec_driver_sql(query)))


@cache
def _scripts(folder: str) -> ScriptDirectory:
    return ScriptDirectory(folder)


class ScriptsReadOnce:
    """Stands in for Alembic's `ScriptDirectory`."""

    @staticmethod
    def from_config(config: Config) -> ScriptDirectory:
        """The migrations of a folder, of which nothing is read again."""
        return _scripts(config.get_main_option("script_location", ""))


def compare_once(patch: pytest.MonkeyPatch) -> None:
    """Have this process compare each schema once, and read each folder of migrations once."""
    patch.setattr(schema, "compare_metadata", ComparedOnce())
    patch.setattr(schema, "inspect", KeysReadOnce())
    patch.setattr(schema, "ScriptDirectory", ScriptsReadOnce)
