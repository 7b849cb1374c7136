"""The documents of products that merges connect, in one commit: drawn anew after every change."""

from __future__ import annotations

from collections.abc import Collection

from inventory_server.domain.documents import Document, DocumentLine
from inventory_server.domain.family_documents import FamilyReplay
from inventory_server.domain.merge import Merges
from inventory_server.store.write.merge_book import MergeBook


class FamilyDocuments:
    """All documents of one kind at one place of the products of a family, under the merges that stand.

    `lines` are all of the family's lines without a name, those that open documents, and those that name them.
    """

    def __init__(self, lines: list[DocumentLine], merging: MergeBook) -> None:
        self._lines = dict.fromkeys(lines)
        self._merging = merging
        self._drawn_under: Merges | None = None
        self._waiting: dict[DocumentLine, int] = {}
        self._documents: dict[tuple[bytes, str], Document] = {}
        self._remaining = self._left()

    @property
    def documents(self) -> Collection[Document]:
        """All of them."""
        self._draw()
        return self._documents.values()

    @property
    def waiting(self) -> dict[DocumentLine, int]:
        """What each line without a document has not found yet."""
        self._draw()
        return self._waiting

    def of(self, document: bytes) -> list[Document]:
        """The documents with an id, one for each product of it."""
        return [each for each in self.documents if each.line.document == document]

    def changes(self) -> dict[str, int]:
        """By product, by how much what is left of all documents has changed in this commit."""
        left = self._left()
        return {sku: left.get(sku, 0) - self._remaining.get(sku, 0) for sku in {**left, **self._remaining}}

    def name(self, line: DocumentLine, document: bytes) -> int:
        """Add a line that names one of them; return what it drew beyond what was sent."""
        before = sum(each.over for each in self.of(document))
        self.follow(line, [])
        return sum(each.over for each in self.of(document)) - before

    def follow(self, line: DocumentLine, naming: list[DocumentLine]) -> None:
        """Add a line; `naming` named the document that it opens before it came."""
        self._lines |= dict.fromkeys((*naming, line))
        self._drawn_under = None

    def void(self, voided: dict[DocumentLine, DocumentLine]) -> None:
        """Replace lines by their voided versions."""
        self._lines = dict.fromkeys(voided.get(line, line) for line in self._lines)
        self._drawn_under = None

    def _draw(self) -> None:
        if self._drawn_under is not self._merging.standing:
            self._drawn_under = self._merging.standing
            replay = FamilyReplay(self._lines, self._merging.standing)
            self._documents, self._waiting = replay.documents(), replay.waiting

    def _left(self) -> dict[str, int]:
        left: dict[str, int] = {}
        for document in self.documents:
            left[document.line.sku] = left.get(document.line.sku, 0) + document.left
        return left
