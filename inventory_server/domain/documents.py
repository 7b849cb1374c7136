"""Transfers and reservations: what each sent or reserved, what was drawn from it, and what is left. Pure.

A document opens with a `transfer_out` or `reserve` and is drawn on by postings that name it. Postings that name none
draw on the oldest documents that fit; what they do not find waits for one that fits and arrives later. All of it is a
replay in the order of positions over the postings that stand, so that a void draws anew.

Quantities are integers of 10⁻⁵, instants integer microseconds since 1970 UTC.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from pos_client.protocol.fields import PostingType
from pos_client.protocol.messages import Body

TRANSFER_WAITS = 86_400_000_000
"""How much later than an unnamed receipt its transfer may take effect, in µs: an older surplus has no transfer."""


class DocumentKind(enum.IntEnum):
    """What a document is. A `RETURN` only draws: on the sale that the goods come back from."""

    TRANSFER = 0
    RESERVATION = 1
    RETURN = 2


class LineRole(enum.IntEnum):
    """What a line does to a document. `CLOSES_ALL` has no line of its own: it closes all that is left."""

    OPENS = 0
    DRAWS = 1
    CLOSES = 2
    CLOSES_ALL = 3


class Group(NamedTuple):
    """Documents of one kind and SKU at one place."""

    location: str
    sku: str
    kind: DocumentKind
    source: str


class DocumentLine(NamedTuple):
    """What a posting does to a document with all its lines of one SKU; `document` is None if it names none.

    `location` is where the goods go or are reserved, `source` where a transfer comes from ("" for a reservation).
    """

    position: int
    entry: int
    document: bytes | None
    sku: str
    kind: DocumentKind
    role: LineRole
    location: str
    source: str
    quantity: int
    effective_at: int
    expires_at: int
    voided_position: int | None = None

    @property
    def group(self) -> Group:
        """The documents among which it draws, if it names none."""
        return Group(self.location, self.sku, self.kind, self.source)

    def names(self, opener: DocumentLine) -> bool:
        """True if it draws on the document that `opener` opens with its SKU, or closes it."""
        is_named = self.document == opener.document and self.role is not LineRole.OPENS and self.kind is opener.kind
        return is_named and self.sku in (opener.sku, "")

    def stands(self, known_at: int | None = None) -> bool:
        """True if its posting is not voided, as known at a position (None: now)."""
        return self.voided_position is None or (known_at is not None and self.voided_position > known_at)


@dataclass(slots=True)
class Document:
    """A document with one SKU. `named` was drawn and `closed` by postings that name it, `drawn` by unnamed ones."""

    line: DocumentLine
    quantity: int
    named: int = 0
    closed: int = 0
    is_closed: bool = False
    drawn: int = 0

    def apply(self, line: DocumentLine, is_of_product: bool = True) -> None:
        """Apply a line that names it; one of another product than it sent can only close all of it."""
        quantity = line.quantity if is_of_product else 0
        self.named += quantity if line.role is LineRole.DRAWS else 0
        self.closed += quantity if line.role is LineRole.CLOSES else 0
        self.is_closed |= line.role is LineRole.CLOSES_ALL

    @property
    def received(self) -> int:
        """What was drawn, up to what was sent."""
        return min(self.named + self.drawn, self.quantity)

    @property
    def over(self) -> int:
        """What was drawn beyond what was sent."""
        return self.named + self.drawn - self.received

    @property
    def left(self) -> int:
        """What is still on the road or reserved."""
        rest = self.quantity - self.received
        return 0 if self.is_closed else max(0, rest - self.closed)


class Draw(NamedTuple):
    """What a posting without a name took of a document."""

    by: DocumentLine
    document: bytes
    quantity: int


def fits(document: DocumentLine, drawing: DocumentLine) -> bool:
    """True if a line that names no document may draw on this one, which it may do before or after it arrives."""
    return document.group == drawing.group and fits_in_time(document, drawing)


def fits_in_time(document: DocumentLine, drawing: DocumentLine) -> bool:
    """True if their order allows a line without a name to draw on this document."""
    if document.kind is DocumentKind.TRANSFER:
        is_earlier = document.position < drawing.position
        return is_earlier or document.effective_at <= drawing.effective_at + TRANSFER_WAITS
    before = (document.effective_at, document.position) < (drawing.effective_at, drawing.position)
    return before and document.expires_at > drawing.effective_at


class DocumentReplay:
    """The documents of one product at one place, after all lines up to a position, and what unnamed ones drew of them.

    `lines` are those of the product and all that name its documents.
    """

    def __init__(self, lines: Iterable[DocumentLine], known_at: int | None = None) -> None:
        self.documents: dict[bytes, Document] = {}
        self.draws: list[Draw] = []
        self.waiting: dict[DocumentLine, int] = {}
        self._drawable: dict[bytes, Document] = {}  # all that may have something left
        known = [line for line in lines if known_at is None or line.position <= known_at]
        self._lines = sorted((line for line in known if line.stands(known_at)), key=lambda line: line[:2])
        self._named = _named(line for line in self._lines if line.kind is DocumentKind.TRANSFER)
        for line in self._lines:
            self.follow(line)

    @classmethod
    def resumed(
        cls,
        documents: Iterable[Document],
        waiting: Iterable[tuple[DocumentLine, int]],
    ) -> DocumentReplay:
        """Go on from stored documents and waiting lines."""
        replay = cls(())
        for document in sorted(documents, key=lambda document: document.line.position):
            assert document.line.document is not None
            replay.documents[document.line.document] = replay._drawable[document.line.document] = document
        replay.waiting = dict(sorted(waiting))
        return replay

    def at(self, as_of: int) -> dict[bytes, Document]:
        """The documents as of an instant: without what takes effect later."""
        before = [line for line in self._lines if line.effective_at <= as_of]
        named, drawn = _named(before), _drawn(draw for draw in self.draws if draw.by.effective_at <= as_of)
        return {
            line.document: _with(Document(line, line.quantity, drawn=drawn.get(line.document, 0)), named)
            for line in before
            if line.role is LineRole.OPENS and line.document is not None
        }

    def follow(self, line: DocumentLine, naming: Iterable[DocumentLine] = ()) -> None:
        """Add the next line. `naming` are lines that named the document before it came and are not known yet."""
        if line.role is LineRole.OPENS:
            assert line.document is not None, "a document has the id of the posting that opens it"
            self._named.setdefault(line.document, []).extend(each for each in naming if each.stands())
            self._open(line, line.document)
        elif line.document is None:
            rest = self._draw_oldest(line)
            if rest:
                self.waiting[line] = rest
        elif line.kind is not DocumentKind.TRANSFER or line not in self._named.get(line.document, ()):
            self._named.setdefault(line.document, []).append(line)
            named = self.documents.get(line.document)
            if named is not None and line.names(named.line):
                named.apply(line)

    def _open(self, line: DocumentLine, name: bytes) -> None:
        document = self.documents[name] = self._drawable[name] = _with(Document(line, line.quantity), self._named)
        for drawing, rest in list(self.waiting.items()):
            self.waiting[drawing] = rest - self._draw(document, drawing, rest)
            if not self.waiting[drawing]:
                del self.waiting[drawing]

    def _draw_oldest(self, line: DocumentLine) -> int:
        """Draw on the oldest documents that fit; return what was not found."""
        rest, exhausted = line.quantity, []
        for name, document in self._drawable.items():
            if not rest:
                break
            rest -= self._draw(document, line, rest)
            if not document.left:
                exhausted.append(name)
        for name in exhausted:
            del self._drawable[name]
        return rest

    def _draw(self, document: Document, by: DocumentLine, quantity: int) -> int:
        """Draw at most `quantity` of a document if it fits; return how much."""
        drawn = min(quantity, document.left)
        if drawn <= 0 or not fits(document.line, by):
            return 0
        document.drawn += drawn
        assert document.line.document is not None
        self.draws.append(Draw(by, document.line.document, drawn))
        return drawn


def _named(lines: Iterable[DocumentLine]) -> dict[bytes, list[DocumentLine]]:
    """The lines that name a document and draw on it or close it, by document."""
    named: dict[bytes, list[DocumentLine]] = {}
    for line in lines:
        if line.document is not None and line.role is not LineRole.OPENS:
            named.setdefault(line.document, []).append(line)
    return named


def _drawn(draws: Iterable[Draw]) -> dict[bytes, int]:
    total: dict[bytes, int] = {}
    for draw in draws:
        total[draw.document] = total.get(draw.document, 0) + draw.quantity
    return total


def _with(document: Document, named: Mapping[bytes, list[DocumentLine]]) -> Document:
    """Apply the lines that name a document."""
    assert document.line.document is not None
    for line in named.get(document.line.document, ()):
        if line.names(document.line):
            document.apply(line)
    return document


_OPENS: Mapping[PostingType, DocumentKind] = {
    "transfer_out": DocumentKind.TRANSFER,
    "reserve": DocumentKind.RESERVATION,
}
_DRAWS: Mapping[PostingType, DocumentKind] = {
    "transfer_in": DocumentKind.TRANSFER,
    "release": DocumentKind.RESERVATION,
    "sale": DocumentKind.RESERVATION,
    "return": DocumentKind.RETURN,
}


def is_plain_sale(body: Body) -> bool:
    """True for a sale that names no reservation, as nearly all postings are: it concerns no document."""
    return body.type == "sale" and not isinstance(body.reservation, UUID)


def document_lines(
    body: Body, own_id: bytes, location: str, order: tuple[int, int], expires_at: int, lines: Mapping[str, int]
) -> list[DocumentLine]:
    """What a posting does to documents; `lines` are its quantities by SKU. A negative one draws nothing."""
    named = _name_of(body)
    if body.type in _OPENS:
        kind, role = _OPENS[body.type], LineRole.OPENS
    elif body.type == "transfer_close":
        kind, role = DocumentKind.TRANSFER, LineRole.CLOSES
    elif body.type in _DRAWS and (named is not None or body.type in ("transfer_in", "release")):
        kind, role = _DRAWS[body.type], LineRole.DRAWS
    else:
        return []
    here, source = location, ""
    if isinstance(body.other_location, str):
        here, source = (body.other_location, location) if role is LineRole.OPENS else (location, body.other_location)
    document = own_id if role is LineRole.OPENS else named
    at = (here, source)
    effective_at, position = order
    if not lines:
        return [DocumentLine(position, 0, document, "", kind, LineRole.CLOSES_ALL, *at, 0, effective_at, expires_at)]
    return [
        DocumentLine(position, entry, document, sku, kind, role, *at, max(0, quantity), effective_at, expires_at)
        for entry, (sku, quantity) in enumerate(lines.items())
    ]


def _name_of(body: Body) -> bytes | None:
    """The document that a posting names."""
    for named in (body.transfer, body.reservation, body.returns):
        if isinstance(named, UUID):
            return named.bytes
    return None
