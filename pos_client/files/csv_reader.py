"""Reads the rows of a CSV file, each with its line number, and describes what is wrong with a file."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import IO


@dataclass(frozen=True, slots=True)
class Problem:
    """A row, or a whole basket, that is not posted: its file and line, and the reason."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@contextmanager
def open_text(path: Path) -> Iterator[tuple[IO[str], Callable[[], int]]]:
    """A CSV file (`.gz`: compressed) as text, and a function that returns how many of its bytes have been read.

    Invalid UTF-8 does not stop the reader: it becomes surrogates, which are rejected in every cell that is used.
    """
    with path.open("rb") as raw:
        unpacked = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        with TextIOWrapper(unpacked, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            yield text, raw.tell


def numbered(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """The rows, each with the number of its first line; a row that is not valid CSV is given as the error."""
    while True:
        line = reader.line_num + 1  # type: ignore[attr-defined]
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, error


_OTHER_DELIMITERS = {";": "';'", "\t": "$'\\t'", "|": "'|'"}  # as a shell needs them quoted


def no_column(file: object, name: str, header: Sequence[str]) -> str:
    """The error that `file` has no column `name`, with a hint if its `header` suggests another delimiter."""
    message = f"{file} has no column {name!r}; its columns are {', '.join(header)}."
    if len(header) == 1:
        for delimiter, typed in _OTHER_DELIMITERS.items():
            if delimiter in header[0]:
                return f"{message} Another delimiter? Try --delimiter {typed}"
    return message
