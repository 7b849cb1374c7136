"""Reads the rows of a workbook (.xlsx); needs the extra `files` (python-calamine)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pos_client.files.limits import SPREADSHEET_DIGITS
from pos_client.files.problems import FileError


def workbook_rows(path: Path, content: bytes, sheet: str | None) -> Iterator[tuple[int, list[str]]]:
    """The rows of a workbook's sheet as text, each with its number; FileError if there is no such sheet.

    Without `sheet`, the workbook must have one sheet that is not empty. Dates are written as `2026-03-14 09:41:00`,
    numbers with the 15 digits that a spreadsheet keeps.
    """
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError as error:
        raise FileError(
            f"{path} is a workbook: install what reads it (pip install 'tillwire[files]'), or save it as CSV."
        ) from error
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        names = list(workbook.sheet_names)
        chosen = [name for name in names if sheet is None or name == sheet]
        filled = {name: rows for name in chosen if (rows := workbook.get_sheet_by_name(name).to_python(False))}
    except CalamineError as error:
        raise FileError(f"{path} is not a workbook that can be read: {error}. Save it as CSV.") from error
    if not chosen:
        raise FileError(f"{path} has no sheet {sheet!r}; its sheets are {', '.join(names)}.")
    if len(filled) > 1:
        raise FileError(f"{path} has data in the sheets {', '.join(filled)}: name one with the setting sheet.")
    for rows in filled.values():
        for number, row in enumerate(rows, start=1):
            yield number, [_text(cell) for cell in row]


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        text = f"{cell:.{SPREADSHEET_DIGITS}g}"
        return f"{Decimal(text):f}" if "e-" in text else text  # a large one keeps its exponent: digits are lost
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    return cell.isoformat() if isinstance(cell, date) else str(cell)
