"""Reads a file as a table: finds its header and delimiter, and gives each row with its line number.

The one reader of all imports. What is on disk may be CSV in several dialects, compressed or not, or a workbook.
"""

from __future__ import annotations

import codecs
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from pos_client.files.limits import HEADER_LINES_MAX
from pos_client.files.opening import open_file
from pos_client.files.problems import FileError
from pos_client.files.records import Quoting, Records, Unread
from pos_client.files.spreadsheet import workbook_rows
from pos_client.protocol.printable import is_unicode

DELIMITERS = (",", ";", "\t", "|")
"""The delimiters that are recognised by the header."""
_TYPED = {";": "';'", "\t": "$'\\t'", "|": "'|'", ",": "','"}
"""The delimiters as a shell needs them quoted."""
_SEPARATOR_LINE = re.compile(r"\ufeff?sep=(.)\r?\n?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Form:
    """How a table is written. Without a delimiter, it is the one with which the header has the wanted columns.

    `numbered` columns are named by their numbers, also where the table has a `header`.
    """

    delimiter: str | None = None
    encoding: str | None = None
    quoting: Quoting = "strict"
    trim: bool = True
    header: bool = True
    short_rows: bool = False
    sheet: str | None = None
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class WrongWidth:
    """A row with more or fewer cells than the header."""

    cells: list[str]
    expected: int


class NoColumn(FileError):
    """A file without a column that is wanted; `header` are those it has."""

    def __init__(self, message: str, header: Sequence[str]) -> None:
        super().__init__(message)
        self.header = header


TableRow = list[str] | Unread | WrongWidth


class Table:
    """An open table. If they are numbered, the columns are named `1`, `2`, …"""

    def __init__(
        self, header: list[str], first: int, rows: Iterator[tuple[int, list[str] | Unread]], form: Form
    ) -> None:
        self.header = header
        self.header_line = first
        """Lines before it are not rows: a title, a filter."""
        self._rows = rows
        self._form = form
        self._is_cut: Callable[[], bool] = lambda: False
        self.lines_of: Callable[[int], list[str]] = lambda _: []
        """The lines of the row that has just been read and began in a line, if they are several."""
        self.delimiter = ","
        self.is_workbook = False

    def rows(self) -> Iterator[tuple[int, TableRow]]:
        """Each row with its line number; a row of another width, but for blank cells at its end, as WrongWidth."""
        width = len(self.header)
        for line, cells in self._rows:
            if (len(cells) == width if type(cells) is list else False) or isinstance(cells, Unread):
                yield line, cells
            else:
                yield line, self._fitted(cells, width)

    def _fitted(self, cells: list[str], width: int) -> list[str] | WrongWidth:
        if len(cells) > width:
            return WrongWidth(cells, width) if any(map(str.strip, cells[width:])) else cells[:width]
        # The last line of a file that was cut off is not a row that leaves out blank cells.
        if (self._form.short_rows and not self._is_cut()) or not any(map(str.strip, cells)):
            return cells + [""] * (width - len(cells))
        return WrongWidth(cells, width)


def checked_encoding(name: str | None) -> str | None:
    """`name`, if there is such an encoding; else FileError."""
    try:
        return name and codecs.lookup(name).name
    except LookupError as error:
        raise FileError(f"Unknown encoding {name!r}: expected one such as cp1252.") from error


@contextmanager
def open_table(path: Path, form: Form, wanted: Sequence[str]) -> Iterator[tuple[Table, Callable[[], int]]]:
    """The table in `path`, and a function that returns how many of its bytes have been read.

    `wanted` are the columns it must have: the first line that has them all is the header. FileError if none has.
    """
    with open_file(path, form.encoding) as opened:
        if opened.workbook is not None:
            table = _of_workbook(path, opened.workbook, form, wanted)
        else:
            assert opened.text is not None
            table = _of_text(path, opened.text, form, wanted)
        yield table, opened.read_bytes


def _of_workbook(path: Path, content: bytes, form: Form, wanted: Sequence[str]) -> Table:
    rows = workbook_rows(path, content, form.sheet)
    head = [(line, cells) for line, cells in islice(rows, HEADER_LINES_MAX) if any(cells)]
    if not head:
        raise FileError(f"{path} is empty: expected a header row.")
    found = _header_in(head, form, wanted)
    if found is None:
        raise no_column(path, _missing(head[0][1], wanted), head[0][1])
    nth, names = found
    table = Table(
        names, head[nth][0], chain(head[nth + form.header :], ((n, row) for n, row in rows if any(row))), form
    )
    table.is_workbook = True
    return table


def _of_text(path: Path, text: Iterable[str], form: Form, wanted: Sequence[str]) -> Table:
    lines = iter(text)
    head = list(islice(lines, HEADER_LINES_MAX))
    named = _SEPARATOR_LINE.match(head[0]) if head else None
    before = 1 if named else 0
    if not any(line.strip() for line in head[before:]):
        raise FileError(f"{path} is empty: expected a header row.")
    delimiters = [form.delimiter] if form.delimiter else [named[1]] if named else DELIMITERS
    best: tuple[int, int, str, list[str]] | None = None
    for delimiter in delimiters:
        records = list(Records(head[before:], delimiter, form.quoting, form.trim, before))
        rows = [(line, cells) for line, cells in records if isinstance(cells, list)]
        found = _header_in(rows, form, wanted)
        if found is not None and (best is None or rows[found[0]][0] < best[0]):
            best = (rows[found[0]][0], found[0], delimiter, found[1])
    if best is None:
        raise _no_header(path, head[before:], delimiters, form, wanted)
    line, _, delimiter, names = best
    records_left = Records(chain(head[line - 1 :], lines), delimiter, form.quoting, form.trim, line - 1)
    following = iter(records_left)
    if form.header:
        next(following)
    records_left.width = len(names)
    table = Table(names, line, following, form)
    table.delimiter = delimiter
    table.lines_of = records_left.lines_of
    table._is_cut = lambda: not records_left.line.endswith(("\n", "\r"))
    return table


def _header_in(
    rows: Sequence[tuple[int, list[str]]], form: Form, wanted: Sequence[str]
) -> tuple[int, list[str]] | None:
    """Which of `rows` is the header, and its names; blank names at its end are no columns."""
    for nth, (_, cells) in enumerate(rows):
        names = trimmed(cells, form) if not form.numbered else [str(at + 1) for at in range(len(cells))]
        if not _missing(names, wanted):
            return nth, names
    return None


def trimmed(cells: Sequence[str], form: Form) -> list[str]:
    """The names of a header row, without blanks around them (unless the form keeps them), and without those at its
    end that are blank."""
    names = [cell.strip() for cell in cells] if form.trim else list(cells)
    while names and not names[-1].strip():
        names.pop()
    return names


def _missing(names: Sequence[str], wanted: Sequence[str]) -> str:
    return next((name for name in wanted if name not in names), "")


def _no_header(path: Path, head: list[str], delimiters: Sequence[str], form: Form, wanted: Sequence[str]) -> FileError:
    """The error that no line is the header: about the line that has the most of the wanted columns."""
    best: list[str] = []
    for delimiter in delimiters:
        for _, cells in Records(head, delimiter, form.quoting, form.trim):
            names = trimmed(cells, form) if isinstance(cells, list) else []
            if names and (not best or _alike(names, wanted) > _alike(best, wanted)):
                best = names
    if form.numbered:
        return FileError(f"{path} has no column {max(wanted, key=int)}: its rows have {len(best)} cells.")
    return no_column(path, _missing(best, wanted), best)


def _alike(names: Sequence[str], wanted: Sequence[str]) -> int:
    plain = {_plain(name) for name in names}
    return sum(_plain(name) in plain for name in wanted)


def no_column(file: object, name: str, header: Sequence[str]) -> NoColumn:
    """The error that `file` has no column `name`, with the nearest name there is, or why it may not be found."""
    message = f"{file} has no column {name!r}; its columns are {', '.join(header)}."
    if not is_unicode(*header):
        message += ' Some are not UTF-8: a spreadsheet may have saved the file as cp1252 (encoding = "cp1252").'
    elif len(header) == 1 and (other := next((each for each in _TYPED if each in header[0]), None)):
        message += f" Another delimiter? Try --delimiter {_TYPED[other]}"
    else:
        near = {_plain(each): each for each in header}
        if alike := difflib.get_close_matches(_plain(name), near, 1, 0.75):
            message += f" Is it {near[alike[0]]!r}?"
    return NoColumn(message, header)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def places(file: object, header: Sequence[str], names: Iterable[str]) -> dict[str, int]:
    """Where each of `names` is in `header`; FileError if one is not, or is there twice."""
    found = {}
    for name in names:
        if name not in header:
            raise no_column(file, name, header)
        if header.count(name) > 1:
            raise FileError(f"{file} has {header.count(name)} columns {name!r}: expected one; rename the others.")
        found[name] = header.index(name)
    return found
