"""The first start of a server: where a ledger is made, where it is refused, and what kills and races leave behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.ledgers import proof_of, url_of
from tests.support.processes import argv, environment, run
from tests.support.waiting import HANG_SECONDS, wait_until

ANYWHERE = ("--listen", "127.0.0.1:0")
MADE = "inventory-server: made a new ledger, "


class Started:
    """`inventory-server serve` as it is started by hand, in `folder`."""

    def __init__(self, folder: Path, *options: str, env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            argv("inventory-server", "serve", *ANYWHERE, *options),
            env=environment(**(env or {})),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """The next line that it says."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    @property
    def code(self) -> int | None:
        """Its exit code once it has ended."""
        return self._process.poll()

    def end(self) -> tuple[int, str]:
        """End it; its exit code, and what it said on stderr."""
        self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate(timeout=HANG_SECONDS)
        return self._process.returncode, said


Start = Callable[..., Started]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers; none outlives the test."""
    started: list[Started] = []

    def start_one(folder: Path, *options: str, env: Mapping[str, str] | None = None) -> Started:
        started.append(Started(folder, *options, env=env))
        return started[-1]

    yield start_one
    for each in started:
        if each.code is None:
            each.end()


def test_the_first_start_at_the_default_path_makes_the_ledger_and_the_second_one_finds_it(
    start: Start, tmp_path: Path
) -> None:
    first = start(tmp_path)
    assert first.line() == f"{MADE}sqlite:///tillwire.db.\n"
    assert re.match("inventory-server: serving on .* from sqlite:///tillwire.db$", first.line())
    assert first.end()[0] == 0
    second = start(tmp_path)
    assert second.line().startswith("inventory-server: serving on ")
    assert second.end()[0] == 0
    assert proof_of(tmp_path / "tillwire.db").holds


def test_in_development_mode_any_path_will_do(start: Start, tmp_path: Path) -> None:
    started = start(tmp_path, "--dev", "--db", "sqlite:///mine.db")
    assert started.line() == f"{MADE}sqlite:///mine.db.\n"
    assert re.match("inventory-server: serving on .* from sqlite:///mine.db$", started.line())
    assert started.end()[0] == 0


BY_HAND = [pytest.param(True, id="option"), pytest.param(False, id="environment", marks=pytest.mark.long)]


@pytest.mark.parametrize("is_option", BY_HAND)
def test_a_path_given_by_hand_where_nothing_is_is_refused_with_the_command_that_makes_it(
    start: Start, tmp_path: Path, is_option: bool
) -> None:
    """The disk may not be mounted: a new ledger would hide the old one."""
    url = url_of(tmp_path / "hq.db")
    options, env = (("--db", url), {}) if is_option else ((), {"TILLWIRE_DB": url})
    refused = run("inventory-server", "serve", *ANYWHERE, *options, env=env, cwd=tmp_path)
    command = f"inventory-server db upgrade --db {url}"
    expected = f"inventory-server: There is no database {tmp_path / 'hq.db'}; make one with: {command}\n"
    assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", expected)
    assert os.listdir(tmp_path) == []
    assert run(*command.split()).returncode == 0
    started = start(tmp_path, *options, env=env)
    assert started.line().startswith("inventory-server: serving on ")
    assert started.end()[0] == 0


WRONG_PATHS = [
    ("link.db", "There is no database"),
    pytest.param("gone/hq.db", "No such file or directory", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("name", "reason"), WRONG_PATHS)
def test_no_folder_is_made_and_no_link_is_followed_to_nothing(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "unmounted.db")
    refused = run("inventory-server", "serve", "--dev", *ANYWHERE, "--db", f"sqlite:///{name}", cwd=tmp_path)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert reason in refused.stderr
    assert os.listdir(tmp_path) == ["link.db"]


@pytest.mark.long
def test_of_several_first_starts_at_once_one_serves(start: Start, tmp_path: Path) -> None:
    started = [start(tmp_path) for _ in range(4)]
    wait_until(lambda: sum(each.code is not None for each in started) == 3, "three of them to be refused")
    [serving] = [each for each in started if each.code is None]
    lines = [serving.line()]
    if lines[0].startswith(MADE):  # another one may have made it and been too late to open it
        lines.append(serving.line())
    assert lines[-1].startswith("inventory-server: serving on ")
    for each in started:
        code, said = each.end()
        assert code == (0 if each is serving else 2)
        assert each is serving or said.count("A server runs on this ledger") == 1
    assert proof_of(tmp_path / "tillwire.db").holds


KILLED = """
import os, signal, sys

from sqlalchemy import event
from sqlalchemy.engine import Engine

from inventory_server.cli import main

what, left = sys.argv.pop(1), int(sys.argv.pop(1))


def step(happening):
    global left
    left -= happening == what
    if happening == what and left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def audited(happening, arguments):
    if happening in ("open", "os.link", "os.remove") and str(arguments[0]).endswith(".new"):
        step(happening)


sys.addaudithook(audited)
event.listen(Engine, "before_cursor_execute", lambda *_: step("statement"))
sys.exit(main())
"""
MOMENTS = {
    "before there is any file": ("open", 1),
    "before the first statement": ("statement", 1),
    "half way": ("statement", 40),
    "when all is written": ("os.link", 1),
    "when it has its name": ("os.remove", 2),
}


@pytest.fixture
def killed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder in which a first start was killed."""
    command = [sys.executable, "-c", KILLED, *map(str, request.param), "serve", *ANYWHERE]
    done = subprocess.run(
        command, env=environment(), cwd=tmp_path, capture_output=True, timeout=HANG_SECONDS, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return tmp_path


@pytest.mark.long
@pytest.mark.parametrize("killed", MOMENTS.values(), ids=MOMENTS, indirect=True)
def test_a_first_start_that_is_killed_leaves_no_half_made_ledger(start: Start, killed: Path) -> None:
    if (killed / "tillwire.db").exists():
        assert proof_of(killed / "tillwire.db").holds
    again = start(killed)
    while not (line := again.line()).startswith("inventory-server: serving on "):
        assert line.startswith(MADE)
    assert again.end()[0] == 0
    assert run("inventory-server", "db", "upgrade", cwd=killed).returncode == 0
    assert sorted(os.listdir(killed)) == ["tillwire.db", "tillwire.db.lock"]
    assert (killed / "tillwire.db").stat().st_nlink == 1
    assert proof_of(killed / "tillwire.db").holds
