"""`inventory-server clients`: who is connected to the running server."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from pos_client.protocol.address import Address
from tests.support.commands import Shell, headquarters
from tests.support.edge import LineClient
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


def test_without_a_server_nobody_is_connected(shell: Shell, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hq.db'}"
    shell("inventory-server", "db", "upgrade", "--db", url)
    done = shell("inventory-server", "clients", "--db", url)
    assert (done.code, done.out) == (2, "")
    assert "does not answer" in done.err


def test_of_a_postgresql_ledger_each_server_knows_its_own(shell: Shell) -> None:
    done = shell("inventory-server", "clients", "--db", "postgresql://nowhere/tillwire")
    assert (done.code, done.out) == (2, "")
    assert "each server and worker knows only its own connections: see terminal_connected" in done.err
    assert done.err.endswith("for all terminals: inventory-server terminal list\n")
