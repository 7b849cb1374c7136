"""`catalog import --dry-run` says what an import then does; exports of the catalogue and of stock for spreadsheets."""

from __future__ import annotations

import io
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pos_client.files.spreadsheet import workbook_rows
from tests.support.commands import Done, Shell, headquarters

FIRST = """\
sku,name,unit,barcode,reorder_point,supplier,lead_time_days,location
,,,,,ACME,3,
A,Tea,piece,40000008 4006381333931,6,ACME,,
A,,,,8,,,north
B,Jam,glass,5012345678900,,,,
=C,@home,,,,,,
"""
SECOND = """\
sku,name,unit,barcode,reorder_point,location,supplier,lead_time_days
,,,,,,ACME,4
A,Tea,,40000008,,,ACME,
A,,,,9,north,,
A,,,,,south,,
D,New,,,1.5,,,
=C,@home,,,,,,
"""


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TILLWIRE_DB", f"sqlite:///{tmp_path / 'hq.db'}")
    for name, content in (("1.csv", FIRST), ("2.csv", SECOND)):
        (tmp_path / name).write_text(content)
    return Shell(monkeypatch, capsys)


def json_of(done: Done) -> Any:
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_rehearsal_says_what_is_added_changed_and_cleared(shell: Shell, tmp_path: Path) -> None:
    imported = partial(shell, "inventory-server", "catalog", "import")
    with headquarters(tmp_path):
        first = json_of(imported("1.csv", "--dry-run", "--json"))
        assert first == {
            "added": ["ACME", "A", "B", "=C"], "changed": [], "cleared": [], "unchanged": 0, "wrong_barcodes": 0
        }  # fmt: skip
    assert imported("1.csv").code == 0
    assert json_of(imported("1.csv", "--dry-run", "--json"))["unchanged"] == 4
    told = json_of(imported("2.csv", "--dry-run", "--json"))
    assert (told["added"], told["unchanged"]) == (["D"], 1)
    changed = {
        (each["of"], each["location"], each["field"]): (each["before"], each["after"]) for each in told["changed"]
    }
    assert changed == {
        ("ACME", None, "lead_time_days"): (3, 4),
        ("A", None, "barcode"): (["00000040000008", "04006381333931"], ["00000040000008"]),
        ("A", None, "location"): (["north"], ["north", "south"]),
        ("A", "north", "reorder_point"): (8, 9),
    }
    cleared = [(each["of"], each["field"], each["before"]) for each in told["cleared"]]
    assert cleared == [("A", "unit", "piece"), ("A", "reorder_point", 6)]
    shown = imported("2.csv", "--dry-run")
    assert "A    │ north    │ reorder_point  │ 8" in shown.out
    assert shown.out.endswith(
        "Added: 1: D.\nChanged: 4 fields. Cleared: 2 fields.\nUnchanged: 1. Nothing was imported.\n"
    )
    assert json_of(shell("inventory-server", "product", "show", "A", "--json"))["unit"] == "piece"
    assert imported("2.csv").code == 0
    again = json_of(imported("2.csv", "--dry-run", "--json"))
    assert (again["added"], again["changed"], again["cleared"], again["unchanged"]) == ([], [], [], 4)


def test_a_rehearsal_names_wrong_and_moved_barcodes(shell: Shell, tmp_path: Path) -> None:
    imported = partial(shell, "inventory-server", "catalog", "import")
    with headquarters(tmp_path):
        pass
    imported("1.csv")
    (tmp_path / "3.csv").write_text("sku,barcode\nD,5012345678900\nA,40000009\n")
    taken = imported("3.csv", "--dry-run")
    assert (taken.code, "which is listed for 'B'" in taken.err) == (1, True)
    done = imported("3.csv", "--dry-run", "--move-barcodes", "--json")
    assert (done.code, done.err.startswith("3.csv:3: barcode: expected the check digit 8")) == (1, True)
    told = json.loads(done.out)
    assert (told["added"], told["wrong_barcodes"], told["unchanged"]) == (["D"], 1, 1)
    assert [(each["of"], each["before"], each["after"]) for each in told["cleared"]] == [("B", ["05012345678900"], [])]


class Out(io.TextIOWrapper):
    """Standard output whose bytes can be looked at."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)


def written(shell: Shell, monkeypatch: pytest.MonkeyPatch, *command: str) -> bytes:
    """What a command writes to standard output, as bytes."""
    out = Out()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", out)
        assert shell(*command).code == 0
    buffer = out.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()


def test_exports_for_spreadsheets_run_nothing_and_say_what_is_not_listed(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with headquarters(tmp_path) as (address, _):
        till = ["--server", address, "--terminal", "N1", "--location", "north", "--wait", "30"]
        assert shell("pos-client", "sell", "A=2.5", "@x", *till).code == 0
        ask = ["stock-query", "--server", address, "--format"]
        head = "sku,location,on_hand,reserved,available,in_transit,reorder_point,counted_at,last_movement_at,unlisted"
        plain = shell(*ask, "csv").out.splitlines()
        assert plain[0] == head
        assert [row.rpartition(",")[2] for row in plain[1:]] == ["unlisted", "unlisted"]
        safe = shell(*ask, "csv", "--safe").out.splitlines()
        assert [row.split(",")[:3] for row in safe[1:]] == [["'@x", "north", "-1"], ["A", "north", "-2.5"]]
        rows = [row for _, row in workbook_rows(Path("x"), written(shell, monkeypatch, *ask, "xlsx"), None)]
        assert (rows[0], [row[:3] for row in rows[1:]]) == (
            head.split(","), [["@x", "north", "-1"], ["A", "north", "-2.5"]]
        )  # fmt: skip
        refused = shell(*ask, "xlsx", "--safe")
        assert (refused.code, "a workbook is safe as it is" in refused.err) == (2, True)
        both = shell(*ask, "xlsx", "--json")
        assert (both.code, "Expected --json or --format xlsx, got both" in both.err) == (2, True)


def test_a_catalogue_goes_through_a_workbook_unchanged(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with headquarters(tmp_path):
        pass
    shell("inventory-server", "catalog", "import", "1.csv")
    export = ["inventory-server", "product", "export"]
    (tmp_path / "all.xlsx").write_bytes(written(shell, monkeypatch, *export, "--format", "xlsx"))
    told = json_of(shell("inventory-server", "catalog", "import", "all.xlsx", "--dry-run", "--json"))
    assert (told["added"], told["changed"], told["cleared"], told["unchanged"]) == ([], [], [], 4)
    assert "'=C,'@home,,,,," in shell(*export, "--safe").out
    assert shell(*export, "--safe", "--format", "xlsx").code == 2
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert "write it to a file" in shell(*export, "--format", "xlsx").err
