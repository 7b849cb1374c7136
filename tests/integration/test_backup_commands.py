"""`inventory-server db backup` and `db restore`: while a server runs, proven, and never over another file."""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from pos_client import PosClient
from tests.support.commands import Shell, headquarters
from tests.support.waiting import HANG_SECONDS


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


def test_a_ledger_is_backed_up_while_it_is_served_and_restored_elsewhere(shell: Shell, tmp_path: Path) -> None:
    with headquarters(tmp_path) as (address, url):
        with PosClient(address, terminal="T1", location="A", outbox=tmp_path / "t.db") as till:
            till.sell([("x", 1)]).wait(HANG_SECONDS)
            done = shell("inventory-server", "db", "backup", "b?k.db", "--db", url, "--json")
            assert json.loads(done.out) == {"db": url, "backup": "b?k.db", "postings": 1, "holds": True}
            assert stat.S_IMODE((tmp_path / "b?k.db").stat().st_mode) == 0o600
            till.sell([("x", 1)]).wait(HANG_SECONDS)
        running = shell("inventory-server", "db", "restore", "b?k.db", "--db", url)
        assert (running.code, "A server runs on this ledger" in running.err) == (2, True)
    (tmp_path / "b?k.db").rename(tmp_path / "backup.db")
    restored = shell("inventory-server", "db", "restore", "backup.db", "--db", "sqlite:///new.db")
    assert restored.code == 0, restored.err
    assert restored.out.endswith(
        "sqlite:///new.db is restored from backup.db. Serve it; tills send again what it lacks.\n"
    )
    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600
    assert json.loads(shell("inventory-server", "status", "--json", "--db", "sqlite:///new.db").out)["position"] == 1
    again = shell("inventory-server", "db", "restore", "backup.db", "--db", "sqlite:///new.db")
    assert (again.code, again.out) == (2, "")
    assert "new.db exists already, and is not overwritten: move it away, or name another file." in again.err
    over = shell("inventory-server", "db", "backup", "backup.db", "--db", "sqlite:///new.db")
    assert (over.code, "backup.db exists already, and is not overwritten" in over.err) == (2, True)
    assert [path.name for path in tmp_path.glob("*.new")] == []


def test_a_backup_that_proves_nothing_is_not_restored(shell: Shell, tmp_path: Path) -> None:
    with headquarters(tmp_path) as (address, url):
        with PosClient(address, terminal="T1", location="A", outbox=tmp_path / "t.db") as till:
            till.sell([("x", 1)]).wait(HANG_SECONDS)
        assert shell("inventory-server", "db", "backup", "backup.db", "--db", url).code == 0
    with closing(sqlite3.connect(tmp_path / "backup.db")) as altered, altered:
        altered.execute("UPDATE level SET on_hand = 7")
    done = shell("inventory-server", "db", "restore", "backup.db", "--db", "sqlite:///new.db")
    assert done.code == 1
    assert "Nothing was restored: backup.db is no good backup. Use another one." in done.err
    (tmp_path / "backup.db").write_bytes(b"no database at all" * 99)
    damaged = shell("inventory-server", "db", "restore", "backup.db", "--db", "sqlite:///new.db")
    assert (damaged.code, "is not an SQLite database" in damaged.err) == (2, True)
    assert not (tmp_path / "new.db").exists()


def test_what_is_not_there_is_not_backed_up(shell: Shell, tmp_path: Path) -> None:
    done = shell("inventory-server", "db", "backup", "backup.db", "--db", "sqlite:///gone.db")
    assert (done.code, "There is no database gone.db" in done.err) == (2, True)
    assert not (tmp_path / "backup.db").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("backup", "pg_dump --format=custom --file=b.db 'postgresql://u@db.example/stock'; or pg_basebackup"),
        ("restore", "pg_restore --exit-on-error --single-transaction --dbname='postgresql://u@db.example/stock' b.db"),
    ],
)
def test_postgresql_has_its_own_programs(command: str, said: str, shell: Shell, tmp_path: Path) -> None:
    if command == "restore":  # the backup is proven first
        shell("inventory-server", "db", "upgrade", "--db", "sqlite:///b.db")
    done = shell("inventory-server", "db", command, "b.db", "--db", "postgresql+psycopg://u:secret@db.example/stock")
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "secret" not in done.err
