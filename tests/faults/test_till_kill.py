"""A till's process is killed, its disk is full or read-only: what `sell` returned for reaches HQ exactly once."""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from pos_client import Outbox, OutboxError
from pos_client.till.file_lock import FileLock
from tests.support.outboxes import posting
from tests.support.scripted_hq import ScriptedHq
from tests.support.waiting import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[2]
KILLS = 12


@pytest.fixture
def hq() -> Iterator[ScriptedHq]:
    with ScriptedHq(max_postings=20) as started:
        yield started


class Program:
    """A till program in a process of its own; `sold` is what it wrote down before it died."""

    def __init__(self, address: str, outbox: Path, *words: str) -> None:
        command = [sys.executable, "-m", "tests.support.till_program", address, str(outbox), *words]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._written = b""

    @property
    def sold(self) -> list[UUID]:
        return [UUID(line.decode()) for line in self._written.split(b"\n")[:-1]]

    def has_sold(self, count: int) -> None:
        """Return when `count` sales have been written down."""
        deadline = time.monotonic() + HANG_SECONDS
        while len(self.sold) < count:
            left = deadline - time.monotonic()
            assert left > 0, "the till program sells nothing"
            self._read(left)

    def _read(self, seconds: float) -> bool:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return False
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        self._written += data
        return bool(data)

    def kill(self) -> list[UUID]:
        """Kill -9; return what it had written down."""
        self.process.send_signal(signal.SIGKILL)
        return self._ended(-signal.SIGKILL)[0]

    def end(self) -> tuple[list[UUID], str]:
        """Wait until it ends by itself; return what it wrote down and its complaints."""
        return self._ended(0)

    def _ended(self, expected: int) -> tuple[list[UUID], str]:
        written, complaints = self.process.communicate(timeout=HANG_SECONDS)
        self._written += written
        assert self.process.returncode == expected, complaints.decode()
        return self.sold, complaints.decode()


def drain(hq: ScriptedHq, outbox: Path) -> None:
    Program(hq.address, outbox, "drain").end()


def assert_each_once(hq: ScriptedHq, sold: list[UUID], unwritten: int = 0) -> None:
    """All of `sold` is at HQ, once, with at most `unwritten` more that the kill kept from being written down."""
    times = Counter(result.id for result in hq.answered if result.status == "posted")
    assert set(sold) <= set(times)
    assert set(times.values()) <= {1}
    assert len(times) - len(sold) <= unwritten
    assert len(set(sold)) == len(sold)


def test_a_till_killed_between_sale_and_delivery_delivers_after_its_restart(hq: ScriptedHq, tmp_path: Path) -> None:
    hq.stop()
    till = Program(hq.address, tmp_path / "till.db", "sell", "5")
    till.has_sold(5)
    sold = till.kill()
    assert hq.ledger == {}
    hq.start()
    drain(hq, tmp_path / "till.db")
    assert_each_once(hq, sold)


@pytest.mark.long
def test_a_till_killed_at_random_moments_loses_and_doubles_nothing(hq: ScriptedHq, tmp_path: Path) -> None:
    rng = random.Random(os.urandom(8))
    outbox = tmp_path / "till.db"
    sold: list[UUID] = []
    for kill in range(KILLS):
        till = Program(hq.address, outbox, "sell")
        till.has_sold(rng.randint(1, 40))
        if kill % 3 == 0:
            hq.faults.append("lose_answer")
        time.sleep(rng.uniform(0, 0.02))
        sold += till.kill()
    hq.faults.clear()
    drain(hq, outbox)
    assert_each_once(hq, sold, unwritten=KILLS)
    opened = Outbox(outbox)
    seqs = hq.terminals["T1"].seqs[opened.lineage]
    opened.close()
    assert sorted(seqs) == list(range(1, len(hq.ledger) + 1))  # no hole, no number twice


def test_the_count_of_what_arrived_would_notice_a_loss_and_a_double() -> None:
    """The control of the tests above: the check itself must be able to fail."""
    first, second = posting(1).id, posting(2).id
    hq = ScriptedHq()
    with pytest.raises(AssertionError):
        assert_each_once(hq, [first])
    with pytest.raises(AssertionError):
        assert_each_once(hq, [first, second, second])


