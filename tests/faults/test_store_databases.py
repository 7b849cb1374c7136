"""A database that cannot be used is refused in one sentence that says what to do, and is left as it was."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from inventory_server.config import Settings
from inventory_server.resources import schema_path
from inventory_server.store import StoreInUse, open_store, upgrade
from inventory_server.store.database import schema, sqlite
from tests.support.doors import USES, Door, doors, open_, refusal, verify
from tests.support.ledgers import Clock, Till, body, level, opened, url_of


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "empty.db"
    upgrade(url_of(path))
    return path


@pytest.fixture
def path(empty: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty, tmp_path / "ledger.db"))


def test_a_new_ledger_is_for_its_owner_only(tmp_path: Path) -> None:
    upgrade(url_of(tmp_path / "hq.db"))
    store = open_store(url_of(tmp_path / "hq.db"), Settings(), Clock())
    modes = {file.name: f"{file.stat().st_mode & 0o777:o}" for file in tmp_path.iterdir()}
    store.close()
    assert modes == {f"hq.db{suffix}": "600" for suffix in ("", "-wal", "-shm", ".lock")}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "SQLITE_BUSY_MS", 20)


def alter(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


# ---------------------------------------------------------------------------------- what is not there


@pytest.mark.parametrize("door", USES)
@pytest.mark.parametrize("name", ["none.db", "nowhere/none.db", "ledger.db/none.db"])
def test_a_missing_database_names_the_command_that_makes_it(path: Path, door: Door, name: str) -> None:
    url = url_of(path.parent / name)
    assert refusal(door, url).endswith(f"make one with: inventory-server db upgrade --db {url}")
    assert sorted(os.listdir(path.parent)) == ["ledger.db"]


def test_upgrade_makes_no_folders(tmp_path: Path) -> None:
    assert "No such file or directory; check the path" in refusal(upgrade, url_of(tmp_path / "nowhere" / "none.db"))


@doors
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "'' is not a database URL; expected something like sqlite:///tillwire.db or postgresql+psycopg://"),
        ("tillwire.db", "'tillwire.db' is not a database URL; expected something like sqlite:///tillwire.db or"),
        ("sqlite://", "Cannot keep a ledger in 'sqlite://'; expected something like sqlite:///tillwire.db or"),
        ("sqlite:///:memory:", "expected something like sqlite:///tillwire.db or"),
        ("sqlite:///a\0b.db", "expected something like sqlite:///tillwire.db or"),
        ("sqlite:///a.db?mode=ro", "'sqlite:///a.db?mode=ro' has options after the ?"),
        ("sqlite:///what?.db", "write %3F for a ? in its name."),
        ("mysql://me:secret@hq/stock", "Cannot keep a ledger in 'mysql://me:***@hq/stock'"),
        ("postgresql+psycopg2://me:secret@hq/stock", "Cannot keep a ledger in 'postgresql+psycopg2://me:***@hq/"),
        ("postgresql//me:secret@hq/stock", "'postgresql//me…' is not a database URL"),
        ("postgresql//me:se/cret@hq/stock", "'postgresql//me…' is not a database URL"),
        ("postgresql+psycopg:://me:se/cret@hq/stock", "'postgresql+psycopg…' is not a database URL"),
        ("host=hq password=secret", "'host…' is not a database URL"),
        ("postgresql+psycopg://me:secret@hq:abc/stock", "'postgresql+psycopg…' is not a database URL"),
        ("postgresql+psycopg://me:secret@[::1/stock", "'postgresql+psycopg…' is not a database URL"),
        ("postgresql+psycopg://me:se@cret@hq/stock", "'postgresql+psycopg…' has more than one @; write %40 for"),
        ("postgresql+psycopg://me:se@c/ret@hq/stock", "'postgresql+psycopg…' has more than one @; write %40 for"),
        ("mysql://me:se@cret@hq/stock", "'mysql…' has more than one @; write %40 for"),
        ("nosuchdb://hq/stock", "Cannot keep a ledger in 'nosuchdb://hq/stock'"),
    ],
)
def test_a_wrong_url_is_refused(door: Door, url: str, expected: str) -> None:
    assert expected in refusal(door, url)


@pytest.mark.parametrize("name", ["a b.db", "50%25.db", "%3F#&=;.db", "ü€.db", "it's.db", "mode=ro&uri=true.db"])
def test_any_file_name_can_be_used(tmp_path: Path, name: str) -> None:
    url = url_of(tmp_path / name)
    for door in (upgrade, open_, verify):
        door(url)
    beside = {name.removesuffix(end) for name in os.listdir(tmp_path) for end in ("-wal", "-shm", ".lock")}
    assert len([name for name in beside if name.endswith(".db")]) == 1


# ---------------------------------------------------------------------------------- what is no ledger


def _text(path: Path) -> None:
    path.write_text("sku,quantity\n" * 100)


def _bytes(at: int, *values: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[at : at + len(values)] = bytes(values)
        path.write_bytes(content)

    return damage


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = {
    "text": (_text, "is not an SQLite database; name another file or restore a backup."),
    "magic": (_bytes(0, *b"XQLite"), "is not an SQLite database; name another file or restore a backup."),
    "page size": (_bytes(16, 3, 3), "is not an SQLite database; name another file or restore a backup."),
    "schema format": (_bytes(44, 0, 0, 0, 9), "cannot be used (unsupported file format); restore a backup"),
    "cut off": (_cut, "is damaged; restore the last backup and let the tills send again."),
    "folder": (_folder, "cannot be"),
}


@doors
@pytest.mark.parametrize(("damage", "expected"), DAMAGES.values(), ids=DAMAGES)
def test_a_file_that_is_no_database_is_refused(
    path: Path, door: Door, damage: Callable[[Path], None], expected: str
) -> None:
    damage(path)
    assert f"{path} {expected}" in refusal(door, url_of(path))


@pytest.mark.parametrize("door", USES)
def test_an_empty_file_is_no_ledger_yet(tmp_path: Path, door: Door) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    assert (
        refusal(door, url_of(path))
        == f"{path} holds no ledger yet; run: inventory-server db upgrade --db {url_of(path)}"
    )


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    alter(path, "CREATE TABLE outbox (id)")
    assert "holds tables of another program (outbox); name another database." in refusal(upgrade, url_of(path))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("outbox",)]


# ---------------------------------------------------------------------------------- what is another ledger

ALTERED = "was altered by hand"
UNRELEASED = (
    "was made by another unreleased version of Tillwire, whose tables differ; "
    "keep using that version, or make a new ledger with: inventory-server db upgrade --db URL"
)
ALTERATIONS = {
    "ids no longer unique": (
        ["DROP TABLE identity", "CREATE TABLE identity (id BLOB NOT NULL, position BIGINT NOT NULL)"],
        f"{ALTERED} (the primary key of identity is not id)",
    ),
    "index dropped": (["DROP INDEX ix_level_sku"], f"{ALTERED} (add_index: ix_level_sku)"),
    "column added": (["ALTER TABLE posting ADD COLUMN note TEXT"], f"{ALTERED} (remove_column: posting, note)"),
    "column dropped": (["ALTER TABLE posting DROP COLUMN tick_ms"], f"{ALTERED} (add_column: posting, tick_ms)"),
    "table dropped": (["DROP TABLE void"], f"{ALTERED} (add_table: void)"),
    "table added": (["CREATE TABLE mine (a)"], f"{ALTERED} (remove_table: mine)"),
    "key dropped": (
        [
            "DROP TABLE void",
            ("CREATE TABLE void (voids BLOB NOT NULL, position BIGINT NOT NULL, location TEXT NOT NULL)"),
        ],
        f"{ALTERED} (the primary key of void is not voids, location)",
    ),
    "column of a foreign key renamed": (
        [
            "PRAGMA writable_schema = 1",
            "UPDATE sqlite_schema SET sql = replace(sql, 'sku TEXT', 'sju TEXT') WHERE name = 'product'",
            "UPDATE sqlite_schema SET sql = replace(sql, '(sku)', '(sju)') WHERE name = 'product'",
        ],
        f"{ALTERED} (Could not initialize target column for ForeignKey 'product.sku'",
    ),
    "definition that is no text": (
        ["PRAGMA writable_schema = 1", "UPDATE sqlite_schema SET sql = CAST(sql AS BLOB) WHERE name = 'product'"],
        f"{ALTERED} (cannot use a string pattern on a bytes-like object)",
    ),
    "definition in broken text": (
        [
            "PRAGMA writable_schema = 1",
            "UPDATE sqlite_schema SET sql = CAST(x'4352c5415445' AS TEXT) || substr(sql, 7) WHERE name = 'product'",
        ],
        "is damaged; restore the last backup and let the tills send again.",
    ),
    "no version among two": (
        [
            "DROP TABLE alembic_version",
            "CREATE TABLE alembic_version (version_num)",
            "INSERT INTO alembic_version VALUES ('0001'), (NULL)",
        ],
        f"{ALTERED} (it says it has the schemas",
    ),
    "trigger": (
        ["CREATE TRIGGER mine AFTER INSERT ON posting BEGIN DELETE FROM level; END"],
        f"{ALTERED} (trigger mine)",
    ),
    "head gone": (["DELETE FROM ledger"], f"{ALTERED} (ledger has 0 rows instead of one)"),
    "two versions": (
        ["INSERT INTO alembic_version (version_num) VALUES ('0000')"],
        f"{ALTERED} (it says it has the schemas",
    ),
    "strange version table": (
        ["DROP TABLE alembic_version", "CREATE TABLE alembic_version (a)"],
        "cannot be used (no such",
    ),
    "another first schema": (["UPDATE alembic_version SET first_schema = 'another'"], UNRELEASED),
    "first of several": (
        ["ALTER TABLE alembic_version DROP COLUMN first_schema", "UPDATE alembic_version SET version_num = '0007'"],
        UNRELEASED,
    ),
    "newer": (
        ["UPDATE alembic_version SET version_num = '9999'"],
        "was made by a newer Tillwire (schema 9999); install that version.",
    ),
}


@doors
@pytest.mark.parametrize(("statements", "expected"), ALTERATIONS.values(), ids=ALTERATIONS)
def test_another_schema_is_refused(path: Path, door: Door, statements: list[str], expected: str) -> None:
    alter(path, *statements)
    before = path.read_bytes()
    assert f"{path} {expected}" in refusal(door, url_of(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("door", USES)
def test_an_older_schema_names_the_command_that_upgrades_it(
    path: Path, door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    older = add_a_migration(tmp_path, monkeypatch)
    assert refusal(door, url_of(path)) == (
        f"{path} has schema {older}, this program needs 9999; run: inventory-server db upgrade --db {url_of(path)}"
    )


def test_an_upgrade_that_fails_half_way_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add_a_migration(tmp_path, monkeypatch)
    before = contents(path)
    with pytest.raises(RuntimeError, match="half way"):
        upgrade(url_of(path))
    assert contents(path) == before


def contents(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def add_a_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have the program need one more, which fails; return the revision before it."""
    head = ScriptDirectory(str(schema_path("migrations"))).get_current_head()
    assert head is not None
    folder = shutil.copytree(schema_path("migrations"), tmp_path / "migrations")
    (folder / "versions" / "9999_next.py").write_text(
        "from alembic import op\n\n"
        f'revision, down_revision = "9999", "{head}"\n\n\n'
        "def upgrade() -> None:\n"
        '    op.execute("CREATE TABLE half (a)")\n'
        '    op.execute("DELETE FROM ledger")\n'
        '    raise RuntimeError("half way")\n'
    )
    monkeypatch.setattr(schema, "schema_path", lambda *_: folder)
    return head


