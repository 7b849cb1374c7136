"""`inventory-server clients`: who is connected to the running server."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from inventory_server.admin.control_paths import control_paths, own_control_path
from inventory_server.config import FENCES_ALARMING, FENCES_SECONDS
from inventory_server.domain.roles import Speaker
from inventory_server.protocol.events import RefusalLog
from inventory_server.store import StoreError
from pos_client.protocol.address import Address
from pos_client.protocol.errors import ErrorCode, RequestError
from tests.support.commands import Shell, headquarters
from tests.support.edge import ID, SALE, LineClient
from tests.support.waiting import wait_until


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


def test_connections_are_listed_with_what_they_were_refused_last(shell: Shell, tmp_path: Path) -> None:
    with headquarters(tmp_path, control=True) as (address, url):
        assert shell("inventory-server", "clients", "--db", url).out.endswith("0 connections.\n")
        server = Address.parse(address)
        with closing(LineClient(server)) as till, closing(LineClient(server)) as stranger:
            till.call("hello", terminal="T1", location="A", app="\x1b[31m1.0")
            till.call("stock", sku="a", skus=["b"])
            stranger.call("stock")
            shown = shell("inventory-server", "clients", "--db", url)
            assert (shown.code, shown.out.count("127.0.0.1:")) == (0, 2)
            assert "\\x1b[31m1.0" in shown.out
            first, second = json.loads(shell("inventory-server", "clients", "--json", "--db", url).out)
            assert (first["terminal"], first["role"], first["location"]) == ("T1", "till", "A")
            assert first["refusal"].startswith("stock: ")
            assert (second["terminal"], second["app"]) == (None, None)
            assert second["refusal"] == "stock: Say hello before stock."

        def gone() -> bool:
            return shell("inventory-server", "clients", "--json", "--db", url).out == "[]\n"

        wait_until(gone)


def test_devices_that_share_a_tills_name_are_an_alarm(
    shell: Shell, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tillwire.session")
    with headquarters(tmp_path, control=True) as (address, url), ExitStack() as opened:
        older: LineClient | None = None
        for _ in range(FENCES_ALARMING + 1):
            device = opened.enter_context(closing(LineClient(Address.parse(address))))
            device.call("hello", terminal="T1", location="A")
            for _ in range(FENCES_ALARMING if older else 0):  # a connection that asks again is no other device
                assert older is not None
                older.call("post", postings=[{"id": ID, "body": SALE}])
            alarms = [record for record in caplog.records if "event=terminal_name_shared" in record.getMessage()]
            shown = shell("inventory-server", "clients", "--db", url)
            older = device
    assert [record.levelno for record in alarms] == [logging.WARNING]
    assert "event=terminal_name_shared terminal=T1 peer=127.0.0.1:" in alarms[0].getMessage()
    assert shown.err == "T1 is used by several devices, which fence each other: give each a name of its own.\n"


def test_fences_of_long_ago_are_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    refusals, fenced = RefusalLog(), RequestError(ErrorCode.fenced, "Another one.")
    for epoch in range(9):
        till = Speaker("T1", "till", "A", epoch, None)
        refusals.note("post", till, None, fenced, "peer", epoch * FENCES_SECONDS * 1_000_000 // 2)
    assert "terminal_name_shared" not in caplog.text
    assert refusals.fences("T1", 10 * FENCES_SECONDS * 1_000_000) == refusals.fences("T2", 0) == 0


def test_without_a_server_nobody_is_connected(shell: Shell, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hq.db'}"
    shell("inventory-server", "db", "upgrade", "--db", url)
    done = shell("inventory-server", "clients", "--db", url)
    assert (done.code, done.out) == (2, "")
    assert "does not answer" in done.err


POSTGRESQL = "postgresql://clerk:secret@db.example/tillwire"


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"tillwire-{os.getuid()}"


def test_a_postgresql_ledger_that_no_server_of_this_machine_serves(shell: Shell, folder: Path) -> None:
    done = shell("inventory-server", "clients", "--db", POSTGRESQL)
    assert (done.code, done.out) == (2, "")
    assert "No server of postgresql+psycopg://clerk:***@db.example/tillwire was found on this machine." in done.err
    assert not folder.exists()


def served(url: str) -> list[str]:
    with control_paths(url) as found:
        return [Path(path).name for path in found]


def test_processes_on_postgresql_are_found_by_the_database_whoever_asks_it(folder: Path) -> None:
    with own_control_path(POSTGRESQL) as path:
        Path(path).touch()
        assert folder.stat().st_mode & 0o777 == 0o700
        [name] = served(POSTGRESQL)
        assert (folder / name).exists()
        assert served("postgresql+psycopg://db.example/tillwire?sslmode=require") == [name]
        assert served("postgresql://db.example/shop") == served("postgresql://db.example:5433/tillwire") == []


def test_what_killed_processes_left_is_passed_over_and_removed(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    with own_control_path(POSTGRESQL) as path:
        key = Path(path).name.partition(".")[0]
        left, running, odd = (folder / f"{key}.{owner}.control" for owner in (ended.pid, 1, "old"))
        for each in (left, running, odd):
            each.touch()
        assert served(POSTGRESQL) == [running.name]
    with own_control_path(POSTGRESQL):
        assert list(folder.iterdir()) == [running]


@pytest.mark.parametrize("what", ["others", "link", "file"])
def test_a_folder_that_others_could_write_to_is_refused(folder: Path, tmp_path: Path, what: str) -> None:
    """They could answer in the server's place."""
    if what == "others":
        folder.mkdir()
        folder.chmod(0o777)
    elif what == "link":
        folder.symlink_to(tmp_path)
    else:
        folder.touch()
    with pytest.raises(StoreError, match="cannot hold the server's control socket"), own_control_path(POSTGRESQL):
        pass
