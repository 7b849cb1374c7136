"""What can be wrong with a file: all of it, or one of its rows."""

from __future__ import annotations

from dataclasses import dataclass

from pos_client.files.limits import CELL_LENGTH_MAX
from pos_client.protocol.errors import TillwireError


class FileError(TillwireError):
    """A file that cannot be read at all, or not in one way only; the message says what to do."""


class CellError(TillwireError):
    """A cell that cannot be read: its column, what was expected, what it holds, and perhaps what to do."""

    def __init__(self, column: str, expected: str, came: str, advice: str = "") -> None:
        shown = came[:CELL_LENGTH_MAX]
        super().__init__(f"{column}: expected {expected}, got {shown!r}{advice and f'; {advice}'}")
        self.kind = f"{column}: expected {expected}"


class TextError(ValueError):
    """A text that a reader of cells cannot read: what was expected, and perhaps what to do."""

    def __init__(self, expected: str, advice: str = "") -> None:
        super().__init__(expected)
        self.advice = advice


@dataclass(frozen=True, slots=True)
class Problem:
    """A row, or a whole basket, that is not posted: its file and line, and the reason. Like rows are of one `kind`."""

    file: str
    line: int
    reason: str
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"
