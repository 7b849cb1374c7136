"""Writes the rows that were not posted to a file, to be mended there and read again with the same mapping."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from pos_client.files.problems import FileError
from pos_client.files.reading import FileReading
from pos_client.files.records import Unread
from pos_client.files.sales_file import SalesFiles
from pos_client.files.table import Table, TableRow, WrongWidth


def write_rejects(path: Path, read: SalesFiles) -> int:
    """Write all rows of receipts that are held back, and all that cannot be read, to `path`; return how many.

    FileError if `path` cannot be written, or if the files have different headers: then read them one by one.
    """
    encoding = read.mapping.encoding or "utf-8"
    header: list[str] | None = None
    count = 0
    try:
        with path.open("w", encoding=encoding, errors="surrogateescape", newline="") as out:
            for file in range(len(read.files)):
                with read.again(file) as (table, reading):
                    if header is None:
                        header = table.header
                        if read.mapping.has_header:
                            out.write(_line(header, table, read))
                    elif header != table.header:
                        raise FileError("The files have different headers: replay them one by one with --rejects.")
                    for text in _rejected(table, reading, read, file, count == 0):
                        out.write(text)
                        count += 1
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror or error}.") from error
    return count


def _rejected(table: Table, reading: FileReading, read: SalesFiles, file: int, is_first: bool) -> Iterator[str]:
    """The rows of a file to write; one with blank cells that the row above fills comes after that row."""
    fills = bool(read.mapping.fill_down)
    above: str | None = None
    for line, row in table.rows():
        is_rejected, text, is_whole = _row(line, row, table, reading, read, file)
        if not is_rejected:
            above = text or above
            continue
        if fills and not is_whole:
            if above is not None:
                yield above
            elif not is_first:
                raise FileError(
                    "Blank cells of the first rows cannot be filled: replay the files one by one with --rejects."
                )
        above, is_first = None, True
        yield text


def _row(
    line: int, row: TableRow, table: Table, reading: FileReading, read: SalesFiles, file: int
) -> tuple[bool, str, bool]:
    """Whether a row is to be written, its text, and whether it says all by itself; no text where it is no row."""
    if isinstance(row, Unread):
        reading.forget_above()
        return True, "".join(row.lines), False
    is_refused = (file, line) in read.refused
    if isinstance(row, WrongWidth):
        reading.forget_above()
        return is_refused, _line(row.cells, table, read), False
    is_rejected = reading.is_held(line, row) or is_refused
    text = _line(row, table, read) if is_rejected or reading.is_row(row) else ""
    return is_rejected, text, reading.is_whole(row)


def _line(cells: list[str], table: Table, read: SalesFiles) -> str:
    if read.mapping.quoting == "none":
        return table.delimiter.join(cells) + "\n"
    text = io.StringIO()
    csv.writer(text, delimiter=table.delimiter, lineterminator="\n").writerow(cells)
    return text.getvalue()
