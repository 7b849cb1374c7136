"""What a command did is told to programs as JSON: the same facts as in its sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pos_client.till.client import PosClient
from tests.support.commands import Shell, headquarters
from tests.support.ledgers import new_ledger
from tests.support.waiting import HANG_SECONDS


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


def told(shell: Shell, program: str, *arguments: str | Path, code: int = 0) -> Any:
    done = shell(program, *arguments, "--json")
    assert done.code == code, done
    return json.loads(done.out)


def test_what_an_administrator_changed_is_told(shell: Shell, tmp_path: Path) -> None:
    url = new_ledger(tmp_path / "hq.db")
    shell.env(TILLWIRE_DB=url)
    (tmp_path / "terminals.csv").write_text("terminal,location\nT1,A\nT2,A\n")
    (tmp_path / "wrong.csv").write_text("terminal,location\nT 3,A\n")
    listed = (tmp_path / "terminals.csv", "--tokens", tmp_path / "tokens")
    wrong = (tmp_path / "wrong.csv", "--tokens", tmp_path / "none")
    hq = "inventory-server"
    assert told(shell, hq, "db", "upgrade") == {"db": url}
    assert told(shell, hq, "terminal", "import", *listed) == {
        "enrolled": 2,
        "kept": 0,
        "tokens": str(tmp_path / "tokens"),
    }
    assert told(shell, hq, "terminal", "import", *wrong, code=1) == {"enrolled": 0, "problems": 1}
    assert told(shell, hq, "terminal", "move", "T1", "B") == {"terminal": "T1", "location": "B"}
    assert told(shell, hq, "terminal", "adopt", "T2", "--by", "T1") == {"terminal": "T2", "by": "T1"}
    assert told(shell, hq, "terminal", "revoke", "T2") == {"terminal": "T2", "revoked": True}
    place = told(shell, hq, "location", "set", "B", "--day-ends", "4")
    assert (place["location"], place["day_ends_hour"], place["time_zone"]) == ("B", 4, "UTC")
    renamed = told(shell, hq, "location", "rename", "B", " South Gate ")
    assert renamed == {"location": "B", "name": "South Gate"}
    assert shell(hq, "location", "rename", "B", " ").code == 2
    (tmp_path / "catalog.csv").write_text("sku,name\nx,Tea\n")
    assert shell(hq, "catalog", "import", tmp_path / "catalog.csv").code == 0
    assert told(shell, hq, "product", "remove", "x") == {"sku": "x"}


def test_what_a_till_did_is_told(shell: Shell, tmp_path: Path) -> None:
    with headquarters(tmp_path, control=True) as (address, url):
        shell.env(TILLWIRE_SERVER=address, TILLWIRE_TERMINAL="T1", TILLWIRE_LOCATION="A", TILLWIRE_DB=url)
        shell.env(TILLWIRE_OUTBOX=str(tmp_path / "till.db"))
        with PosClient(address, terminal="T1", location="A", outbox=tmp_path / "till.db") as client:
            client.sell([("y", 1)])
            sale = client.sell([("x", 1)])
            client.void(sale)
            again = client.void(sale)
            again.wait(HANG_SECONDS)
        assert told(shell, "inventory-server", "postings", "reopen", str(again.id)) == {"id": str(again.id)}
        assert told(shell, "pos-client", "outbox", "redrive", "--all") == {"pending_again": [str(again.id)]}
        assert told(shell, "pos-client", "deliver", code=1) == {"delivered": 1, "pending": 0, "parked": 1}
        with PosClient(address, terminal="T1", outbox=tmp_path / "till.db") as client:
            client.stock()  # at the latest the next hello tells what is parked
        assert [row["parked"] for row in told(shell, "inventory-server", "terminal", "list")] == [1]
        assert [row["parked"] for row in told(shell, "inventory-server", "reconcile", code=1)] == [1]
        settled = told(shell, "inventory-server", "exceptions", "settle", "negative_stock")
        assert settled == {"flag": "negative_stock", "settled": 1, "position": 3}
        assert told(shell, "stock-query", "x")["items"][0]["on_hand"] == 0
        both = shell("stock-query", "x", "--json", "--format", "csv")
        assert (both.code, both.out) == (2, "")
        assert "Expected --json or --format csv, got both." in both.err
