"""`inventory-server reconcile` beside a running server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pos_client.till.client import PosClient
from tests.support.commands import Done, Shell, headquarters
from tests.support.waiting import HANG_SECONDS


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Token files are written to the current folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


def test_a_till_that_has_never_connected_is_named_and_is_no_problem(shell: Shell, tmp_path: Path) -> None:
    with headquarters(tmp_path, control=True) as (address, url):

        def server(*arguments: str) -> Done:
            return shell("inventory-server", *arguments, "--db", url)

        server("terminal", "add", "T2", "--location", "B")
        server("terminal", "add", "office", "--location", "B", "--role", "reader")
        with PosClient(address, terminal="T1", location="A", outbox=tmp_path / "t.db") as till:
            till.bye(timeout=HANG_SECONDS)  # connected, with nothing to post
        done = server("reconcile")
        assert (done.code, done.out) == (0, "1 of 2 tills reported and agrees; T2 is not in use yet.\n")
        listed = json.loads(server("reconcile", "--json").out)
        assert [(each["terminal"], each["contact_at"] is None, each["differences"]) for each in listed] == [
            ("T1", False, []),
            ("T2", True, []),
        ]
        server("terminal", "revoke", "T2")
        assert server("reconcile").out == "1 of 1 tills reported and agrees.\n"
