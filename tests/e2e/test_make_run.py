"""`make run`: a server for trying out, and commands for a second terminal that work as they are printed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import free_port
from tests.support.processes import environment
from tests.support.waiting import HANG_SECONDS


class MakeRun:
    """`make run` in a terminal of its own, which Ctrl-C is typed into."""

    def __init__(self, root: Path, folder: Path, port: int) -> None:
        self._process = subprocess.Popen(
            ["make", "run", f"PORT={port}", f"RUN_FOLDER={folder}"],
            cwd=root,
            env=_without_make(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def until(self, beginning: str) -> list[str]:
        """What it says up to the line with this beginning."""
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith(beginning):
                return lines
        raise AssertionError(f"{lines} and then it ended: {self._process.communicate()[1]}")

    def end(self) -> tuple[int, str, str]:
        """Its exit code once it has ended by itself, and what it said last on both streams."""
        out, err = self._process.communicate(timeout=HANG_SECONDS)
        return self._process.returncode, out, err

    def ctrl_c(self) -> tuple[int, str, str]:
        """The same after Ctrl-C, which every process of the terminal hears."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self.end()


def _without_make() -> dict[str, str]:
    """The tests may be run by a make whose options are not meant for this one."""
    return {name: value for name, value in environment().items() if not name.startswith(("MAKE", "MFLAGS"))}


@pytest.fixture
def running(root: Path, tmp_path: Path) -> Iterator[MakeRun]:
    if not (root / ".venv" / ".ready").exists():
        pytest.skip("the checkout has no .venv that make made")
    made = MakeRun(root, tmp_path / "run", free_port())
    yield made
    if made._process.poll() is None:
        made.ctrl_c()


def test_what_it_prints_sells_and_asks_and_ctrl_c_ends_it(running: MakeRun, root: Path, tmp_path: Path) -> None:
    lines = running.until("inventory-server: serving on ")
    assert f"inventory-server: made a new ledger, sqlite:///{tmp_path}/run/hq.db." in lines
    sell, ask = (line.strip() for line in lines if line.startswith("  "))
    for command, expected in ((sell, "posted"), (ask, "-2")):
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=root,
            env=_without_make(),
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
    code, out, err = running.ctrl_c()
    assert out.startswith("inventory-server: stopped")
    assert "Traceback" not in err
    assert code in (0, -signal.SIGINT)  # make itself may end as by Ctrl-C
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.suffix == ".db") == ["hq.db", "north-1.db"]


@pytest.mark.long
def test_a_port_that_is_taken_is_said_in_one_sentence(root: Path, tmp_path: Path) -> None:
    if not (root / ".venv" / ".ready").exists():
        pytest.skip("the checkout has no .venv that make made")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _, _, err = MakeRun(root, tmp_path / "run", port).end()
    [said] = [line for line in err.splitlines() if line.startswith("inventory-server: ") and "DEV" not in line]
    assert f"127.0.0.1:{port}" in said
    assert "in use" in said


def test_what_it_leaves_behind_is_ignored_and_cleaned_away(root: Path) -> None:
    assert "/run-data/" in (root / ".gitignore").read_text().splitlines()
    printed = subprocess.run(
        ["make", "-n", "clean"],
        cwd=root,
        env=_without_make(),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=True,
    )
    assert "run-data" in printed.stdout
