"""Rows of `document` and `document_line`, and what is on the road and reserved at a moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, select

from inventory_server.domain.documents import Document, DocumentKind, DocumentLine, DocumentReplay, Group, LineRole
from inventory_server.domain.family_documents import FamilyReplay
from inventory_server.domain.merge import standing
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.records import NEVER, Key
from inventory_server.store.ledger.sql import Lookup, Statement

NO_FAMILIES: Mapping[str, frozenset[str]] = MappingProxyType({})
"""No product is connected with another one."""
_lines = t.document_line.c
_of_keys = Lookup(t.document_line, [_lines.location, _lines.sku])
_of_documents = Lookup(t.document_line, [_lines.document])
_d = t.document.c
_is_reserved = and_(_d.kind == int(DocumentKind.RESERVATION), _d.expires_at > bindparam("now"))
_reserved = select(func.coalesce(func.sum(_d.remaining), 0)).where(
    _d.location == bindparam("location"), _d.sku == bindparam("sku"), _is_reserved
)
reserved_here = _reserved.scalar_subquery()
"""What is reserved of one (location, sku) now."""
reserved_by_key = (
    select(_d.location, _d.sku, func.sum(_d.remaining).label("reserved"))
    .where(_is_reserved)
    .group_by(_d.location, _d.sku)
)
"""What is reserved now, by (location, sku)."""
_reserved_now = Statement(_reserved)


_on_the_road = (
    select(func.coalesce(func.sum(_d.remaining), 0))
    .where(_d.location == t.level.c.location, _d.sku == t.level.c.sku, _d.kind == int(DocumentKind.TRANSFER))
    .scalar_subquery()
)
_know_transit = t.level.update().where(t.level.c.location == bindparam("place")).values(in_transit=_on_the_road)


def know_location(connection: Connection, location: str) -> None:
    """Have HQ know a location; what is on the road to it is in transit from now on."""
    known = connection.execute(select(t.location.c.location).where(t.location.c.location == location)).scalar()
    if known is None:
        connection.execute(t.location.insert().values(location=location))
        connection.execute(_know_transit, {"place": location})


def reserved_of(connection: Connection, location: str, sku: str, now: int) -> int:
    """What is reserved of one (location, sku) now."""
    [(reserved,)] = _reserved_now(connection, location=location, sku=sku, now=now)
    return int(reserved)


def line_of(row: Sequence[Any]) -> DocumentLine:
    """The line of a row of `document_line`."""
    position, entry, document, sku, kind, role, *rest, _waiting = row
    return DocumentLine(position, entry, document, sku, DocumentKind(kind), LineRole(role), *rest)


def line_row(line: DocumentLine, waiting: int) -> tuple[Any, ...]:
    """The row of a line, of which `waiting` has not found a document."""
    return (*line[:4], int(line.kind), int(line.role), *line[6:], waiting)


def document_of(row: Sequence[Any]) -> Document:
    """The document of a row of `document`."""
    document, sku, kind, location, source, position, effective_at, expires_at, quantity, *sums, _ = row
    named, closed, is_closed, drawn = sums
    opened = (DocumentKind(kind), LineRole.OPENS, location, source, quantity, effective_at, expires_at)
    line = DocumentLine(position, 0, document, sku, *opened)
    return Document(line, quantity, named, closed, bool(is_closed), drawn)


def document_row(document: Document) -> tuple[Any, ...]:
    """The row of a document."""
    line = document.line
    at = (int(line.kind), line.location, line.source, line.position, line.effective_at, line.expires_at)
    sums = (document.quantity, document.named, document.closed, int(document.is_closed), document.drawn)
    return (line.document, line.sku, *at, *sums, document.left)


def emptied(row: Sequence[Any]) -> tuple[Any, ...]:
    """The row of a document of which there is nothing under this SKU any more."""
    return (*row[:8], 0, 0, 0, 0, 0, 0)


def groups_of(
    connection: Connection, keys: Iterable[Key], families: Mapping[str, frozenset[str]] = NO_FAMILIES
) -> dict[Group, list[DocumentLine]]:
    """The document lines of many (location, sku), by group: those of the group and those that name one of it.

    Products that merges connect, their `families`, are in one group: under the first SKU of the family.
    """
    keys = {(location, each) for location, sku in keys for each in families.get(sku, (sku,))}
    lines = [line_of(row) for row in _of_keys(connection, list(keys))]
    naming: dict[bytes | None, list[DocumentLine]] = {}
    openers = {line.document for line in lines if line.role is LineRole.OPENS}
    for row in _of_documents(connection, [(each,) for each in openers]):
        line = line_of(row)
        if line.role is not LineRole.OPENS:
            naming.setdefault(line.document, []).append(line)
    groups: dict[Group, list[DocumentLine]] = {}
    for line in lines:
        family = families.get(line.sku)
        group = line.group if family is None else line.group._replace(sku=min(family))
        if line.role is LineRole.OPENS:
            named = [each for each in naming.get(line.document, ()) if _is_named(each, line, family)]
            groups.setdefault(group, []).extend([line, *named])
        elif line.document is None:
            groups.setdefault(group, []).append(line)
    return groups


def _is_named(line: DocumentLine, opener: DocumentLine, family: frozenset[str] | None) -> bool:
    """True if a line names what `opener` opens with its SKU or, of a family, with any."""
    return line.names(opener) if family is None else line.kind is opener.kind


class DocumentsAt:
    """What is on the road to and reserved at many (location, sku), as of an instant, as known at a position."""

    def __init__(self, connection: Connection, keys: Iterable[Key], as_of: int | None, known_at: int | None) -> None:
        self._documents: dict[tuple[str, str, DocumentKind], list[Document]] = {}
        merges = merges_of(connection, head_of(connection))
        families = standing(merges, None, known_at).families
        for group, lines in groups_of(connection, keys, families).items():
            if group.sku in families:
                self._add(group, FamilyReplay(lines, merges, known_at).documents(as_of).values())
                continue
            replay = DocumentReplay(lines, known_at)
            self._add(group, (replay.documents if as_of is None else replay.at(as_of)).values())

    def _add(self, group: Group, documents: Iterable[Document]) -> None:
        for document in documents:
            self._documents.setdefault((group.location, document.line.sku, group.kind), []).append(document)

    def of_kind(self, kind: DocumentKind) -> Iterator[Document]:
        """All transfers or reservations, those with nothing left included."""
        return (each for key, found in self._documents.items() if key[2] is kind for each in found)

    def in_transit(self, key: Key) -> int:
        """What is on the road to a location."""
        return sum(each.left for each in self._documents.get((*key, DocumentKind.TRANSFER), ()))

    def reserved(self, key: Key, at: int) -> int:
        """What is reserved and not expired at an instant."""
        documents = self._documents.get((*key, DocumentKind.RESERVATION), ())
        return sum(each.left for each in documents if each.line.expires_at > at)

    def next_expiry(self, key: Key, at: int) -> int:
        """When something of that expires next; `NEVER` if nothing does."""
        documents = self._documents.get((*key, DocumentKind.RESERVATION), ())
        return min(
            (each.line.expires_at for each in documents if each.left and each.line.expires_at > at), default=NEVER
        )