# ---------------------------------------------------------------------------------- what is taken, or not ours to write


@pytest.mark.parametrize("door", [open_, upgrade])
def test_a_ledger_has_one_server(path: Path, door: Door) -> None:
    with opened(path):
        with pytest.raises(StoreInUse, match=rf"A server runs on this ledger \(pid {os.getpid()}\). Stop it first"):
            door(url_of(path))
        verify(url_of(path))
    door(url_of(path))


@doors
def test_a_database_that_another_program_holds_is_refused(path: Path, door: Door) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        assert refusal(door, url_of(path)) == f"{path} is locked by another program; end that program and try again."
    door(url_of(path))


@contextmanager
def without_rights() -> Iterator[None]:
    """Root may do anything, so let go of that for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public(empty: Path) -> Iterator[Path]:
    """A ledger in a folder that everybody can reach."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(empty, folder))
        path.chmod(0o666)
        path.parent.chmod(0o777)
        yield path
        path.parent.chmod(0o777)


def test_a_read_only_file_is_refused_before_any_till_connects(public: Path) -> None:
    public.chmod(0o444)
    with without_rights():
        said = refusal(open_, url_of(public))
        verify(url_of(public))
    assert said == f"{public} is read-only; give this user write access to the file and its folder."


@pytest.mark.parametrize("door", [open_, upgrade])
def test_a_read_only_folder_is_refused(public: Path, door: Door) -> None:
    public.parent.chmod(0o555)
    with without_rights():
        assert "Permission denied; check the path and the access rights." in refusal(door, url_of(public))


