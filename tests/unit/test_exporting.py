"""Exports for spreadsheets: text is never run as a formula, numbers stay exact, and what is written is read back."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from pos_client.files.exporting import ExportCell, safe, workbook
from pos_client.files.spreadsheet import workbook_rows

FORMULAS = ["=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_would_be_run_is_put_behind_an_apostrophe(text: str) -> None:
    assert safe(text) == f"'{text}"


@pytest.mark.parametrize("cell", [-2, Decimal("-2.5"), "2-1", "a=b", "", None, "'=1"])
def test_numbers_and_other_text_stay_what_they_are(cell: ExportCell) -> None:
    assert safe(cell) == cell


def rows_of(content: bytes) -> list[list[str]]:
    return [row for _, row in workbook_rows(Path("x.xlsx"), content, None)]


def test_a_workbook_keeps_text_text_and_numbers_exact() -> None:
    numbers: list[ExportCell] = [-3, Decimal("0.00001"), 10**9, Decimal("123456789012.34567"), Decimal("1E+5")]
    rows: list[list[ExportCell]] = [[*FORMULAS[:4], "0042"], numbers, [None, "", "  <b> & ü", "_x0041_"]]
    content = workbook(["a", "b", "c", "d", "e"], rows)
    assert rows_of(content)[1:] == [
        [*FORMULAS[:4], "0042"],
        ["-3", "0.00001", "1000000000", "123456789012.34567", "100000"],
        ["", "", "  <b> & ü", "_x0041_", ""],
    ]
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    assert [type(cell) for cell in sheet[2][:4]] == [float, float, float, str]


def test_a_workbook_has_more_columns_than_the_alphabet() -> None:
    names = [f"c{n}" for n in range(800)]
    assert rows_of(workbook(names, [])) == [names]


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.lists(texts, min_size=1, max_size=4))
def test_any_text_can_be_read_back(row: list[str]) -> None:
    [_, found] = rows_of(workbook(["x"] * len(row), [row]))
    assert found == [text.replace("\r\n", "\n").replace("\r", "\n") for text in row]
