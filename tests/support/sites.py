"""Where a test keeps its ledgers: in SQLite files, or in databases of a throw-away PostgreSQL."""

from __future__ import annotations

import itertools
import re
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from inventory_server.store import upgrade
from inventory_server.store.ledger import tables
from tests.support.postgres import Cluster

SERIALIZABLE = {"default_transaction_isolation": "serializable"}
_POSTGRESQL_LATER = pytest.param("postgresql", marks=pytest.mark.long)
_SERIALIZABLE_LATER = pytest.param("serializable", marks=pytest.mark.long)
EVERY_KIND = ("sqlite", _POSTGRESQL_LATER, _SERIALIZABLE_LATER)
"""What a test runs on that takes a ledger: `make test` leaves the repetitions to `make test-long`."""
on_sqlite = pytest.mark.parametrize("_all_sites", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("_all_sites", ["postgresql", _SERIALIZABLE_LATER], indirect=True)
on_both = pytest.mark.parametrize("_all_sites", ["sqlite", "postgresql", _SERIALIZABLE_LATER], indirect=True)
"""For the promises that rest on what a database does: `make test` checks them on both."""


class Site(ABC):
    """Makes ledgers, each named by its URL, and removes them in the end."""

    kind: str

    def __init__(self) -> None:
        self._used: list[str] = []
        self._copies: list[str] = []
        self._filled: dict[Callable[[str], None], str] = {}

    def filled(self, fill: Callable[[str], None]) -> str:
        """A copy of a ledger that `fill` has filled, which is done once."""
        if fill not in self._filled:
            self._filled[fill] = self.new()
            self._used.remove(self._filled[fill])
            fill(self._filled[fill])
        return self.copy(self._filled[fill])

    @abstractmethod
    def new(self) -> str:
        """A new ledger with nothing in it."""

    @abstractmethod
    def copy(self, url: str) -> str:
        """A copy of a ledger that nobody has open."""

    def keep(self, url: str) -> None:
        """Leave a copy where it is until the tests end: others are made of it."""
        self._copies.remove(url)

    @abstractmethod
    def execute(self, url: str, *statements: str) -> None:
        """Change a ledger behind HQ's back."""

    @abstractmethod
    def clear(self) -> None:
        """Take back all ledgers that were made."""


class SqliteSite(Site):
    """Files in a folder."""

    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._numbers = itertools.count()
        self._empty = folder / "empty.db"

    def new(self) -> str:
        """A copy of an empty ledger, which is made once."""
        if not self._empty.exists():
            upgrade(f"sqlite:///{self._empty}")
        url = self.copy(f"sqlite:///{self._empty}")
        self._copies.remove(url)
        self._used.append(url)
        return url

    def copy(self, url: str) -> str:
        """A copy of the file."""
        path = self._folder / f"ledger{next(self._numbers)}.db"
        shutil.copy(url.removeprefix("sqlite:///"), path)
        self._copies.append(f"sqlite:///{path}")
        return self._copies[-1]

    def execute(self, url: str, *statements: str) -> None:
        """Change the file."""
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    def clear(self) -> None:
        """Remove the files, and what SQLite put beside them."""
        for url in (*self._used, *self._copies):
            path = Path(url.removeprefix("sqlite:///"))
            for file in path.parent.glob(f"{path.name}*"):
                file.unlink()
        self._used.clear()
        self._copies.clear()


_CATALOGUES = ("class", "attribute", "attrdef", "constraint", "index", "trigger", "rewrite", "proc")
_AS_MADE = f"""
SELECT {", ".join(f"(SELECT sum(xmin::text::bigint) FROM pg_{name})" for name in _CATALOGUES)},
  (SELECT string_agg(v::text, '') FROM alembic_version AS v),
  (SELECT string_agg(s.setconfig::text, '') FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
    WHERE d.datname = current_database())
"""
"""What emptying a database does not undo: its schema, the revision of that, and its settings.

A copy has the `xmin` of its template in each row of the catalogue; every change of a schema writes new ones.
"""


class PostgresSite(Site):
    """Databases of one cluster. Those that were new are emptied and used again: that takes a tenth of the time.

    A database that a test upgraded, or whose schema or settings it changed, is dropped instead.
    """

    kind = "postgresql"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self._cluster = cluster
        self._template: str | None = None
        self._as_made: list[tuple[Any, ...]] = []
        self._free: list[str] = []

    def new(self) -> str:
        """A database that was emptied, or a copy of one in which nothing has happened yet."""
        if self._template is None:
            self._template = self._cluster.database()
            upgrade(self._cluster.url(self._template))
            self._as_made = self._cluster.execute(_AS_MADE, self._template)
        while self._free:
            url = self._free.pop()
            if self._is_emptied(_name_of(url)):
                break
            self._cluster.drop(_name_of(url))
        else:
            url = self._cluster.url(self._cluster.database(self._template))
        self._used.append(url)
        return url

    def copy(self, url: str) -> str:
        """Another database with the same in it."""
        self._copies.append(self._cluster.url(self._cluster.database(_name_of(url))))
        return self._copies[-1]

    def bare(self) -> str:
        """A database with nothing in it."""
        self._copies.append(self._cluster.url(self._cluster.database()))
        return self._copies[-1]

    def execute(self, url: str, *statements: str) -> None:
        """Change the database; SQLite's way to write bytes is translated."""
        for statement in statements:
            self._cluster.execute(re.sub(r"x'([0-9a-f]*)'", r"'\\x\1'::bytea", statement), _name_of(url))

    def clear(self) -> None:
        """Keep what was new for the next test, drop what was copied."""
        for url in self._copies:
            self._cluster.drop(_name_of(url))
        self._copies.clear()
        self._free += self._used
        self._used.clear()

    def _is_emptied(self, name: str) -> bool:
        names = [table.name for table in reversed(tables.metadata.sorted_tables) if table is not tables.ledger]
        deletes = "".join(f'DELETE FROM "{each}"; ' for each in names)
        head = "INSERT INTO ledger VALUES (1, 0, 0)"
        try:
            with self._cluster.connect(name) as connection:
                connection.execute(f"SET lock_timeout = '1s'; {deletes} DELETE FROM ledger; {head}".encode())
                return connection.execute(_AS_MADE.encode()).fetchall() == self._as_made
        except psycopg.Error:  # a test altered it, or left it open
            return False


def _name_of(url: str) -> str:
    return make_url(url).database or ""
