"""Flags that settle themselves: an orphan whose other half has arrived, a surplus whose transfer has, and the like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection

from inventory_server.domain.documents import DocumentLine
from inventory_server.domain.exceptions import OPENED_BY, FlaggedPosting
from inventory_server.domain.inventory import FLAGS
from inventory_server.domain.merge import standing
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.documents import document_of, line_of
from inventory_server.store.ledger.head import head_of
from inventory_server.store.ledger.merges import merges_of
from inventory_server.store.ledger.records import Void
from inventory_server.store.ledger.sql import Lookup
from pos_client.protocol.fields import PostingType

_ORPHAN, _OVER_RECEIVED, _NOTHING_RESERVED, _REPEATED = CHECKED = tuple(
    map(FLAGS.index, ("orphan", "over_received", "nothing_reserved", "repeated_document"))
)
"""The flags, by number, of which each posting has to be looked at."""
_p, _a, _r = t.posting.c, t.archived.c, t.reference.c
_identities = Lookup(t.identity, [t.identity.c.id])
_postings = Lookup(t.posting, [_p.position], _p.position, _p.type, _p.location, prunes=True)
_archived = Lookup(t.archived, [_a.position], _a.position, _a.type, _a.location)
_voids = Lookup(t.void, [t.void.c.voids])
_lines = Lookup(t.document_line, [t.document_line.c.position])
_documents = Lookup(t.document, [t.document.c.document])
_references_at = Lookup(t.reference, [_r.position])
_references = Lookup(t.reference, [_r.digest])


def still_waiting(connection: Connection, postings: Iterable[FlaggedPosting]) -> list[FlaggedPosting]:
    """Those of `postings`, of the flags in `CHECKED`, that have not settled themselves."""
    by_flag: dict[int, list[FlaggedPosting]] = {flag: [] for flag in CHECKED}
    for one in postings:
        by_flag[one.flag].append(one)
    orphans, drawn = by_flag[_ORPHAN], by_flag[_OVER_RECEIVED] + by_flag[_NOTHING_RESERVED]
    waiting = _Orphans(connection, orphans).waiting() if orphans else []
    waiting += _Drawn(connection, drawn).waiting() if drawn else []
    return waiting + (_repeated(connection, by_flag[_REPEATED]) if by_flag[_REPEATED] else [])


class _Place(NamedTuple):
    """What is known of a posting: its type, and where it was posted."""

    type: PostingType
    location: str


class _Orphans:
    """Postings that named what HQ did not have, and what HQ has of it now."""

    def __init__(self, connection: Connection, orphans: list[FlaggedPosting]) -> None:
        self._orphans = orphans
        ids = [(names,) for names in {one.names for one in orphans}]
        self._positions: dict[bytes, int] = dict(_identities(connection, ids))
        wanted = {one.position for one in orphans} | set(self._positions.values())
        archived = {position for position in wanted if position <= head_of(connection).archived_position}
        rows = _postings(connection, [(position,) for position in wanted - archived])
        rows += _archived(connection, [(position,) for position in archived])
        self._places = {row[0]: _Place(*row[1:]) for row in rows}
        self._voids: dict[bytes, list[Void]] = {}
        for row in _voids(connection, ids):
            self._voids.setdefault(row[0], []).append(Void(*row))

    def waiting(self) -> list[FlaggedPosting]:
        """Those whose other half has not arrived."""
        return [one for one in self._orphans if not self._is_answered(one)]

    def _is_answered(self, orphan: FlaggedPosting) -> bool:
        named = self._positions.get(orphan.names or b"")
        if named is None:
            return False
        own, other = self._places[orphan.position], self._places[named]
        working = [void for void in self._voids.get(orphan.names or b"", ()) if void.works_at(other.location)]
        if own.type == "void":
            return other.type != "void" and any(void.position == orphan.position for void in working)
        return other.type == OPENED_BY.get(own.type) and not working


class _Drawn:
    """Postings that received or released more than there was, and what their documents say now."""

    def __init__(self, connection: Connection, postings: list[FlaggedPosting]) -> None:
        self._postings = postings
        self._lines: dict[int, list[DocumentLine]] = {}
        self._unmet: dict[tuple[int, int], int] = {}
        for row in _lines(connection, [(position,) for position in {one.position for one in postings}]):
            line = line_of(row)
            self._lines.setdefault(line.position, []).append(line)
            self._unmet[line.position, line.entry] = row[-1]
        named = {(line.document,) for lines in self._lines.values() for line in lines if line.document is not None}
        rows = _documents(connection, list(named))
        self._over = {(row[0], row[1]) for row in rows if document_of(row).over}
        self._merges = standing(merges_of(connection, head_of(connection)))

    def waiting(self) -> list[FlaggedPosting]:
        """Those that still found too little. A void has no lines of its own: only a person can tell."""
        return [one for one in self._postings if self._is_waiting(one, self._lines.get(one.position, []))]

    def _is_waiting(self, one: FlaggedPosting, lines: list[DocumentLine]) -> bool:
        if one.flag == _NOTHING_RESERVED:
            return all(self._unmet[line.position, line.entry] >= line.quantity for line in lines)
        return not lines or any(self._is_over(line) for line in lines if line.sku == one.subject)

    def _is_over(self, line: DocumentLine) -> bool:
        if line.document is None:
            return self._unmet[line.position, line.entry] > 0
        return (line.document, self._merges.name(line.sku)) in self._over


def _repeated(connection: Connection, postings: list[FlaggedPosting]) -> list[FlaggedPosting]:
    """Those of which the same document still stands."""
    own = _references_at(connection, [(one.position,) for one in postings])
    digests = {position: digest for digest, position, _ in own}
    standing: dict[bytes, list[int]] = {}
    for digest, position, voided_position in _references(connection, [(each,) for each in set(digests.values())]):
        if voided_position is None:
            standing.setdefault(digest, []).append(position)
    return [one for one in postings if min(standing.get(digests[one.position], [0])) < one.position]
