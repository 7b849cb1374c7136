"""A new ledger in a file is made whole or not at all, and nothing that is there already is touched."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from inventory_server.store import StoreError, StoreInUse, upgrade
from tests.support.ledgers import Till, body, level, opened, proof_of, url_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hq.db"


def test_a_new_ledger_leaves_nothing_beside_it_but_its_lock(path: Path) -> None:
    upgrade(url_of(path))
    assert sorted(os.listdir(path.parent)) == ["hq.db", "hq.db.lock"]
    assert path.stat().st_nlink == 1
    with opened(path) as store:
        Till(store).posts(body("sale", ("a", 1)))
        assert level(store).on_hand == -1
    assert proof_of(path).holds


def test_the_lock_names_the_process_that_holds_it(path: Path) -> None:
    upgrade(url_of(path))
    with (
        opened(path),
        pytest.raises(StoreInUse, match=rf"runs on this ledger \(pid {os.getpid()}\)\. Stop it first\.$"),
    ):
        upgrade(url_of(path))


def test_a_lock_file_that_cannot_hold_a_pid_locks_all_the_same(path: Path) -> None:
    upgrade(url_of(path))
    path.with_name("hq.db.lock").unlink()
    path.with_name("hq.db.lock").symlink_to("/dev/full")
    with opened(path), pytest.raises(StoreInUse, match=r"runs on this ledger\. Stop it first\.$"):
        upgrade(url_of(path))


def test_what_a_killed_process_left_behind_is_removed(path: Path) -> None:
    for name in ("hq.db.new", "hq.db.new-journal"):
        path.with_name(name).write_bytes(b"half of a ledger")
    upgrade(url_of(path))
    assert sorted(os.listdir(path.parent)) == ["hq.db", "hq.db.lock"]
    os.link(path, path.with_name("hq.db.new"))  # killed after it had the name, before it lost the other one
    upgrade(url_of(path))
    assert sorted(os.listdir(path.parent)) == ["hq.db", "hq.db.lock"]


def test_a_file_that_appears_meanwhile_is_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def another_program_is_faster(source: Path, target: Path) -> None:
        with closing(sqlite3.connect(target)) as other:
            other.execute("CREATE TABLE outbox (id)")
        link(source, target)

    monkeypatch.setattr(os, "link", another_program_is_faster)
    with pytest.raises(StoreError, match="holds tables of another program"):
        upgrade(url_of(path))
    assert sorted(os.listdir(path.parent)) == ["hq.db", "hq.db.lock"]


def test_a_file_system_that_has_no_links_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(_source: Path, _target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    said = "cannot be made: Operation not permitted; check the access rights, and that it is on a local disk"
    with pytest.raises(StoreError, match=said):
        upgrade(url_of(path))
    assert os.listdir(path.parent) == ["hq.db.lock"]


def test_a_log_without_its_file_is_not_thrown_away(path: Path) -> None:
    """It may hold postings that were answered; SQLite would delete it, or take it for the new file's."""
    log = path.with_name("hq.db-wal")
    log.write_bytes(b"postings")
    with pytest.raises(StoreError, match="put that file back, or move the log away"):
        upgrade(url_of(path))
    assert log.read_bytes() == b"postings"
    assert not path.exists()
