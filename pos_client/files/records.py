"""Splits the lines of a text into records, strictly: what cannot be read for certain is named, with its lines."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pos_client.files.limits import CELL_CHARS_MAX

Quoting = Literal["strict", "trusted", "none"]
"""How quotes are read: `strict` doubts a quoted cell that looks as if it had swallowed rows, `trusted` does not, and
for `none` a quote is a character like any other."""

_UNLIKELY_DELIMITERS = 3
# The only way to set it is for the whole process. The default, 128 KiB, is less than real descriptions have.
csv.field_size_limit(CELL_CHARS_MAX)


@dataclass(frozen=True, slots=True)
class Unread:
    """Lines that cannot be read: the first and the last of them, the reason, and the lines as they are."""

    first: int
    last: int
    reason: str
    lines: list[str]


class Records:
    """The records of a text, each with the number of its first line.

    A quote that opens a cell and is not closed as CSV demands swallows the lines up to where that shows. They are given
    as `Unread`, because none of them can be trusted. Blank lines are left out.
    """

    def __init__(self, lines: Iterable[str], delimiter: str, quoting: Quoting, trim: bool, before: int = 0) -> None:
        self._lines = iter(lines)
        self._delimiter = delimiter
        self._quoting = quoting
        self._number = before
        self._taken: list[str] = []
        self._taken_at = 0
        self._pending: list[str] = []
        self._reader = csv.reader(self._feed(), delimiter=delimiter, strict=True, skipinitialspace=trim)
        self.width: int | None = None
        """Cells of the header, by which a cell that has swallowed rows is recognised; None until it is known."""
        self.line = ""
        """The last line read."""

    def __iter__(self) -> Iterator[tuple[int, list[str] | Unread]]:
        split_plainly, delimiter = self._quoting == "none", self._delimiter
        for line in self._lines:
            self._number += 1
            self.line = line
            if split_plainly or '"' not in line:
                if text := line.rstrip("\r\n"):
                    yield self._number, text.split(delimiter)
            else:
                first = self._number
                yield first, self._quoted(first, line)

    def lines_of(self, line: int) -> list[str]:
        """The lines of the record that has just been read and began in `line`, if it has several; else none."""
        return self._taken if self._taken_at == line and len(self._taken) > 1 else []

    def _feed(self) -> Iterator[str]:
        while True:
            if self._pending:
                line = self._pending.pop()
            else:
                following = next(self._lines, None)
                if following is None:
                    return
                self._number += 1
                line = self.line = following
            self._taken.append(line)
            yield line

    def _quoted(self, first: int, line: str) -> list[str] | Unread:
        self._taken.clear()
        self._taken_at = first
        self._pending.append(line)
        try:
            cells = next(self._reader)
        except csv.Error as error:
            if "field larger" in str(error):
                self._taken.extend(self._lines)  # all of them may still be inside the quotes
                self._number = first + len(self._taken) - 1
            return self._unread(first, f"a quote that opens a cell in line {first} is not closed as CSV demands")
        if len(self._taken) > 1 and self._quoting == "strict" and self._swallowed(cells):
            return self._unread(first, f"a quoted cell that begins in line {first} looks as if it had swallowed rows")
        return cells

    def _unread(self, first: int, reason: str) -> Unread:
        last = self._number
        if last > first:
            reason += f"; lines {first} to {last} are not read"
        advice = 'double a quote inside a cell (""), or set quoting = "none" if the file has no quoted cells'
        if "swallowed" in reason:
            advice += ', or quoting = "trusted" if the cell is as it should be'
        return Unread(first, last, f"{reason}: {advice}", list(self._taken))

    def _swallowed(self, cells: list[str]) -> bool:
        """True if a cell spans lines of which the first and the last are whole rows, were it not for the quotes, or if
        the record has not the width of a row."""
        if self.width is not None and (len(cells) < self.width or any(map(str.strip, cells[self.width :]))):
            return True
        for at, cell in enumerate(cells):
            inner = cell.splitlines()
            if len(inner) > 1:
                before = at + 1 + inner[0].count(self._delimiter)
                after = inner[-1].count(self._delimiter) + len(cells) - at
                # The last line alone is enough where it would need as many delimiters as a row has by chance.
                if after == self.width and (before == after or at >= _UNLIKELY_DELIMITERS):
                    return True
        return False
