"""`inventory-server order-list`: what to order as a table, JSON and for a spreadsheet; marks made and taken back."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from inventory_server.domain.product import Product, Ranged, Supplier
from inventory_server.domain.requests import ImportProducts
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store.query import order_list
from pos_client.protocol.units import scaled
from tests.support.commands import Done, Shell, headquarters
from tests.support.ledgers import Till, opened

HQ = "inventory-server"
SOON = f"{datetime.now(UTC).date() + timedelta(days=3)}"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    """A command line at a ledger of two products at L1."""
    made = Shell(monkeypatch, capsys)
    made.env(TILLWIRE_DB=f"sqlite:///{tmp_path / 'hq.db'}")
    terms = {"pack_size": scaled(6), "ranged": (Ranged("L1"),)}
    products = [
        Product("a", "Apple", reorder_point=scaled(20), supplier="=ACME", **terms),  # type: ignore[arg-type]
        Product("b", reorder_point=scaled(2), ranged=(Ranged("L1"),)),
    ]
    with opened(tmp_path / "hq.db") as store:
        Till(store)
        store.submit(ImportProducts(products, [Supplier("=ACME", 2, 1, 11)], actor=HEADQUARTERS)).wait()
    return made


def listed(shell: Shell, *options: str) -> Any:
    done = shell(HQ, "order-list", "--json", *options)
    assert done.code == 0, done
    return json.loads(done.out)


def test_the_list_as_a_table_begins_with_the_answer(shell: Shell) -> None:
    done = shell(HQ, "order-list")
    first, *rest = done.out.splitlines()
    assert done.code == 0
    assert first.startswith("2 lines to order of 1 supplier, the first by 20")
    assert first.endswith("; 2 lines may change (~).")  # the till is silent: it said hello three years ago
    assert "20 reorder point − 0 available = 20" in done.out
    assert rest[-1].startswith("L1: complete to ")
    assert shell(HQ, "order-list", "--by", "2000-01-01").out == "Nothing has to be ordered.\n"
    assert "1 line to order, the first by" in shell(HQ, "order-list", "--sku", "b").out


def test_the_list_as_json_has_all_that_it_rests_on(shell: Shell) -> None:
    found = listed(shell, "--supplier", "=ACME")
    [line] = found["lines"]
    assert (line["quantity"], line["packs"], line["order_by_hour"], line["is_sure"]) == (24, 4, 11, False)
    assert line["order_by_at"].endswith("Z")
    assert (found["total"], found["unknown"], list(found["completeness"])) == (1, [], ["L1"])


def test_the_list_for_a_spreadsheet(shell: Shell) -> None:
    [first, second] = csv.DictReader(shell(HQ, "order-list", "--format", "csv", "--safe").out.splitlines())
    assert sorted([first["supplier"], second["supplier"]]) == ["", "'=ACME"]
    apple = first if first["sku"] == "a" else second
    assert (apple["quantity"], apple["is_sure"], apple["cover_days"]) == ("24", "", "")
    assert apple["sum"] == "20 reorder point − 0 available = 20"


def test_a_list_that_is_cut_says_so(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_list, "ORDER_LINES_MAX", 1)
    assert shell(HQ, "order-list").out.splitlines()[-1] == "… and 1 line to be ordered later."


def test_what_hq_does_not_know_is_said(shell: Shell) -> None:
    done = shell(HQ, "order-list", "--location", "L9")
    assert (done.code, done.err) == (1, "HQ knows no location or supplier L9.\n")


def test_marks_are_made_listed_and_taken_back(shell: Shell) -> None:
    made = shell(HQ, "order-list", "mark", "a", "14.5", "--location", "L1", "--expected", SOON)
    assert made.out == f"Marked 14.5 of a as ordered for L1, expected on {SOON}.\n"
    assert listed(shell, "--sku", "a")["lines"][0]["sum"] == "20 reorder point − 0 available − 14.5 ordered = 5.5"
    assert "14.5 │          14.5 │" in shell(HQ, "order-list", "marked").out
    again = json.loads(shell(HQ, "order-list", "mark", "a", "1", "--location", "L1", "--expected", SOON, "--json").out)
    marks = json.loads(shell(HQ, "order-list", "marked", "--json").out)
    assert [(each["quantity"], each["expected"]) for each in marks] == [(14.5, SOON), (1, SOON)]
    assert marks[1]["marked_at"] == again["marked_at"]
    one = shell(HQ, "order-list", "unmark", "a", "--location", "L1", "--marked-at", again["marked_at"])
    assert one.out == "Took back 1 mark of a for L1.\n"
    all_of_it = shell(HQ, "order-list", "unmark", "a", "--location", "L1", "--json")
    assert json.loads(all_of_it.out) == {"sku": "a", "location": "L1", "taken_back": 1}
    assert shell(HQ, "order-list", "marked", "--location", "L1").out == "Nothing is marked as ordered.\n"


WRONG = [
    (("--format", "csv", "--json"), "Expected --json or --format csv, got both."),
    (("--safe",), "--safe is for --format csv"),
    (("--by", "tomorrow"), "expected a date like 2026-03-19, got 'tomorrow'"),
    (("--sku", "a", "marked"), "Write options behind the command: order-list marked"),
    (("mark", "a", "x", "--location", "L1", "--expected", SOON), "got 'x'"),
    (("mark", "a", "1", "--location", "L9", "--expected", SOON), "HQ does not know location L9"),
    (("mark", "a", "1", "--location", "L1"), "Missing option '--expected'"),
    (("unmark", "a", "--location", "L1"), "a was not marked as ordered for L1"),
    (("unmark", "a", "--location", "L1", "--marked-at", "2026-03-17T07:42"), "expected an instant like"),
    (("unmark", "a", "--location", "L1", "--marked-at", "now"), "expected an instant like"),
]


@pytest.mark.parametrize(("arguments", "why"), WRONG)
def test_what_is_wrong_is_said(shell: Shell, arguments: tuple[str, ...], why: str) -> None:
    done: Done = shell(HQ, "order-list", *arguments)
    assert done.code == 2
    assert why in done.err


def test_a_running_server_makes_the_mark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shell = Shell(monkeypatch, capsys)
    with headquarters(tmp_path, control=True) as (_, url):
        shell.env(TILLWIRE_DB=url)
        (tmp_path / "catalog.csv").write_text("sku,reorder_point,location\nx,5,L1\n")
        assert shell(HQ, "location", "set", "L1").code == 0
        assert shell(HQ, "catalog", "import", tmp_path / "catalog.csv").code == 0
        done = shell(HQ, "order-list", "mark", "x", "2.5", "--location", "L1", "--expected", SOON)
        assert done.code == 0, done
        assert listed(shell)["lines"][0]["quantity"] == 3
