"""Workbooks are read like CSV: numbers and dates as a person sees them, and what is lost in them is named."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.bring_in import Came, bring_in
from tests.support.workbooks import DATE, Cell, write_workbook

Sheets = dict[str, list[list[Cell]]]
HEAD: list[Cell] = ["Store", "No", "Date", "Item", "Qty"]
AT = (46095.40347222222, DATE)  # 2026-03-14 09:41
SETTINGS: dict[str, Any] = {
    "source": "case",
    "columns": {"location": "Store", "basket": "No", "sku": "Item", "quantity": "Qty", "timestamp": "Date"},
    "time": {"formats": ["%d/%m/%Y %H:%M"], "zone": "Europe/Berlin"},
}


def read(path: Path, sheets: Sheets, **changes: Any) -> Came:
    write_workbook(path, sheets)
    return bring_in([path], None, {**SETTINGS, **changes})


def test_numbers_dates_and_titles_are_read_as_a_person_sees_them(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [
        ["Sales of March"],
        [],
        ["", *HEAD],
        ["", "N", 1, AT, "MUG", 2.0],
        ["", "N", 2, AT, 4006381333931.0, 0.1 + 0.2],
        [],
        ["", "N", 3, "14/03/2026 09:41", "TEA", "1"],
        ["", "N", 4, AT, "JAM", "some"],
    ]
    came = read(tmp_path / "s.xlsx", {"Sales": rows, "Notes": []})
    assert came.stock == {"MUG": "-2", "4006381333931": "-0.3", "TEA": "-1"}
    assert [said.split(": ")[0] for said in came.said] == [f"{tmp_path / 's.xlsx'}:8"]
    assert min(posting.occurred_at for posting in came.postings) == 1_773_477_660_000_000


def test_digits_that_a_spreadsheet_has_lost_are_named(tmp_path: Path) -> None:
    came = read(tmp_path / "s.xlsx", {"S": [HEAD, ["N", 1, AT, 1234567890123456789.0, 1]]})
    assert (came.stock, "a spreadsheet made a number of it" in came.said[0]) == ({}, True)


def test_a_workbook_with_several_sheets_needs_the_name_of_one(tmp_path: Path) -> None:
    sheets: Sheets = {"March": [HEAD, ["N", 1, AT, "A", 1]], "April": [HEAD, ["N", 2, AT, "B", 1]]}
    assert "has data in the sheets March, April" in read(tmp_path / "s.xlsx", sheets).said[0]
    assert read(tmp_path / "s.xlsx", sheets, sheet="April").stock == {"B": "-1"}
    assert "has no sheet 'May'; its sheets are March, April" in read(tmp_path / "s.xlsx", sheets, sheet="May").said[0]
    assert "is empty" in read(tmp_path / "s.xlsx", {"S": [[]]}).said[0]
    assert "has no column" in read(tmp_path / "s.xlsx", {"S": [["a", "b"]]}).said[0]


def test_a_damaged_workbook_and_a_missing_reader_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.xlsx"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("xl/workbook.xml", "<workbook")
    assert "is not a workbook that can be read" in bring_in([path], None, SETTINGS).said[0]
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    assert "pip install 'tillwire[files]'" in bring_in([path], None, SETTINGS).said[0]