@doors
def test_a_folder_that_may_not_be_entered_is_refused(public: Path, door: Door) -> None:
    public.parent.chmod(0)
    with without_rights():
        assert "Permission denied; check the path and the access rights." in refusal(door, url_of(public))


def test_what_may_be_read_by_nobody_is_refused(public: Path) -> None:
    public.chmod(0)
    with without_rights():
        assert "cannot be opened; check the path and the access rights" in refusal(verify, url_of(public))
    assert stat.S_IMODE(public.stat().st_mode) == 0


# ---------------------------------------------------------------------------------- weak settings


def test_settings_that_could_lose_an_answered_posting_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without shared memory, say, leaves SQLite without its write-ahead log."""
    monkeypatch.setattr(sqlite, "writing_engine", sqlite.reading_engine)
    alter(path, "PRAGMA journal_mode = DELETE")
    for door in (open_, upgrade):
        assert refusal(door, url_of(path)) == (
            "PRAGMA journal_mode is 'delete' where 'wal' is needed; move the database to a local disk."
        )


def test_a_refused_database_can_be_opened_once_it_is_mended(path: Path) -> None:
    alter(path, "DROP INDEX ix_level_sku")
    refusal(open_, url_of(path))
    alter(path, "CREATE INDEX ix_level_sku ON level (sku)")
    with opened(path) as store:
        Till(store).posts(body("sale", ("a", 1)))
        assert level(store).on_hand == -1
