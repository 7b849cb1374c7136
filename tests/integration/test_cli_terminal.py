"""Tables on a real terminal: they fit its width, and what is higher than it goes through the pager."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.support.waiting import HANG_SECONDS

PROGRAM = """
import sys
from pos_client.commands import console
rows = [[str(at), "some words of which there are many"] for at in range(int(sys.argv[1]))]
console.print_table({"n": True, "words": False}, rows)
console.say("The end.")
"""
LINES, COLUMNS = 12, 30


def on_a_terminal(rows: int, **environment: str) -> list[str]:
    """What a terminal of 12 lines and 30 columns shows of a table of `rows`."""
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    own = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "PAGER", "LESS")}
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(rows)],
        stdin=inside, stdout=inside, stderr=inside, env={**own, "TERM": "xterm", **environment},
    )  # fmt: skip
    os.close(inside)
    shown = b""
    try:
        while True:
            try:
                more = os.read(outside, 65536)
            except OSError:  # how Linux says that the other side has closed
                break
            if not more:
                break
            shown += more
        assert program.wait(HANG_SECONDS) == 0
    finally:
        program.kill()
        program.wait()
        os.close(outside)
    return shown.decode().splitlines()


@pytest.fixture
def pager(tmp_path: Path) -> str:
    """A pager that says that it was used."""
    path = tmp_path / "pager"
    path.write_text('#!/bin/sh\necho "PAGED $*"\ncat\n')
    path.chmod(0o700)
    return f"{path} --plain"


def test_what_fits_the_terminal_is_shown_at_once_and_folded_to_its_width(pager: str) -> None:
    shown = on_a_terminal(2, PAGER=pager)
    assert shown[-1] == "The end."
    assert "PAGED --plain" not in shown
    assert max(map(len, shown)) == COLUMNS
    assert [line[:4] for line in shown[2:-1]] == ["0 │ ", "  │ ", "1 │ ", "  │ "]


def test_what_is_higher_than_the_terminal_goes_through_the_pager(pager: str) -> None:
    shown = on_a_terminal(LINES, PAGER=pager)
    assert (shown[0], shown[-1]) == ("PAGED --plain", "The end.")
    assert max(map(len, shown)) == COLUMNS


def test_an_empty_pager_means_none_and_a_pipe_has_none(pager: str) -> None:
    assert on_a_terminal(LINES, PAGER="")[0].startswith(" n ┃ words")
    piped = subprocess.run(
        [sys.executable, "-c", PROGRAM, "50"],
        env={**os.environ, "PAGER": pager}, capture_output=True, text=True, check=True, timeout=HANG_SECONDS,
    )  # fmt: skip
    assert len(piped.stdout.splitlines()) == 2 + 50 + 1
    assert "PAGED" not in piped.stdout
