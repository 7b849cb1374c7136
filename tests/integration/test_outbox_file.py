"""The file under an outbox: shared by processes, and refused with the next step where it cannot be used."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from pos_client.protocol.errors import OutboxError
from pos_client.till.file_lock import FileLock
from pos_client.till.outbox import Outbox
from pos_client.till.outbox_file import SCHEMA_VERSION, OutboxFile
from pos_client.till.outbox_records import NewPosting
from tests.support.outboxes import posting, posting_id


def fill(outbox: Outbox, count: int) -> list[NewPosting]:
    postings = [posting(number) for number in range(1, count + 1)]
    outbox.add(*postings)
    return postings


def pending(outbox: Outbox) -> list[tuple[int, UUID]]:
    return [(entry.seq, entry.id) for entry in outbox.next_batch(1_000, 1 << 30)]


def numbered(*numbers: int) -> list[tuple[int, UUID]]:
    return [(seq, posting_id(number)) for seq, number in enumerate(numbers, 1)]


# ---------------------------------------------------------------------------------- several processes


def test_one_outbox_has_one_sender_and_any_number_of_sellers(tmp_path: Path) -> None:
    first, second = Outbox(tmp_path / "till.db"), Outbox(tmp_path / "till.db")
    assert first.acquire_sending()
    assert not second.acquire_sending()
    first.add(posting(1))
    second.add(posting(2))
    assert pending(first) == pending(second) == numbered(1, 2)
    first.close()
    assert second.acquire_sending()
    second.close()


# ---------------------------------------------------------------------------------- bad files


def test_a_new_outbox_is_for_its_owner_only_and_a_mode_that_was_given_stays(tmp_path: Path) -> None:
    path = tmp_path / "till.db"
    outbox = Outbox(path)
    assert outbox.acquire_sending()
    outbox.add(posting(1))
    assert {file.name: f"{file.stat().st_mode & 0o777:o}" for file in tmp_path.iterdir()} == {
        f"till.db{suffix}": "600" for suffix in ("", "-wal", "-shm", ".lock", ".write-lock")
    }
    outbox.close()
    path.chmod(0o660)
    outbox = Outbox(path)
    outbox.add(posting(2))
    assert [f"{file.stat().st_mode & 0o777:o}" for file in sorted(tmp_path.glob("till.db-*"))] == ["660", "660"]
    outbox.close()


def make_newer(path: Path) -> None:
    Outbox(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()


def make_foreign(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE customer (name)")
    db.close()


def make_damaged(path: Path) -> None:
    outbox = Outbox(path)
    fill(outbox, 50)
    outbox.close()
    content = bytearray(path.read_bytes())
    content[4_096:] = b"\xff" * (len(content) - 4_096)
    path.write_bytes(content)


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "newer": (make_newer, "update this program"),
    "foreign": (make_foreign, "not an outbox: check the path"),
    "no database": (lambda path: path.write_bytes(b"x" * 5_000), "not an outbox file: check the path"),
    "damaged": (make_damaged, "keep a copy for support"),
    "a folder": (lambda path: path.mkdir(), "cannot be opened"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_used_is_refused_with_the_next_step(tmp_path: Path, case: str) -> None:
    make, advice = BAD_FILES[case]
    make(tmp_path / "till.db")
    with pytest.raises(OutboxError, match=advice):
        Outbox(tmp_path / "till.db").add(posting(1))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutboxError, match="check that its folder exists"):
        Outbox(tmp_path / "nowhere" / "till.db")


def test_the_file_must_allow_write_ahead_logging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory database keeps no log, as some network file systems: it must not pass for durable."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutboxError, match="move it to a local disk"):
        OutboxFile(Path(":memory:"), 1.0)


def test_a_folder_that_cannot_be_synced_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutboxError, match="cannot be synced to disk: check the disk"):
        Outbox(tmp_path / "till.db")


def test_a_file_reached_by_another_name_has_the_same_one_sender(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "till.db")
    assert first.acquire_sending()
    (tmp_path / "link.db").symlink_to(tmp_path / "till.db")
    second = Outbox(tmp_path / "link.db")
    assert not second.acquire_sending()
    first.close()
    second.close()


def test_a_program_that_holds_the_file_is_named_as_the_cause(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "till.db", busy_seconds=0.05)
    holder = sqlite3.connect(tmp_path / "till.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(OutboxError, match="locked by another"):
        outbox.add(posting(1))
    holder.execute("ROLLBACK")
    holder.close()
    outbox.add(posting(1))
    assert pending(outbox) == numbered(1)
    outbox.close()


def test_two_processes_never_write_at_the_same_moment(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "till.db", busy_seconds=0.05)
    other = FileLock(tmp_path / "till.db.write-lock")
    assert other.try_acquire()
    for write in (lambda: outbox.add(posting(1)), lambda: outbox.add(posting(1), posting(2)), outbox.new_lineage):
        with pytest.raises(OutboxError, match="locked by another"):
            write()
    other.close()
    outbox.add(posting(1))
    outbox.close()


def test_a_closed_outbox_says_so(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "till.db")
    outbox.close()
    with pytest.raises(OutboxError, match="closed"):
        outbox.counts()
    with pytest.raises(OutboxError, match="closed"):
        outbox.report()
