"""What a till program under test claims, line by line, in a file that outlives it.

A line is written with one `write` before the next step begins, so a killed till leaves a true account:
`intent` (a basket is opened, with its id and its bytes), `sold` (the sale is stored: the customer has a receipt) and
`answered` (HQ's answer has been read).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import msgspec


class Line(msgspec.Struct, omit_defaults=True):
    """One line: `body` is given for intents only, `status` and the ledger's `entry` for answers only."""

    what: str
    id: UUID
    body: str = ""
    status: str = ""
    entry: str = ""
    """Position and instant in the ledger, as answered."""


_decoder = msgspec.json.Decoder(Line)


class Writer:
    """Appends to a journal."""

    def __init__(self, path: str | Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, line: Line) -> None:
        """Add one line."""
        os.write(self._file, msgspec.json.encode(line) + b"\n")


class Account:
    """All that has been claimed so far, read from several journals that still grow."""

    def __init__(self) -> None:
        self.baskets: dict[str, UUID] = {}
        """The id of every posting that was ever begun, by its bytes, which differ from basket to basket."""
        self.refused: set[str] = set()
        """Bytes that HQ has refused for good, as it should."""
        self.sold: set[UUID] = set()
        self.answers: dict[UUID, str] = {}
        self.restated: set[UUID] = set()
        """Ids that HQ has acknowledged as two entries: it had lost the first, and the till had sent it again."""
        self._entries: dict[UUID, str] = {}
        self._read_bytes: dict[Path, int] = {}

    def read(self, paths: Iterable[Path]) -> None:
        """Take in what is new in `paths`."""
        for path in paths:
            with path.open("rb") as file:
                file.seek(self._read_bytes.get(path, 0))
                lines = file.read().split(b"\n")
            self._read_bytes[path] = self._read_bytes.get(path, 0) + sum(len(line) + 1 for line in lines[:-1])
            for line in lines[:-1]:
                self._take(_decoder.decode(line))

    def expect(self, posting_id: UUID, body: str) -> None:
        """A posting is about to be created."""
        self.baskets[body] = posting_id

    def _take(self, line: Line) -> None:
        if line.what == "intent":
            self.expect(line.id, line.body)
        elif line.what == "sold":
            self.sold.add(line.id)
        else:
            self.answers[line.id] = line.status
            if self._entries.setdefault(line.id, line.entry) != line.entry:
                self.restated.add(line.id)

    @property
    def acknowledged(self) -> set[UUID]:
        """The ids that HQ has answered as being in its ledger."""
        return {id_ for id_, status in self.answers.items() if status in ("posted", "duplicate")}
