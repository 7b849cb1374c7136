"""`inventory-server db partition`, as people and programs see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inventory_server.commands import serve
from inventory_server.store import upgrade
from tests.support.commands import Done, Shell
from tests.support.ledgers import Till, body, opened
from tests.support.partitions import POSITIONS, small
from tests.support.postgres import Cluster
from tests.support.sites import PostgresSite

MILLION = 1 << 20


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


@pytest.fixture
def site(postgres: Cluster) -> PostgresSite:
    return PostgresSite(postgres)


def partition(shell: Shell, ledger: str, *options: str) -> Done:
    return shell("inventory-server", "db", "partition", "--db", ledger, *options)


def sell(ledger: str, count: int) -> None:
    with opened(ledger) as store:
        Till(store).post(*(body("sale", ("a", 1), reference=str(number)) for number in range(count)))


def test_partitions_are_shown_and_made(shell: Shell, site: PostgresSite) -> None:
    ledger = site.copy(site.new())
    sell(ledger, 3)
    done = partition(shell, ledger)
    assert done.code == 0
    assert done.out.endswith("Made 0; 4 are empty.\n")
    assert "16,777,215" in done.out
    told = json.loads(partition(shell, ledger, "--ahead", "6", "--positions", str(2 * MILLION), "--json").out)
    assert [(part["first"], part["last"]) for part in told[-3:]] == [
        (5 << 24, (5 << 24) + 2 * MILLION - 1),
        ((5 << 24) + 2 * MILLION, (5 << 24) + 4 * MILLION - 1),
        ((5 << 24) + 4 * MILLION, None),
    ]
    assert told[0].keys() == {
        *("first", "last", "postings", "movements", "bytes", "first_recorded_at", "last_recorded_at"),
    }
    assert (told[0]["postings"], told[1]["postings"], told[1]["first_recorded_at"]) == (3, 0, None)


def test_it_is_said_what_lies_in_the_open_ended_one(shell: Shell, site: PostgresSite) -> None:
    ledger = small(site, 1)
    for _ in range(3):
        sell(ledger, POSITIONS)
    done = partition(shell, ledger)
    assert done.err == "The open-ended partition holds 1,025 postings; tills wait until they are read.\n"
    assert done.out.endswith("Made 5; 4 are empty.\n")


def test_a_server_says_when_partitions_run_out(
    site: PostgresSite, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ledger = small(site, 1)
    serve.warn_of_growth(ledger)
    assert capsys.readouterr().err == ""
    sell(ledger, POSITIONS)
    serve.warn_of_growth(ledger)
    assert capsys.readouterr().err == (
        "inventory-server: the ledger is in the last partition; run: inventory-server db partition --ahead 4\n"
    )
    file = f"sqlite:///{tmp_path / 'hq.db'}"
    upgrade(file)
    serve.warn_of_growth(file)
    assert capsys.readouterr().err == ""


def test_what_cannot_be_is_refused(shell: Shell, site: PostgresSite, tmp_path: Path) -> None:
    file = f"sqlite:///{tmp_path / 'hq.db'}"
    assert "in an SQLite file has no partitions" in partition(shell, file).err
    ledger = site.new()
    assert "Expected a multiple of 1,048,576" in partition(shell, ledger, "--positions", str(MILLION + 1)).err
    assert partition(shell, ledger, "--positions", "1024").code == 2
    assert partition(shell, ledger, "--ahead", "101").code == 2
