"""A process that posts is killed, or its disk fails or is full: what it was told is what the ledger holds."""

from __future__ import annotations

import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.ledgers import new_ledger, proof_of
from tests.support.waiting import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[2]
KILLS, MANY_KILLS = 2, 20
Said = list[list[str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    new_ledger(path)
    return path


def command(path: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.support.posting_process", str(path), *arguments]


def run(command: list[str], before: Callable[[], None] | None = None) -> Said:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=HANG_SECONDS, cwd=ROOT, preexec_fn=before
    )
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def assert_exactly_once(path: Path, said: Said) -> None:
    """What was acknowledged is there once, what was refused is not, and all of it adds up."""
    proof = proof_of(path)  # first, so that it has to make do with what the killed process left behind
    assert proof.holds, proof.findings
    with closing(sqlite3.connect(path)) as connection:
        held = [row[0].hex() for row in connection.execute("SELECT id FROM posting")]
    told: dict[str, set[str]] = {"acked": set(), "busy": set()}
    for outcome, *ids in said:
        told.setdefault(outcome, set()).update(id_.replace("-", "") for id_ in ids)
    assert told["acked"]
    assert told["acked"] <= set(held)
    assert not told["busy"] & set(held)
    assert len(held) == len(set(held)) == proof.postings


@pytest.mark.parametrize("kills", [KILLS, pytest.param(MANY_KILLS, marks=pytest.mark.long)])
def test_what_was_acknowledged_survives_kills(path: Path, kills: int) -> None:
    chance = random.Random(1)
    said: Said = []
    for kill in range(kills):
        with subprocess.Popen(command(path, f"T{kill % 3}", str(kill)), stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            said.append(process.stdout.readline().decode().split())
            time.sleep(chance.uniform(0, 0.05))
            process.kill()
            lines = process.stdout.read().decode().splitlines(keepends=True)
        said += [line.split() for line in lines if line.endswith("\n")]
    assert len(said) > kills
    assert_exactly_once(path, said)


def test_an_error_of_the_disk_ends_the_store(path: Path) -> None:
    """A limit on the size of files makes write(2) fail for real; SQLite calls that an error of the disk."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    said = run(command(path, "T1", "once"), limit)
    assert sorted(words[0] for words in said[-2:]) == ["fatal", "unknown"]
    assert_exactly_once(path, said)


SMALL_DISK = """
set -e
mount -t tmpfs -o size=2m tillwire "$1"
cp "$2" "$1/ledger.db"
dd if=/dev/zero of="$1/ballast" bs=1k count=1200 status=none
disk=$1 ledger=$2
shift 2
"$@"
cp "$disk/ledger.db" "$ledger"
"""


@pytest.mark.needs_root
def test_a_full_disk_is_busy_until_there_is_room(path: Path, tmp_path: Path) -> None:
    """In a mount namespace of its own, which takes its small disk with it when it ends."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("needs root and mount namespaces")
    disk = tmp_path / "disk"
    disk.mkdir()
    posting = command(disk / "ledger.db", "T1", "once", str(disk / "ballast"))
    said = run(["unshare", "-m", "sh", "-c", SMALL_DISK, "sh", str(disk), str(path), *posting])
    outcomes = [words[0] for words in said]
    assert outcomes.count("busy") == 1
    assert outcomes[outcomes.index("busy") + 1 :] == ["acked"] * 5
    assert_exactly_once(path, said)
