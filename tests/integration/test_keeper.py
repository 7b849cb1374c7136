"""The keeper and the program that it keeps: real processes, which end with it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path

import pytest

from inventory_server import keeper as module
from inventory_server.keeper import Keeper
from tests.support.waiting import wait_until

NOTES = "import os, sys; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); sys.stdin.read()"


@pytest.fixture
def pids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which a kept program notes its pid at each start; it is started again at once."""
    monkeypatch.setattr(module, "pause_before", lambda *_: 0.0)
    return tmp_path / "pids"


def started(pids: Path) -> list[int]:
    return [int(line) for line in pids.read_text().split()] if pids.exists() else []


def has_started(pids: Path, times: int) -> bool:
    return len(started(pids)) == times


def test_a_program_that_is_killed_is_started_again_and_ends_with_the_keeper(
    pids: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    keeper = Keeper("notes", [sys.executable, "-c", NOTES, str(pids)])
    keeper.start()
    try:
        for number in (1, 2):
            wait_until(partial(has_started, pids, number))
            os.kill(started(pids)[-1], signal.SIGKILL)
        wait_until(partial(has_started, pids, 3))
    finally:
        keeper.close(5)
    with pytest.raises(ProcessLookupError):
        os.kill(started(pids)[-1], 0)
    assert [record.getMessage() for record in caplog.records] == [
        "event=program_exited program=notes exit_code=-9 restart_seconds=0"
    ] * 2


def test_a_program_that_does_not_end_is_killed(pids: Path) -> None:
    ignoring = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + NOTES.replace(
        "sys.stdin.read()", "signal.pause()"
    )
    keeper = Keeper("notes", [sys.executable, "-c", ignoring, str(pids)])
    keeper.start()
    wait_until(lambda: started(pids))
    keeper.close(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(started(pids)[-1], 0)


def test_a_program_that_is_not_there_is_named(pids: Path, caplog: pytest.LogCaptureFixture) -> None:
    keeper = Keeper("nothing", [str(pids)])
    keeper.start()
    wait_until(lambda: "event=program_not_started program=nothing" in caplog.text)
    keeper.close(5)
