"""Opens a file for reading: unpacks it, and recognises its encoding and what is no table by the first bytes."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pos_client.files.limits import HEAD_BYTES
from pos_client.files.problems import FileError

_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_KINDS = (
    (b"%PDF", "a PDF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a workbook of an old Excel (.xls)"),
    (b"{\\rtf", "an RTF document"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
)
_TEXTS = (
    (re.compile(rb"\s*<(!doctype\s+html|html)\b", re.IGNORECASE), "an HTML page"),
    (re.compile(rb"\s*<(\?xml|[A-Za-z][\w:]*[\s>/])"), "an XML file"),
    (re.compile(rb'\s*(\{\s*["}]|\[\s*[{\]])'), "a JSON file"),
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Opened:
    """An open file: its text, or the workbook that it is, and how many of its bytes on disk have been read."""

    text: IO[str] | None
    workbook: bytes | None
    read_bytes: Callable[[], int]


@contextmanager
def open_file(path: Path, encoding: str | None) -> Iterator[Opened]:
    """The content of `path`, unpacked if it is compressed (gzip, or a ZIP archive of one file).

    `encoding` is that of a text without a byte order mark; None: UTF-8, or UTF-16 where the bytes show it. Bytes that
    are not in the encoding become surrogates, which are refused in every cell that is used. FileError if the file
    cannot be read to its end, or is recognised as something else than a table.
    """
    try:
        with path.open("rb") as raw, _unpacked(path, raw) as (content, is_workbook):
            if is_workbook:
                yield Opened(None, content.read(), raw.tell)
                return
            head = content.peek(HEAD_BYTES)[:HEAD_BYTES]
            _refuse_other_kinds(path, head)
            used = _encoding(head, encoding)
            # A wrong byte of UTF-16 shifts all that follows.
            errors = "strict" if used.startswith(("utf-16", "utf-32")) else "surrogateescape"
            with io.TextIOWrapper(content, encoding=used, errors=errors, newline="") as text:
                yield Opened(text, None, raw.tell)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise FileError(f"{path} is truncated or corrupt: {error}.") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is cut short or is not {error.encoding.upper()}: {error.reason}.") from error


@contextmanager
def _unpacked(path: Path, raw: io.BufferedReader) -> Iterator[tuple[io.BufferedReader, bool]]:
    """The bytes of a file, unpacked, and whether they are a workbook."""
    head = raw.peek(4)
    if head.startswith(_GZIP):
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield io.BufferedReader(unpacked), False
    elif head.startswith(_ZIP):
        with zipfile.ZipFile(raw) as archive:
            if "xl/workbook.xml" in archive.namelist():
                raw.seek(0)
                yield raw, True
                return
            member = _only_member(path, archive)
            with archive.open(member) as unpacked:
                yield io.BufferedReader(unpacked), False  # type: ignore[arg-type]  # it has what a raw stream has
    else:
        yield raw, False


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [
        member
        for member in archive.infolist()
        if not (member.is_dir() or member.filename.startswith("__MACOSX/") or member.filename.endswith(".DS_Store"))
    ]
    if len(members) != 1:
        listed = ", ".join(member.filename for member in members) or "none"
        raise FileError(
            f"{path} is a ZIP archive: expected one file in it, got {listed}. Unpack it, and name the files."
        )
    if members[0].flag_bits & 1:
        raise FileError(f"{path} is an encrypted ZIP archive: unpack it first.")
    return members[0]


def _refuse_other_kinds(path: Path, head: bytes) -> None:
    for start, kind in _KINDS:
        if head.startswith(start):
            raise FileError(f"{path} is {kind}: expected a table. Export it as CSV or as .xlsx.")
    for pattern, kind in _TEXTS:
        if pattern.match(head.removeprefix(codecs.BOM_UTF8)):
            hint = " A page may be the login of the site it was loaded from." if "HTML" in kind else ""
            raise FileError(f"{path} is {kind}: expected a table. Export it as CSV or as .xlsx.{hint}")


def _encoding(head: bytes, named: str | None) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if named is not None:
        return named
    # Text of European languages has a zero in every second byte of UTF-16; UTF-8 has none.
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        half = head[offset::2]
        if len(half) > 1 and half.count(0) * 2 > len(half):
            return encoding
    return "utf-8"
