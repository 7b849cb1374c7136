"""Database URLs: which database one names, and how it is shown without a password."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from inventory_server.config import DATABASE_KEY_DIGITS
from inventory_server.store.database.base import Database, StoreError
from inventory_server.store.database.postgresql import Postgresql
from inventory_server.store.database.sqlite import Sqlite

_EXPECTED = "something like sqlite:///tillwire.db or postgresql+psycopg://user@host/database"
_PLACE_OPTIONS = {"host", "hostaddr", "port", "dbname", "options"}
"""Options of a URL that say which database it is, and which schema."""
_BEFORE_ANY_SECRET = re.compile(r"[^:@?=\s]*")


def database_of(url: str) -> Database:
    """The database that `url` names; StoreError if it cannot hold a ledger."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise StoreError(f"{_beginning(url)!r} is not a database URL; expected {_EXPECTED}.") from error
    kind = parsed.get_backend_name()
    if kind != "sqlite" and url.count("@") > 1:  # after the first @ may be the rest of a password
        raise StoreError(f"{_beginning(url)!r} has more than one @; write %40 for one in a user's name or password.")
    if kind == "postgresql" and parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return Postgresql(parsed.set(drivername="postgresql+psycopg"))
    database = parsed.database
    if kind != "sqlite" or not database or database == ":memory:" or "\0" in database:
        shown = parsed.set(query={}).render_as_string()
        raise StoreError(f"Cannot keep a ledger in {shown!r}; expected {_EXPECTED}.")
    if "?" in url:
        raise StoreError(f"{url!r} has options after the ?, and a file takes none; write %3F for a ? in its name.")
    return Sqlite(Path(database))


def _beginning(url: str) -> str:
    """The part of a URL before anything that could belong to a password."""
    found = _BEFORE_ANY_SECRET.match(url)
    beginning = found[0] if found else ""
    return beginning if beginning == url else f"{beginning}…"


def shown(url: str) -> str:
    """`url` for messages: without a password."""
    return database_of(url).url


def lasting(database: Database) -> str:
    """The URL of a database, without a password, that is valid in every folder."""
    return database.url if database.path is None else f"sqlite:///{database.path.absolute()}"


def database_key(url: str) -> str:
    """Hex digits by which processes of one machine know that they mean the same database, whoever asks it."""
    database_of(url)
    parsed = make_url(url)
    options = sorted((name, value) for name, value in parsed.query.items() if name in _PLACE_OPTIONS)
    place = repr((parsed.host, parsed.port, parsed.database, options))
    return hashlib.sha256(place.encode()).hexdigest()[:DATABASE_KEY_DIGITS]


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite `url`, None for a database server; StoreError if it names neither."""
    return database_of(url).path