def test_of_two_tills_on_one_outbox_the_other_takes_over_when_the_sender_is_killed(
    hq: ScriptedHq, tmp_path: Path
) -> None:
    outbox = tmp_path / "till.db"
    first = Program(hq.address, outbox, "sell")
    first.has_sold(3)
    second = Program(hq.address, outbox, "sell")
    second.has_sold(20)
    first.has_sold(20)
    assert len(hq.hellos) == 1  # only one of them has ever spoken to HQ
    sold = first.kill()
    second.has_sold(60)
    sold += second.kill()
    drain(hq, outbox)
    assert_each_once(hq, sold, unwritten=2)


def test_on_a_full_disk_a_sale_raises_and_leaves_nothing_and_goes_on_when_there_is_room(
    hq: ScriptedHq, tmp_path: Path
) -> None:
    hq.stop()
    sold, complaints = Program(hq.address, tmp_path / "till.db", "fill").end()
    assert complaints.count("check the disk, its free space and its quota") == 4
    assert "Traceback" not in complaints
    assert len(sold) > 5
    hq.start()
    drain(hq, tmp_path / "till.db")
    assert_each_once(hq, sold)
    assert not any(b"never" in held.body for held in hq.ledger.values())


def add_until_refused(outbox: Outbox) -> tuple[int, str]:
    """How many postings found room, and what the next was told."""
    for number in range(10_000):
        try:
            outbox.add(posting(number))
        except OutboxError as error:
            return number, str(error)
    raise AssertionError("it never got full")


def test_a_database_that_may_not_grow_says_that_there_is_no_room(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "till.db")
    pages = outbox._file._connection.execute("PRAGMA page_count").fetchone()[0]
    outbox._file._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    added, complaint = add_until_refused(outbox)
    assert "free some space" in complaint
    with pytest.raises(OutboxError, match="free some space"):
        outbox.add(*[posting(added + more) for more in range(1_000)])
    assert outbox.counts().pending == added
    outbox._file._connection.execute("PRAGMA max_page_count = 1000000")
    outbox.add(posting(added))
    assert [entry.seq for entry in outbox.next_batch(10_000, 1 << 30)] == list(range(1, added + 2))
    outbox.close()


def test_a_database_that_turns_read_only_says_so(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "till.db")
    outbox._file._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(OutboxError, match="make the file and its folder writable"):
        outbox.add(posting(1))
    outbox._file._connection.execute("PRAGMA query_only = 0")
    outbox.add(posting(1))
    outbox.close()


def test_an_outbox_in_a_folder_that_may_not_be_written_is_refused_with_the_next_step() -> None:
    """Root may write anything, so root becomes nobody for the moment of opening."""
    folder = Path(tempfile.mkdtemp())
    try:
        Outbox(folder / "till.db").close()
        for path in (*folder.iterdir(), folder):
            path.chmod(0o555 if path.is_dir() else 0o444)
        user = os.geteuid()
        os.seteuid(65_534 if user == 0 else user)
        try:
            with pytest.raises(OutboxError, match=r"The lock file .* make the file and its folder writable"):
                Outbox(folder / "till.db")
            lock = FileLock(folder / "till.db.write-lock")
            for _ in range(2):
                with pytest.raises(OutboxError, match="make the file and its folder writable"):
                    lock.try_acquire()
        finally:
            os.seteuid(user)
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_flipped_byte_is_noticed_and_named(tmp_path: Path) -> None:
    """SQLite has no checksums, so not every byte is guarded; the structure of the file is."""
    path = tmp_path / "till.db"
    outbox = Outbox(path)
    outbox.add(*[posting(number) for number in range(200)])
    outbox.close()
    page = sqlite3.connect(path)
    root = page.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'posting'").fetchone()[0]
    page.close()
    content = bytearray(path.read_bytes())
    content[(root - 1) * 4_096] ^= 0xFF
    path.write_bytes(content)
    damaged = Outbox(path)
    with pytest.raises(OutboxError, match="keep a copy for support"):
        damaged.next_batch(500, 1 << 20)
    damaged.close()
