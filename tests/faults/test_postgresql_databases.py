"""A PostgreSQL that cannot be used is refused in one sentence that says what to do and tells no password."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from inventory_server.config import Settings
from inventory_server.resources import schema_path
from inventory_server.store import StoreError, open_store, upgrade
from inventory_server.store.database import postgresql, schema
from tests.support.doors import DOORS, USES, Door, doors, open_, refusal, verify
from tests.support.ledgers import Clock
from tests.support.postgres import Cluster, free_port
from tests.support.sites import PostgresSite


@pytest.fixture
def site(postgres: Cluster, postgres_site: PostgresSite) -> PostgresSite:
    if not postgres.execute("SELECT 1 FROM pg_roles WHERE rolname = 'clerk'"):
        postgres.execute("CREATE ROLE clerk LOGIN PASSWORD 'secret'")
    return postgres_site


@pytest.fixture
def ledger(site: PostgresSite) -> str:
    return site.new()


@pytest.fixture
def bare(postgres: Cluster) -> Iterator[str]:
    """A database with nothing in it."""
    name = postgres.database()
    yield postgres.url(name)
    postgres.drop(name)


def name_of(url: str) -> str:
    return make_url(url).database or ""


def as_clerk(url: str, password: str) -> str:
    return make_url(url).set(username="clerk", password=password).render_as_string(hide_password=False)


# ---------------------------------------------------------------------------------- who cannot be reached


@doors
def test_an_unreachable_server_is_named(door: Door) -> None:
    said = refusal(door, f"postgresql+psycopg://clerk:secret@127.0.0.1:{free_port()}/hq")
    assert said.startswith("postgresql+psycopg://clerk:***@127.0.0.1:")
    assert "cannot be opened: connection failed" in said
    assert said.endswith("check the URL, the password and that PostgreSQL is running and has a connection left.")


@doors
@pytest.mark.parametrize(
    "hidden",
    ["password=secret", "passfile=/secret", "host=/nowhere&sslpassword=secret", "passwrod=secret", "passwd=secret"],
)
def test_no_secret_of_a_url_is_told(door: Door, hidden: str) -> None:
    assert "=***" in refusal(door, f"postgresql+psycopg://clerk@127.0.0.1:{free_port()}/hq?{hidden}")


@doors
@pytest.mark.parametrize("host", ["a" * 64, "a..b"])
def test_a_host_that_no_network_can_have_is_named(door: Door, host: str) -> None:
    said = refusal(door, f"postgresql+psycopg://clerk:secret@{host}/hq")
    assert said.startswith(f"postgresql+psycopg://clerk:***@{host}/hq cannot be opened: ")


@doors
@pytest.mark.parametrize("places", ["port=abc", "port=1,2", "host=a,b,c&port=1,2"])
def test_hosts_and_ports_that_do_not_go_together_are_refused(door: Door, places: str) -> None:
    assert refusal(door, f"postgresql+psycopg://clerk:secret@/hq?{places}").endswith("; put that right.")


@doors
def test_a_wrong_password_and_a_missing_database_are_named(door: Door, ledger: str) -> None:
    assert 'password authentication failed for user "clerk"' in refusal(door, as_clerk(ledger, "secret?"))
    missing = make_url(ledger).set(database="nowhere").render_as_string()
    assert 'database "nowhere" does not exist' in refusal(door, missing)


@doors
def test_a_user_without_rights_is_told_so(door: Door, ledger: str, bare: str) -> None:
    url = bare if door is upgrade else ledger
    said = refusal(door, as_clerk(url, "secret"))
    assert said.endswith("grant it SELECT, INSERT, UPDATE and DELETE on all tables (db upgrade needs their owner).")


@doors
def test_out_of_connections_is_named(door: Door, ledger: str, postgres: Cluster) -> None:
    postgres.execute("ALTER ROLE clerk CONNECTION LIMIT 0")
    said = refusal(door, as_clerk(ledger, "secret"))
    postgres.execute("ALTER ROLE clerk CONNECTION LIMIT -1")
    assert 'too many connections for role "clerk"' in said
    assert said.endswith("is running and has a connection left.")


@pytest.mark.parametrize("door", [open_, upgrade])
def test_a_read_only_database_is_refused(door: Door, ledger: str, postgres: Cluster) -> None:
    postgres.execute(f'ALTER DATABASE "{name_of(ledger)}" SET default_transaction_read_only = on')
    said = refusal(door, ledger)
    verify(ledger)
    postgres.execute(f'ALTER DATABASE "{name_of(ledger)}" RESET default_transaction_read_only')
    assert said.endswith("is read-only; name the primary, or wait until a standby has taken its place.")


@pytest.mark.parametrize("door", [open_, upgrade])
def test_a_ledger_that_somebody_holds_is_refused_after_a_while(
    door: Door, ledger: str, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inventory_server.store.database.postgresql.COMMIT_LOCK_SECONDS", 1)
    with postgres.connect(name_of(ledger)) as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE ledger, alembic_version")
        said = refusal(door, ledger)
        other.execute("ROLLBACK")
    assert said.endswith("is locked by another program; end that program and try again.")


# ---------------------------------------------------------------------------------- what is no ledger


@pytest.mark.parametrize("door", USES)
def test_an_empty_database_names_the_command(door: Door, bare: str) -> None:
    shown = make_url(bare).render_as_string()
    assert refusal(door, bare) == f"{shown} holds no ledger yet; run: inventory-server db upgrade --db {shown}"


def test_the_database_of_another_program_is_left_alone(bare: str, postgres: Cluster) -> None:
    postgres.execute("CREATE TABLE outbox (id int)", name_of(bare))
    assert refusal(upgrade, bare).endswith("holds tables of another program (outbox); name another database.")
    assert postgres.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", name_of(bare)) == [
        ("outbox",)
    ]


# ---------------------------------------------------------------------------------- what was altered

ALTERATIONS = {
    "ids no longer unique": (
        "ALTER TABLE identity DROP CONSTRAINT pk_identity",
        "the primary key of identity is not id",
    ),
    "index dropped": ("DROP INDEX ix_level_sku", "add_index: ix_level_sku"),
    "column added": ("ALTER TABLE posting ADD COLUMN note text", "remove_column: posting, note"),
    "column dropped": ("ALTER TABLE posting DROP COLUMN tick_ms", "add_column: posting, tick_ms"),
    "column narrower": ("ALTER TABLE level ALTER on_hand TYPE integer", "modify_type: level, on_hand"),
    "table dropped": ("DROP TABLE void", "add_table: void"),
    "table added": ("CREATE TABLE mine (a int)", "remove_table: mine"),
    "key dropped": ("ALTER TABLE void DROP CONSTRAINT pk_void", "the primary key of void is not voids"),
    "trigger": (
        "CREATE TRIGGER mine BEFORE UPDATE ON posting EXECUTE FUNCTION mine()",
        "trigger mine",
    ),
    "rule": ("CREATE RULE mine AS ON INSERT TO level DO INSTEAD NOTHING", "rule mine"),
    "row level security": ("ALTER TABLE posting ENABLE ROW LEVEL SECURITY", "posting has row level security"),
    "unlogged": ("ALTER TABLE posting_0 SET UNLOGGED", "posting_0 is not kept through a crash"),
    "invalid index": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'pk_identity'::regclass",
        "index pk_identity is not valid",
    ),
    "another order": (
        'ALTER TABLE product ALTER name TYPE text COLLATE "default"',
        "product.name is not sorted by bytes",
    ),
    "head gone": ("DELETE FROM ledger", "ledger has 0 rows instead of one"),
    "two versions": ("INSERT INTO alembic_version (version_num) VALUES ('0000')", "it says it has the schemas"),
}


@pytest.mark.parametrize(("statement", "expected"), ALTERATIONS.values(), ids=ALTERATIONS)
def test_an_altered_schema_is_refused(site: PostgresSite, ledger: str, statement: str, expected: str) -> None:
    copy = site.copy(ledger)
    if "FUNCTION mine" in statement:
        site.execute(copy, "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    site.execute(copy, statement)
    for door in DOORS.values():
        assert f"was altered by hand ({expected}" in refusal(door, copy)


def test_a_newer_schema_is_refused(site: PostgresSite, ledger: str) -> None:
    copy = site.copy(ledger)
    site.execute(copy, "UPDATE alembic_version SET version_num = '9999'")
    for door in DOORS.values():
        assert "was made by a newer Tillwire (schema 9999); install that version." in refusal(door, copy)


@pytest.mark.parametrize(
    "change", ["UPDATE alembic_version SET first_schema = 'another'", "ALTER TABLE alembic_version DROP first_schema"]
)
def test_another_first_schema_is_refused(site: PostgresSite, ledger: str, change: str) -> None:
    copy = site.copy(ledger)
    site.execute(copy, change)
    for door in DOORS.values():
        said = refusal(door, copy)
        assert "was made by another unreleased version of Tillwire, whose tables differ; keep using" in said


def test_an_older_schema_is_upgraded_by_its_command_or_not_at_all(
    site: PostgresSite, ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: Cluster
) -> None:
    copy = site.copy(ledger)
    folder = shutil.copytree(schema_path("migrations"), tmp_path / "migrations")
    [(head,)] = postgres.execute("SELECT version_num FROM alembic_version", name_of(copy))
    (folder / "versions" / "9998_next.py").write_text(
        f"from alembic import op\n\nrevision, down_revision = '9998', '{head}'\n\n\ndef upgrade() -> None:\n"
        "    op.execute('CREATE TABLE half (a int)')\n    op.execute('DELETE FROM ledger')\n"
        "    raise RuntimeError('half way')\n"
    )
    monkeypatch.setattr(schema, "schema_path", lambda *_: folder)
    for door in USES:
        said = refusal(door, copy)
        assert f"has schema {head}, this program needs 9998; run: inventory-server db upgrade --db postgresql" in said
    with pytest.raises(RuntimeError, match="half way"):
        upgrade(copy)
    assert postgres.execute("SELECT version_num FROM alembic_version", name_of(copy)) == [(head,)]
    assert postgres.execute("SELECT count(*) FROM ledger", name_of(copy)) == [(1,)]


def test_a_schema_is_not_changed_under_a_running_server(
    site: PostgresSite, ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = site.copy(ledger)
    store = open_store(copy, Settings(accept_weak_durability=True), Clock())
    upgrade(copy)  # there is nothing to change
    folder = shutil.copytree(schema_path("migrations"), tmp_path / "migrations")
    head = schema._scripts().get_current_head()
    (folder / "versions" / "9998_next.py").write_text(
        f"revision, down_revision = '9998', '{head}'\n\n\ndef upgrade() -> None:\n    raise RuntimeError('reached')\n"
    )
    monkeypatch.setattr(schema, "schema_path", lambda *_: folder)
    monkeypatch.setattr(postgresql, "DISCONNECT_SECONDS", 0)
    said = refusal(upgrade, copy)
    assert said.endswith("other Tillwire connections; stop all servers and connection poolers first.")
    monkeypatch.setattr(postgresql, "DISCONNECT_SECONDS", 60)
    leaving = iter([store.close])
    monkeypatch.setattr(time, "sleep", lambda _: next(leaving, lambda: None)())
    with pytest.raises(RuntimeError, match="reached"):
        upgrade(copy)


# ---------------------------------------------------------------------------------- weak settings


def open_strictly(url: str) -> None:
    open_store(url, Settings(), Clock()).close()


def test_settings_that_could_lose_an_answered_posting_are_refused(ledger: str) -> None:
    said = refusal(open_strictly, ledger)
    assert "may lose acknowledged postings (fsync = off, full_page_writes = off, synchronous_commit = off)" in said
    assert said.endswith("correct that, or set accept_weak_durability for a trial.")


@pytest.mark.long
def test_a_database_that_keeps_its_word_is_served_and_a_weaker_word_is_noticed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Cluster(durable=True) as cluster:
        ledger = PostgresSite(cluster).new()
        open_strictly(ledger)
        cluster.execute(f'ALTER DATABASE "{name_of(ledger)}" SET synchronous_commit = off')
        assert "(synchronous_commit = off)" in refusal(open_strictly, ledger)
        open_(ledger)
        cluster.execute(f'ALTER DATABASE "{name_of(ledger)}" SET synchronous_commit = local')
        open_strictly(ledger)
        cluster.stop()
        cluster.start(synchronous_standby_names="nobody")
        assert "(synchronous_commit = local)" in refusal(open_strictly, ledger)
    assert "synchronous_commit = off" in caplog.text


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(StoreError, match=r"pip install 'tillwire\[server,postgresql\]'"):
        open_("postgresql+psycopg://hq/stock")
