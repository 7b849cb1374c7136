"""The migrations make exactly the tables that the store relies on."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Table, UniqueConstraint

from inventory_server.resources import schema_path
from inventory_server.store import StoreError, upgrade
from inventory_server.store.database import schema, sqlite
from inventory_server.store.database.sqlite import Sqlite
from inventory_server.store.ledger import tables
from tests.support.ledgers import Till, body, level, opened, proof_of, url_of
from tests.support.maintenance import compare, make_partitions, read_ledger
from tests.support.sites import Site

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
    """Where this fails: until the first release the first migration is edited, later a new one is written."""
    found = read_ledger(
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


SECOND_STEP = """
from alembic import op

revision, down_revision = "0002", "{head}"


def upgrade() -> None:
    op.execute("CREATE TABLE made_up (sku TEXT)")
    op.execute("INSERT INTO made_up SELECT sku FROM level")
    op.execute("INSERT INTO product (sku, is_ranged) SELECT sku, 0 FROM made_up")
    op.execute("DROP TABLE made_up")
"""


def test_an_older_ledger_is_brought_up_to_date_and_loses_nothing(
    site: Site, ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no second migration yet, so one is made up: it changes what the ledger holds and leaves the tables."""
    ledger = site.copy(ledger)  # which nobody uses again: its schema will be newer than this program's
    with opened(ledger) as store:
        Till(store).posts(body("sale", ("a", 1)))
    untouched = site.copy(ledger)
    folder = shutil.copytree(schema_path("migrations"), tmp_path / "migrations")
    (folder / "versions" / "0002_made_up.py").write_text(SECOND_STEP.format(head=schema._scripts().get_current_head()))
    with monkeypatch.context() as patch:
        patch.setattr(schema, "schema_path", lambda *_: folder)
        with pytest.raises(
            StoreError, match="has schema 0001, this program needs 0002; run: inventory-server db upgra"
        ):
            proof_of(ledger)
        for _ in range(2):
            upgrade(ledger)
        upgraded = site.copy(ledger)
        with opened(ledger) as store:
            Till(store, "T2").posts(body("sale", ("a", 2)))
            assert level(store).on_hand == -3
        assert proof_of(ledger).holds
        new = url_of(tmp_path / "new.db")
        upgrade(new)
        assert proof_of(new).holds
    with pytest.raises(StoreError, match=r"was made by a newer Tillwire \(schema 0002\); install that version"):
        proof_of(ledger)
    site.execute(upgraded, "UPDATE alembic_version SET version_num = '0001'")  # the tables are the same
    assert [pair.table for pair in compare(untouched, upgraded).pairs if not pair.is_equal] == ["product"]


def test_the_fingerprint_is_that_of_the_first_schema_wherever_it_is_checked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with other line ends and beside later migrations, another one after the slightest change."""
    here = schema.fingerprint()
    folder = shutil.copytree(schema_path("migrations"), tmp_path / "migrations")
    (folder / "versions" / "0002_made_up.py").write_text(SECOND_STEP.format(head="0001"))
    [first] = (folder / "versions").glob("0001_*.py")
    first.write_bytes(first.read_bytes().replace(b"\n", b"\r\n"))
    monkeypatch.setattr(schema, "schema_path", lambda *_: folder)
    assert schema.fingerprint() == here
    first.write_text(first.read_text().replace("SmallInteger", "Integer", 1))
    assert schema.fingerprint() != here


def test_a_ledger_of_a_first_schema_that_was_edited_since_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its revision is the same, and so may be its tables."""
    url = url_of(tmp_path / "ledger.db")
    upgrade(url)
    folder = shutil.copytree(schema_path("migrations"), tmp_path / "migrations")
    [first] = (folder / "versions").glob("0001_*.py")
    first.write_text(first.read_text() + "# edited\n")
    monkeypatch.setattr(schema, "schema_path", lambda *_: folder)
    for use in (proof_of, upgrade):
        with pytest.raises(StoreError) as refused:
            use(url)
        assert str(refused.value) == (
            f"{tmp_path / 'ledger.db'} was made by another unreleased version of Tillwire, whose tables differ; "
            "keep using that version, or make a new ledger with: inventory-server db upgrade --db URL"
        )


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


def test_a_ledger_in_a_file_has_no_partitions(path: Path) -> None:
    assert read_ledger(url_of(path), Sqlite(path).growth_warning) is None
    with pytest.raises(
        StoreError, match="has no partitions; if it grows too large for one file, move it to PostgreSQL"
    ):
        make_partitions(url_of(path), 1, 1 << 20)
