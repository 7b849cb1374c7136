"""Reads a list of terminals from a file; whatever is wrong in it is reported with file, line and column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pos_client.files.problems import Problem
from pos_client.files.records import Unread
from pos_client.files.table import Form, TableRow, WrongWidth, open_table, places
from pos_client.protocol.fields import Location, Role, TerminalName

_EXPECTED: dict[str, tuple[Any, str]] = {
    "terminal": (TerminalName, "1 to 64 letters, digits, dots, dashes or underscores"),
    "location": (Location, "1 to 64 characters without control characters"),
    "role": (Role, "till, reader or operator"),
}


@dataclass(frozen=True, slots=True)
class ListedTerminal:
    """A terminal to enrol."""

    terminal: str
    location: str
    role: Role


def read_terminals(path: Path, report: Callable[[Problem], None], form: Form | None = None) -> list[ListedTerminal]:
    """The terminals in the file `path`, with the columns terminal and location, and role (a till where it is blank).

    `report` receives each row that cannot be used. FileError if the file cannot be read at all.
    """
    listed: dict[str, tuple[int, ListedTerminal]] = {}
    with open_table(path, form or Form(), ["terminal", "location"]) as (table, _):
        at = places(path, table.header, [name for name in _EXPECTED if name in table.header])
        for line, row in table.rows():
            found = _terminal(row, at)
            if isinstance(found, str):
                report(Problem(str(path), line, found))
            elif found is not None and found.terminal in listed:
                before = listed[found.terminal][0]
                reason = f"terminal: expected each one once, got {found.terminal!r} again; it is also in line {before}"
                report(Problem(str(path), line, reason))
            elif found is not None:
                listed[found.terminal] = (line, found)
    return [terminal for _, terminal in listed.values()]


def _terminal(row: TableRow, at: dict[str, int]) -> ListedTerminal | str | None:
    """The terminal of a row, or what is wrong with it; None for a blank row."""
    if isinstance(row, Unread):
        return row.reason
    if isinstance(row, WrongWidth):
        return f"row: expected {row.expected} cells as in the header, got {len(row.cells)}"
    text = {name: row[where].strip() for name, where in at.items()}
    if not any(text.values()):
        return None
    text["role"] = text.get("role") or "till"
    for name, (kind, expected) in _EXPECTED.items():
        try:
            msgspec.convert(text[name], kind)
        except msgspec.ValidationError:
            return f"{name}: expected {expected}, got {text[name]!r}"
    return ListedTerminal(text["terminal"], text["location"], msgspec.convert(text["role"], Role))
