"""The transfers and reservations of one commit: read beforehand, drawn on in memory, written at the end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection

from inventory_server.domain.documents import Document, DocumentKind, DocumentLine, DocumentReplay, Group, LineRole
from inventory_server.domain.limits import FIGURE_MAX
from inventory_server.store.ledger.documents import document_of, document_row, emptied, line_of, line_row
from inventory_server.store.ledger.records import Key
from inventory_server.store.ledger.sql import Lookup
from inventory_server.store.write.family_documents import FamilyDocuments
from inventory_server.store.write.judged_posting import too_large
from inventory_server.store.write.merge_book import MergeBook
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
    `merged` are the (location, sku) of products that this commit merges.
    """

    named: set[bytes] = field(default_factory=set)
    opened: dict[bytes, set[Group]] = field(default_factory=dict)
    groups: set[Group] = field(default_factory=set)
    voided: set[int] = field(default_factory=set)
    whole: set[Group] = field(default_factory=set)
    redrawn: set[bytes | None] = field(default_factory=set)
    merged: set[Key] = field(default_factory=set)


class _Documents:
    """The documents of one group. With `lines`, all of them, from which they can be drawn anew."""

    def __init__(self, sku: str, replay: DocumentReplay, lines: list[DocumentLine] | None) -> None:
        self._sku = sku
        self._replay = replay
        self._is_current = True
        self._lines = lines
        self._remaining = self._left()

    @property
    def replay(self) -> DocumentReplay:
        """The documents and what waits for one; drawn anew only when somebody asks."""
        if not self._is_current:
            assert self._lines is not None, "a group is read whole if it may have to be drawn anew"
            self._replay, self._is_current = DocumentReplay(self._lines), True
        return self._replay

    @property
    def documents(self) -> Collection[Document]:
        """All of them."""
        return self.replay.documents.values()

    @property
    def waiting(self) -> dict[DocumentLine, int]:
        """What each line without a document has not found yet."""
        return self.replay.waiting

    def of(self, document: bytes) -> list[Document]:
        """The document with an id, if it is one of them."""
        found = self.replay.documents.get(document)
        return [] if found is None else [found]

    def _left(self) -> int:
        return sum(document.left for document in self.documents)

    def changes(self) -> dict[str, int]:
        """By product, by how much what is left of all documents has changed in this commit."""
        return {self._sku: self._left() - self._remaining}

    def name(self, line: DocumentLine, document: bytes) -> int:
        """Add a line that names one of them; return what it drew beyond what was sent."""
        found = self.replay.documents.get(document)
        if found is None or not line.names(found.line):
            return 0
        before = found.over
        self.follow(line, [])
        return self.replay.documents[document].over - before

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

    def __init__(self, connection: Connection, statements: Statements, merging: MergeBook) -> None:
        self._connection = connection
        self._sql = statements
        self._merging = merging
        self._groups: dict[Group, _Documents | FamilyDocuments] = {}
        self._groups_of: dict[bytes, list[Group]] = {}
        self._lines: dict[tuple[int, int], DocumentLine] = {}
        self._naming: dict[bytes, list[DocumentLine]] = {}
        self._whole: set[bytes] = set()
        self._stored: dict[tuple[bytes, str] | tuple[int, int], tuple[object, ...]] = {}

    # ------------------------------------------------------------------------------ reading first

    def read(self, needs: DocumentNeeds) -> None:
        """Read all of `needs`."""
        named, opened, groups, voided = needs.named, needs.opened, needs.groups, needs.voided
        if not (named or opened or groups or voided or needs.merged):
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
        if self._merging.families:
            merged = {line.group for line in self._read_lines(self._sql.lines_of_keys, list(needs.merged))}
            whole |= merged | {each for each in groups if each.sku in self._merging.families}
            whole = {member for each in whole for member in self._family_of(each)}
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
        by_group: dict[Group, list[DocumentLine]] = {self._group_of(group): [] for group in groups}
        for line in lines:
            if line.role is LineRole.OPENS:
                by_group[self._group_of(line.group)] += [line, *self._of(line)]
            elif line.document is None:
                by_group[self._group_of(line.group)].append(line)
        for group, own in by_group.items():
            if group.sku in self._merging.families:
                self._keep(group, FamilyDocuments(own, self._merging))
            else:
                self._keep(group, _Documents(group.sku, DocumentReplay(own), own))

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
            self._keep(group, _Documents(group.sku, DocumentReplay.resumed(found, waiting[group]), None))

    def _keep(self, group: Group, documents: _Documents | FamilyDocuments) -> None:
        self._groups[group] = documents
        for document in documents.documents:
            assert document.line.document is not None
            self._belongs(document.line.document, group)

    def _belongs(self, document: bytes, group: Group) -> None:
        groups = self._groups_of.setdefault(document, [])
        if group not in groups:
            groups.append(group)

    def _family_of(self, group: Group) -> list[Group]:
        """The groups of all products that merges connect with that of one."""
        return [group._replace(sku=sku) for sku in self._merging.families.get(group.sku, (group.sku,))]

    def _group_of(self, group: Group) -> Group:
        """The group under which one is kept here: that of the first SKU of its family."""
        family = self._merging.families.get(group.sku)
        return group if family is None else group._replace(sku=min(family))

    def _of(self, opener: DocumentLine) -> list[DocumentLine]:
        """The lines that draw on a document or close it, of its SKU, of one that merges connect with it, or of all."""
        assert opener.document is not None
        naming, family = self._naming.get(opener.document, ()), self._merging.families.get(opener.sku)
        if family is None:
            return [line for line in naming if line.names(opener)]
        return [line for line in naming if line.kind is opener.kind and (line.sku in family or not line.sku)]

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
            group = self._group_of(line.group)
            self._belongs(line.document, group)
            self._groups[group].follow(line, self._of(line))
            return Drawn(True, 0, sum(each.over for each in self._groups[group].of(line.document)))
        if line.document is None:
            documents = self._groups[self._group_of(line.group)]
            documents.follow(line, [])
            return Drawn(True, documents.waiting.get(line, 0), 0)
        groups = [each for each in self._groups_of.get(line.document, ()) if each.kind is line.kind]
        over = sum(self._groups[group].name(line, line.document) for group in groups)
        return Drawn(self.opener(line.document, line.kind) is not None, 0, over)

    def void(self, position: int, by: int) -> list[DocumentLine]:
        """Void the lines of the posting at `position` by the posting at `by`; return them."""
        voided: dict[DocumentLine, DocumentLine] = {}
        while (line := self._lines.get((position, len(voided)))) is not None:
            voided[line] = line._replace(voided_position=by)
        groups: set[Group] = set()
        for line, gone in voided.items():
            self._lines[line.position, line.entry] = gone
            if line.document is None:
                groups.add(self._group_of(line.group))
            else:
                self._naming[line.document] = [voided.get(each, each) for each in self._naming[line.document]]
                groups.update(self._groups_of.get(line.document, ()))
        for group in groups:
            self._groups[group].void(voided)
        return list(voided)

    # ------------------------------------------------------------------------------ asking

    def keys_of(self, family: frozenset[str]) -> set[Key]:
        """The (location, sku) of which there are documents of a family of products."""
        groups = [(group, documents) for group, documents in self._groups.items() if group.sku in family]
        return {(group.location, each.line.sku) for group, documents in groups for each in documents.documents}

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
        found = [self._groups[group].of(document) for group in self._groups_of.get(document, ())]
        return any(each.received for documents in found for each in documents)

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
        product = self._merging.standing.name(group.sku)
        documents = [each for each in self._groups[self._group_of(group)].documents if each.line.sku == product]
        return sum(each.left for each in documents if each.line.expires_at > now)

    def changed_transit(self) -> dict[tuple[str, str], int]:
        """By (location, sku), by how much what is on the road has changed in this commit."""
        changes: dict[tuple[str, str], int] = {}
        for group, documents in self._groups.items():
            if group.kind is DocumentKind.TRANSFER:
                for sku, change in documents.changes().items():
                    if change:
                        key = (group.location, sku)
                        changes[key] = changes.get(key, 0) + change
        return changes

    def assert_fits(self) -> None:
        """FigureTooLarge if what is reserved or on the road leaves 64 bits."""
        for group, documents in self._groups.items():
            if sum(abs(each.left) + abs(each.named) + abs(each.drawn) for each in documents.documents) > FIGURE_MAX:
                what = "reserved" if group.kind is DocumentKind.RESERVATION else "in transit"
                raise too_large(f"what is {what} of {group.sku!r} at {group.location!r}")

    # ------------------------------------------------------------------------------ writing last

    def line_rows(self) -> list[tuple[object, ...]]:
        """The rows of `document_line` to write."""
        waiting = {line[:2]: rest for each in self._groups.values() for line, rest in each.waiting.items()}
        rows = [line_row(line, waiting.get(at, 0)) for at, line in self._lines.items()]
        return [row for row in rows if self._stored.get((row[0], row[1])) != row]

    def document_rows(self) -> list[tuple[object, ...]]:
        """The rows of `document` to write; nothing is left of a voided one, or under the SKU of an ended product."""
        rows = [document_row(each) for group in self._groups.values() for each in group.documents]
        present = {(row[0], row[1]) for row in rows}
        gone = [line for line in self._lines.values() if line.role is LineRole.OPENS and not line.stands()]
        rows += [document_row(Document(line, 0)) for line in gone if (line.document, line.sku) not in present]
        if self._merging.families:
            present = {(row[0], row[1]) for row in rows}
            left_over = [key for key in self._stored if key[1] in self._merging.families and key not in present]
            rows += [emptied(self._stored[key]) for key in left_over]
        return [row for row in rows if self._stored.get((row[0], row[1])) != row]


def _moves_on(group: Group, document: bytes, named: set[bytes]) -> bool:
    """True if lines that name a new transfer move on what others have drawn of it in the same commit."""
    return group.kind is DocumentKind.TRANSFER and document in named
