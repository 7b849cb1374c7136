"""`inventory-server db partition` and `db archive`, as people and programs see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inventory_server.clock import now_microseconds
from inventory_server.commands import serve
from inventory_server.config import Settings
from inventory_server.store import open_reader
from inventory_server.store.growth import closing
from tests.support.commands import Done, Shell
from tests.support.ledgers import Till, body, new_ledger, opened
from tests.support.partitions import POSITIONS, small
from tests.support.sites import PostgresSite

MILLION = 1 << 20


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


@pytest.fixture
def site(postgres_site: PostgresSite) -> PostgresSite:
    return postgres_site


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
    assert done.out.endswith("Created 0 partitions; 4 are empty.\n")
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
    assert done.err == "The open-ended partition holds 1,025 postings; tills wait until all are read.\n"
    assert done.out.endswith("Created 5 partitions; 4 are empty.\n")


def warn(ledger: str) -> None:
    with open_reader(ledger, Settings(), now_microseconds) as reader:
        serve.check_before_serving(reader, dev=False)


def test_a_server_says_when_partitions_run_out(
    site: PostgresSite, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ledger = small(site, 1)
    warn(ledger)
    assert capsys.readouterr().err == ""
    sell(ledger, POSITIONS)
    warn(ledger)
    assert capsys.readouterr().err == (
        "inventory-server: the ledger is in the last partition; run: inventory-server db partition --ahead 4\n"
    )
    file = new_ledger(tmp_path / "hq.db")
    warn(file)
    assert capsys.readouterr().err == ""


@pytest.mark.long
def test_a_partition_is_archived_and_taken_back(
    shell: Shell, site: PostgresSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "SEGMENTS_MAX", 1)
    ledger = small(site)
    sell(ledger, 2 * POSITIONS)
    archive = ("inventory-server", "db", "archive", "--db", ledger)
    assert (
        shell(*archive, "--before", "2020-01-01").out
        == "Nothing to archive: no partition was filled before that date.\n"
    )
    refused = shell(*archive, "--before", "2100-01-01")
    assert (refused.code, "first run: inventory-server db close" in refused.err) == (2, True)
    assert shell("inventory-server", "db", "close", "--db", ledger).code == 0
    done = shell(*archive, "--before", "2100-01-01")
    assert done.code == 0
    assert "psql --command 'DROP TABLE tillwire_archive.movement_0, tillwire_archive.posting_0, " in done.out
    assert "pg_dump --schema tillwire_archive" in done.out
    assert "postings in the archive" in shell("inventory-server", "verify", "--db", ledger).out
    assert (
        json.loads(shell("inventory-server", "status", "--db", ledger, "--json").out)["archived"] == 2 * POSITIONS - 1
    )
    [told] = json.loads(shell(*archive, "--return", "--json").out)
    assert (told["first"], told["last"]) == (POSITIONS, 2 * POSITIONS - 1)
    assert told["tables"] == [f"tillwire_archive.{table}_{POSITIONS}" for table in ("movement", "posting")]
    assert shell(*archive, "--return").out.endswith("Reattached: these postings are part of the ledger again.\n")
    assert shell(*archive, "--return").out == "Nothing is archived.\n"
    for came, wrong in {"neither": (), "both": ("--return", "--before", "2020-01-01")}.items():
        assert f"Expected --before DATE or --return, got {came}." in shell(*archive, *wrong).err


def test_what_cannot_be_is_refused(shell: Shell, site: PostgresSite, tmp_path: Path) -> None:
    file = new_ledger(tmp_path / "hq.db")
    assert "in an SQLite file has no partitions" in partition(shell, file).err
    ledger = site.new()
    assert (
        "--positions: expected a multiple of 1,048,576" in partition(shell, ledger, "--positions", str(MILLION + 1)).err
    )
    assert partition(shell, ledger, "--positions", "1024").code == 2
    assert partition(shell, ledger, "--ahead", "101").code == 2
