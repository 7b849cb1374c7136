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
from pos_client.files.table import Table, WrongWidth


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
                    for text in _rejected(table, reading, read, file):
                        out.write(text)
                        count += 1
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror or error}.") from error
    return count


def _rejected(table: Table, reading: FileReading, read: SalesFiles, file: int) -> Iterator[str]:
    for line, row in table.rows():
        if isinstance(row, Unread):
            yield "".join(row.lines)
        elif isinstance(row, WrongWidth):
            if (file, line) in read.refused:
                yield _line(row.cells, table, read)
        elif reading.is_held(row) or (file, line) in read.refused:
            yield _line(row, table, read)


def _line(cells: list[str], table: Table, read: SalesFiles) -> str:
    if read.mapping.quoting == "none":
        return table.delimiter.join(cells) + "\n"
    text = io.StringIO()
    csv.writer(text, delimiter=table.delimiter, lineterminator="\n").writerow(cells)
    return text.getvalue()
