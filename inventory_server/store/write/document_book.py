"""The transfers and reservations of one commit: read beforehand, drawn on in memory, written at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection

from inventory_server.domain.documents import Document, DocumentKind, DocumentLine, DocumentReplay, Group, LineRole
from inventory_server.store.ledger.documents import document_of, document_row, line_of, line_row
from inventory_server.store.ledger.sql import Lookup
from inventory_server.store.write.statements import Statements


class Drawn(NamedTuple):
    """What a line found: whether there is such a document, how much it did not find, how much went beyond."""

    is_known: bool
    unmet: int
    over: int


@dataclass(slots=True)
class DocumentNeeds:
    """What has to be read of documents: those `named` and `opened`, and what the postings at `voided` drew.

    `opened` has the groups of each document. `groups` are those in which a document opens or a line without a document
    draws. `whole` are groups, and `redrawn` documents, of which a posting of this commit is voided in this commit.
    """

    named: set[bytes] = field(default_factory=set)
    opened: dict[bytes, set[Group]] = field(default_factory=dict)
    groups: set[Group] = field(default_factory=set)
    voided: set[int] = field(default_factory=set)
    whole: set[Group] = field(default_factory=set)
    redrawn: set[bytes | None] = field(default_factory=set)


class _Documents:
    """The documents of one group. With `lines`, all of them, from which they can be drawn anew."""

    def __init__(self, replay: DocumentReplay, lines: list[DocumentLine] | None) -> None:
        self._replay = replay
        self._is_current = True
        self._lines = lines
        self.remaining = self.total()

    @property
    def replay(self) -> DocumentReplay:
        """The documents and what waits for one; drawn anew only when somebody asks."""
        if not self._is_current:
            assert self._lines is not None, "a group is read whole if it may have to be drawn anew"
            self._replay, self._is_current = DocumentReplay(self._lines), True
        return self._replay

    def total(self) -> int:
        """What is left of all documents."""
        return sum(document.left for document in self.replay.documents.values())

    def follow(self, line: DocumentLine, naming: list[DocumentLine]) -> None:
        """Add a line, which may move on what unnamed lines have drawn; `naming` named the document before it came."""
        if self._lines is not None:
            self._lines += [*naming, line]
            names_transfer = (
                line.kind is DocumentKind.TRANSFER and line.document is not None and line.role is not LineRole.OPENS
            )
            self._is_current &= not names_transfer
        if self._is_current:
            self._replay.follow(line, naming)

    def void(self, voided: dict[DocumentLine, DocumentLine]) -> None:
        """Replace lines by their voided versions; what they drew is drawn anew."""
        assert self._lines is not None, "a group with a voided line is read whole"
        self._lines = [voided.get(line, line) for line in self._lines]
        self._is_current = False


class DocumentBook:
    """What this commit has to know of documents, and what it makes of them."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self._connection = connection
        self._sql = statements
        self._groups: dict[Group, _Documents] = {}
        self._groups_of: dict[bytes, list[Group]] = {}
        self._lines: dict[tuple[int, int], DocumentLine] = {}
        self._naming: dict[bytes, list[DocumentLine]] = {}
        self._whole: set[bytes] = set()
        self._stored: dict[tuple[bytes, str] | tuple[int, int], tuple[object, ...]] = {}

    # ------------------------------------------------------------------------------ reading first

    def read(self, needs: DocumentNeeds) -> None:
        """Read all of `needs`."""
        named, opened, groups, voided = needs.named, needs.opened, needs.groups, needs.voided
        if not (named or opened or groups or voided):
            return
        gone = self._read_lines(self._sql.lines_at, [(position,) for position in voided])
        named = named | {line.document for line in gone if line.document is not None}
        naming = self._read_naming(named | opened.keys())
        openers = [line for line in naming if line.role is LineRole.OPENS]
        redrawn = needs.redrawn | {line.document for line in gone}
        whole = needs.whole | {line.group for line in gone if line.document is None}
        whole |= {
            group for each in opened for group in opened[each] if each in redrawn or _moves_on(group, each, named)
        }
        whole |= {line.group for line in openers if line.document in redrawn}
        whole |= self._with_draws(openers, groups)
        groups = groups | {line.group for line in openers}
        self._read_whole(whole)
        self._read_open(groups - whole, openers)

    def _with_draws(self, openers: list[DocumentLine], groups: set[Group]) -> set[Group]:
        """The groups of named transfers on which lines without a document draw, or may do so in this commit."""
        transfers = [line for line in openers if line.kind is DocumentKind.TRANSFER]
        ids = {line.document for line in transfers if line.document is not None}
        rows = self._sql.documents(self._connection, [(each,) for each in ids])
        drawn = {(row[0], row[1]) for row in rows if document_of(row).drawn}
        return {line.group for line in transfers if line.group in groups or (line.document, line.sku) in drawn}

    def _read_lines(self, lookup: Lookup, keys: Sequence[tuple[object, ...]]) -> list[DocumentLine]:
        lines = []
        for row in lookup(self._connection, keys):
            line = line_of(row)
            self._stored[line.position, line.entry] = tuple(row)
            self._lines[line.position, line.entry] = line
            if line.document is not None and line not in self._naming.setdefault(line.document, []):
                self._naming[line.document].append(line)
            lines.append(line)
        return lines

    def _read_naming(self, documents: set[bytes]) -> list[DocumentLine]:
        """The lines that open documents, draw on them or close them."""
        self._whole |= documents
        return self._read_lines(self._sql.lines_of_documents, [(each,) for each in documents])

    def _read_whole(self, groups: set[Group]) -> None:
        lines = self._read_lines(self._sql.lines_of_groups, list(groups))
        opened = {line.document for line in lines if line.role is LineRole.OPENS and line.document is not None}
        self._read_naming(opened - self._whole)
        for row in self._sql.documents_of_groups(self._connection, list(groups)):
            self._stored[row[0], row[1]] = tuple(row)
        by_group: dict[Group, list[DocumentLine]] = {group: [] for group in groups}
        for line in lines:
            if line.role is LineRole.OPENS:
                by_group[line.group] += [line, *self._of(line)]
            elif line.document is None:
                by_group[line.group].append(line)
        for group, own in by_group.items():
            self._keep(group, _Documents(DocumentReplay(own), own))

    def _read_open(self, groups: set[Group], openers: list[DocumentLine]) -> None:
        documents: dict[Group, list[Document]] = {group: [] for group in groups}
        ids = [(line.document,) for line in openers if line.group in groups]
        rows = {tuple(row) for row in self._sql.open_documents(self._connection, list(groups))}
        rows |= {tuple(row) for row in self._sql.documents(self._connection, ids)}
        voided = {(line.document, line.sku) for line in openers if not line.stands()}
        for row in rows:
            document = document_of(row)
            self._stored[row[0], row[1]] = row
            if (row[0], row[1]) not in voided and document.line.group in groups:
                documents[document.line.group].append(document)
        waiting: dict[Group, list[tuple[DocumentLine, int]]] = {group: [] for group in documents}
        for row in self._sql.waiting_lines(self._connection, list(groups)):
            line = line_of(row)
            self._stored[line.position, line.entry] = tuple(row)
            self._lines[line.position, line.entry] = line
            waiting[line.group].append((line, row[-1]))
        for group, found in documents.items():
            self._keep(group, _Documents(DocumentReplay.resumed(found, waiting[group]), None))

    def _keep(self, group: Group, documents: _Documents) -> None:
        self._groups[group] = documents
        for document in documents.replay.documents:
            self._groups_of.setdefault(document, []).append(group)

    def _of(self, opener: DocumentLine) -> list[DocumentLine]:
        """The lines that draw on a document or close it, of its SKU or of all."""
        assert opener.document is not None
        return [line for line in self._naming.get(opener.document, ()) if line.names(opener)]

    # ------------------------------------------------------------------------------ deciding

    def add(self, line: DocumentLine) -> Drawn:
        """Add a line of a posting; what it found."""
        self._lines[line.position, line.entry] = line
        if line.document is not None:
            self._naming.setdefault(line.document, []).append(line)
        if line.kind is DocumentKind.RETURN or line.voided_position is not None:
            return Drawn(True, 0, 0)
        if line.role is LineRole.OPENS:
            assert line.document is not None
            self._groups_of.setdefault(line.document, []).append(line.group)
            self._groups[line.group].follow(line, self._of(line))
            return Drawn(True, 0, self._groups[line.group].replay.documents[line.document].over)
        if line.document is None:
            documents = self._groups[line.group]
            documents.follow(line, [])
            return Drawn(True, documents.replay.waiting.get(line, 0), 0)
        return self._name(line, line.document)

    def _name(self, line: DocumentLine, document: bytes) -> Drawn:
        over = 0
        for group in self._groups_of.get(document, ()):
            documents = self._groups[group]
            found = documents.replay.documents.get(document)
            if found is not None and line.names(found.line):
                before = found.over
                documents.follow(line, [])
                over += documents.replay.documents[document].over - before
        return Drawn(self.opener(document, line.kind) is not None, 0, over)

    def void(self, position: int, by: int) -> None:
        """Void the lines of the posting at `position` by the posting at `by`."""
        voided: dict[DocumentLine, DocumentLine] = {}
        while (line := self._lines.get((position, len(voided)))) is not None:
            voided[line] = line._replace(voided_position=by)
        groups: set[Group] = set()
        for line, gone in voided.items():
            self._lines[line.position, line.entry] = gone
            if line.document is None:
                groups.add(line.group)
            else:
                self._naming[line.document] = [voided.get(each, each) for each in self._naming[line.document]]
                groups.update(self._groups_of.get(line.document, ()))
        for group in groups:
            self._groups[group].void(voided)

    # ------------------------------------------------------------------------------ asking

    def opener(self, document: bytes, kind: DocumentKind) -> DocumentLine | None:
        """A line that opens a document of a kind and stands; None if there is none."""
        openers = (line for line in self._naming.get(document, ()) if line.role is LineRole.OPENS and line.kind is kind)
        return next((line for line in openers if line.stands()), None)

    def returned(self, sale: bytes) -> dict[str, int]:
        """By SKU, how much of a sale has come back."""
        total: dict[str, int] = {}
        for line in self._naming.get(sale, ()):
            if line.kind is DocumentKind.RETURN and line.stands():
                total[line.sku] = total.get(line.sku, 0) + line.quantity
        return total

    def is_received(self, document: bytes) -> bool:
        """True if anything was drawn of a document."""
        found = [self._groups[group].replay.documents.get(document) for group in self._groups_of.get(document, ())]
        return any(each.received for each in found if each is not None)

    def went_elsewhere(self, line: DocumentLine) -> bool:
        """True if goods of a transfer were received at another location than it was sent to."""
        if line.document is None or (opener := self.opener(line.document, line.kind)) is None:
            return False
        naming = [each for each in self._naming[line.document] if each.role is LineRole.DRAWS and each.stands()]
        naming = [each for each in naming if each.kind is line.kind]
        received = naming if line.role is LineRole.OPENS else [line]
        return any(each.location != opener.location for each in received)

    def reserved(self, group: Group, now: int) -> int:
        """What is reserved in a group now."""
        documents = self._groups[group].replay.documents.values()
        return sum(each.left for each in documents if each.line.expires_at > now)

    def changed_transit(self) -> dict[tuple[str, str], int]:
        """By (location, sku), by how much what is on the road has changed in this commit."""
        changes: dict[tuple[str, str], int] = {}
        for group, documents in self._groups.items():
            if group.kind is DocumentKind.TRANSFER and (change := documents.total() - documents.remaining):
                key = (group.location, group.sku)
                changes[key] = changes.get(key, 0) + change
        return changes

    # ------------------------------------------------------------------------------ writing last

    def line_rows(self) -> list[tuple[object, ...]]:
        """The rows of `document_line` to write."""
        waiting = {line[:2]: rest for each in self._groups.values() for line, rest in each.replay.waiting.items()}
        rows = [line_row(line, waiting.get(at, 0)) for at, line in self._lines.items()]
        return [row for row in rows if self._stored.get((row[0], row[1])) != row]

    def document_rows(self) -> list[tuple[object, ...]]:
        """The rows of `document` to write; nothing is left of a voided one."""
        rows = [document_row(each) for group in self._groups.values() for each in group.replay.documents.values()]
        present = {(row[0], row[1]) for row in rows}
        gone = [line for line in self._lines.values() if line.role is LineRole.OPENS and not line.stands()]
        rows += [document_row(Document(line, 0)) for line in gone if (line.document, line.sku) not in present]
        return [row for row in rows if self._stored.get((row[0], row[1])) != row]


def _moves_on(group: Group, document: bytes, named: set[bytes]) -> bool:
    """True if lines that name a new transfer move on what others have drawn of it in the same commit."""
    return group.kind is DocumentKind.TRANSFER and document in named
