"""The migrations make exactly the tables that the store relies on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Table, UniqueConstraint

from inventory_server.store import read_store, upgrade
from inventory_server.store.database import sqlite
from inventory_server.store.database.sqlite import Sqlite
from inventory_server.store.ledger import tables
from pos_client.protocol.units import instant
from tests.support.ledgers import NOON, Till, body, enrol, hello, item, level, opened, post, proof_of, uid, url_of

TABLES = tables.metadata.sorted_tables


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "ledger.db"
    upgrade(url_of(path))
    return path


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        yield connection


def test_there_is_no_difference_between_migrations_and_tables(path: Path) -> None:
    """Where this fails, a migration is missing: alembic revision --autogenerate."""
    found = read_store(
        url_of(path), lambda connection: compare_metadata(MigrationContext.configure(connection), tables.metadata)
    )
    assert found == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_rows_are_stored_by_their_key(connection: sqlite3.Connection, table: Table) -> None:
    """Which is what makes inserts touch few pages; SQLAlchemy's comparison does not see it."""
    columns = connection.execute(f'PRAGMA table_info("{table.name}")').fetchall()
    key = [name for _, name, _, _, _, rank in sorted(columns, key=lambda column: column[5]) if rank]
    assert key == [column.name for column in table.primary_key.columns]
    (statement,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table.name,)).fetchone()
    without_rowid = "WITHOUT ROWID" in statement
    assert without_rowid == (table.dialect_options["sqlite"]["with_rowid"] is False)
    (kind,) = [column[2] for column in columns if column[1] == key[0]]
    assert without_rowid or (key, kind) == ([key[0]], "INTEGER"), "stored by rowid, so the key must be the rowid"


def test_what_must_be_unique_has_its_index(connection: sqlite3.Connection) -> None:
    wanted = {(table.name, str(index.name)) for table in TABLES for index in table.indexes if index.unique}
    wanted |= {
        (table.name, str(c.name)) for table in TABLES for c in table.constraints if isinstance(c, UniqueConstraint)
    }
    found = {
        (table.name, row[1])
        for table in TABLES
        for row in connection.execute(f'PRAGMA index_list("{table.name}")')
        if row[2] and row[3] != "pk"
    }
    assert found == wanted


def test_an_upgrade_of_what_is_up_to_date_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with opened(path) as store:
        Till(store).posts(body("sale", ("a", 1)))
    for _ in range(2):
        before = path.read_bytes()
        upgrade(url_of(path))
        assert path.read_bytes() == before
    with opened(path) as store:
        assert level(store).on_hand == -1


def test_an_older_ledger_is_brought_up_to_date_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    with monkeypatch.context() as patch:
        patch.setattr(tables, "SEGMENT_POSITIONS_LOG2", 2)
        with opened(path) as store:
            till = Till(store)
            for number in range(1_100):
                till.post(body("sale", ("a", 1), at=NOON + number), body("count", ("b", number), at=NOON - number))
            till.posts(body("void", voids=uid("late sale")))
            enrol(store, "O", "operator", "HQ")
            post(store, hello(store, "O").speaker, item(body("void", voids=uid("later sale"))))
    with closing(sqlite3.connect(path)) as connection:  # as a ledger of the first schema was
        connection.execute("ALTER TABLE ledger DROP COLUMN stamp")
        connection.execute("ALTER TABLE void RENAME TO new_void")
        connection.execute("CREATE TABLE void (voids BLOB PRIMARY KEY, position, occurred_at, location TEXT)")
        connection.execute("INSERT INTO void SELECT voids, position, occurred_at, nullif(location, '') FROM new_void")
        connection.execute("DROP TABLE new_void")
        for later in ("archived_position", "archived_until"):
            connection.execute(f"ALTER TABLE ledger DROP COLUMN {later}")
        for later in ("closing", "balance", "straggler", "archive", "archived", "archived_head", "archived_count"):
            connection.execute(f"DROP TABLE {later}")
        connection.execute("DROP TABLE identity")
        connection.execute("CREATE UNIQUE INDEX ix_posting_id ON posting (id)")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    upgrade(url_of(path))
    assert proof_of(path).findings == []
    with opened(path) as store:
        assert level(store).on_hand == -1_100
        assert level(store, as_of=instant(NOON + 99)).on_hand == -100
        till = Till(store, "T2")
        till.posts(body("sale", ("a", 1)))
        till.posts(body("sale", ("a", 5)), uid("late sale"))
        till.posts(body("sale", ("a", 5)), uid("later sale"))
        assert level(store).on_hand == -1_101
    assert proof_of(path).findings == []


def test_the_writing_connection_is_as_durable_as_it_must_be(path: Path) -> None:
    writing = sqlite.writing_engine(path)
    with writing.connect() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in sqlite.PRAGMAS}
        Sqlite(path).assert_settings(connection)
    writing.dispose()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_reading_connection_cannot_write(path: Path) -> None:
    reading = sqlite.reading_engine(path)
    with reading.begin() as connection, pytest.raises(Exception, match="readonly database"):
        connection.exec_driver_sql("DELETE FROM posting")
    reading.dispose()
