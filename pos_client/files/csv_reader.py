"""Reads the rows of a CSV file, each with the line it begins on; complaints about files."""

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
    """A row, or a whole basket, that is not posted: where it stands and what is wrong with it."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@contextmanager
def open_text(path: Path) -> Iterator[tuple[IO[str], Callable[[], int]]]:
    """A CSV file (`.gz`: compressed) as text, and a function that tells how many bytes of it have been read.

    Bad UTF-8 must not end the reading: it becomes surrogates, which no cell that is used may hold.
    """
    with path.open("rb") as raw:
        unpacked = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        with TextIOWrapper(unpacked, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            yield text, raw.tell


def numbered(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """The rows with the number of the line each begins on; a row that is no CSV as the error it is."""
    while True:
        line = reader.line_num + 1  # type: ignore[attr-defined]
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, error


_OTHER_DELIMITERS = {";": "';'", "\t": "$'\\t'", "|": "'|'"}  # as a shell takes them


def no_column(file: object, name: str, header: Sequence[str]) -> str:
    """The complaint that `file` has no column `name`, with the advice that fits its `header`."""
    complaint = f"{file} has no column {name!r}; it has {', '.join(header)}."
    if len(header) == 1:
        for delimiter, typed in _OTHER_DELIMITERS.items():
            if delimiter in header[0]:
                return f"{complaint} That looks like several: --delimiter {typed}"
    return complaint
