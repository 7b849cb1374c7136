"""Transfers and reservations of products that merges connect. Pure.

Documents are of the product that their SKU means once all merges have happened, so a merge unites what is left of both
products of a document. What unnamed lines drew stays drawn: each drew under the names of its own position.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from inventory_server.domain.documents import Document, DocumentKind, DocumentLine, LineRole, fits_in_time
from inventory_server.domain.merge import Merge, Merges, standing


class FamilyDraw(NamedTuple):
    """What a line without a name took of a document, under one of the SKUs that this was opened with."""

    by: DocumentLine
    sku: str
    quantity: int


class FamilyReplay:
    """The documents of one kind at one place of all products of a family, after all lines up to a position.

    `lines` are those of the family and all that name its documents.
    """

    def __init__(self, lines: Iterable[DocumentLine], merges: Iterable[Merge], known_at: int | None = None) -> None:
        self.waiting: dict[DocumentLine, int] = {}
        self._known_at = known_at
        self._merges = sorted(merge for merge in merges if merge.stands(known_at))
        known = {line for line in lines if known_at is None or line.position <= known_at}
        self._lines = sorted((line for line in known if line.stands(known_at)), key=lambda line: line[:2])
        self._openers: dict[bytes, list[DocumentLine]] = {}
        self._naming: dict[bytes, list[DocumentLine]] = {}
        self._draws: dict[bytes, list[FamilyDraw]] = {}
        self._names = Merges()
        self._open: dict[str, dict[bytes, None]] = {}
        for line in self._lines:
            if line.kind is DocumentKind.TRANSFER:
                self._name(line)
        for position, together in groupby(self._lines, key=lambda line: line.position):
            self._rename(position)
            self._follow(list(together))

    def documents(self, as_of: int | None = None) -> dict[tuple[bytes, str], Document]:
        """What became of each document by its id and product, as of an instant (None: now)."""
        names = standing(self._merges, as_of, self._known_at)
        found: dict[tuple[bytes, str], Document] = {}
        for id_, openers in self._openers.items():
            for line in openers:
                if _is_by(as_of, line):
                    product = names.name(line.sku)
                    united = found.setdefault((id_, product), Document(line._replace(sku=product), 0))
                    united.quantity += line.quantity
            for draw in self._draws.get(id_, ()):
                if _is_by(as_of, draw.by) and (drawn := found.get((id_, names.name(draw.sku)))) is not None:
                    drawn.drawn += draw.quantity
        for (id_, product), document in found.items():
            for line in self._naming.get(id_, ()):
                if _is_by(as_of, line):
                    document.apply(line, names.name(line.sku) == product)
        return found

    def _name(self, line: DocumentLine) -> None:
        if line.document is not None and line.role is not LineRole.OPENS:
            self._naming.setdefault(line.document, []).append(line)

    def _rename(self, position: int) -> None:
        """Follow the merges up to a position."""
        merged = [merge for merge in self._merges if merge.position <= position]
        if len(merged) != len(self._names):
            self._names = Merges(merged)
            self._open = {}
            for line in (line for openers in self._openers.values() for line in openers):
                self._offer(line)

    def _offer(self, line: DocumentLine) -> None:
        assert line.document is not None, "a document has the id of the posting that opens it"
        self._open.setdefault(self._names.name(line.sku), {})[line.document] = None

    def _follow(self, together: list[DocumentLine]) -> None:
        """Add the lines of the next posting."""
        opened: dict[bytes, None] = {}
        for line in together:
            if line.role is LineRole.OPENS:
                assert line.document is not None
                self._openers.setdefault(line.document, []).append(line)
                self._offer(line)
                opened[line.document] = None
            elif line.document is None:
                self._draw(line)
            elif line.kind is not DocumentKind.TRANSFER:
                self._name(line)
        for document in opened:
            for drawing, rest in list(self.waiting.items()):
                self._settle(drawing, rest - self._take(document, drawing, rest))

    def _draw(self, line: DocumentLine) -> None:
        rest = line.quantity
        for document in list(self._open.get(self._names.name(line.sku), ())):
            if rest:
                rest -= self._take(document, line, rest)
        self._settle(line, rest)

    def _settle(self, line: DocumentLine, rest: int) -> None:
        if rest:
            self.waiting[line] = rest
        else:
            self.waiting.pop(line, None)

    def _take(self, document: bytes, by: DocumentLine, quantity: int) -> int:
        """Draw at most `quantity` of a document if it fits; return how much."""
        product = self._names.name(by.sku)
        called = [line for line in self._openers[document] if self._names.name(line.sku) == product]
        if not called or not fits_in_time(called[0], by):
            return 0
        left = self._left(document, product, called)
        if left <= 0:
            self._open[product].pop(document, None)
            return 0
        drawn = min(quantity, left)
        self._draws.setdefault(document, []).append(FamilyDraw(by, called[0].sku, drawn))
        return drawn

    def _left(self, document: bytes, product: str, called: list[DocumentLine]) -> int:
        naming = self._naming.get(document, ())
        if any(line.role is LineRole.CLOSES_ALL for line in naming):
            return 0
        named = sum(line.quantity for line in naming if self._names.name(line.sku) == product)
        drawn = sum(each.quantity for each in self._draws.get(document, ()) if self._names.name(each.sku) == product)
        return sum(line.quantity for line in called) - named - drawn


def _is_by(as_of: int | None, line: DocumentLine) -> bool:
    return as_of is None or line.effective_at <= as_of
