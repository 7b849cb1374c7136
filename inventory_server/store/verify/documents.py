"""Verification of documents: their lines follow from the bodies, and what is left of each follows from the lines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any
from uuid import UUID

from msgspec import UnsetType
from sqlalchemy import Connection, exists, func, literal_column, select, tuple_

from inventory_server.config import VERIFY_LINES, VERIFY_ROWS
from inventory_server.domain.answers import Proof
from inventory_server.domain.documents import (
    Document,
    DocumentKind,
    DocumentLine,
    DocumentReplay,
    LineRole,
    document_lines,
)
from inventory_server.domain.family_documents import FamilyReplay
from inventory_server.domain.inventory import Flags
from inventory_server.domain.merge import Merges
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.documents import document_row, emptied, groups_of, line_of
from inventory_server.store.ledger.records import NEVER, Key
from inventory_server.store.ledger.sql import Lookup, among, plain_rows
from inventory_server.store.verify.merges import MergeCheck
from inventory_server.store.verify.packs import PackSizes
from pos_client.protocol.messages import Body
from pos_client.protocol.units import micros

_line = t.document_line.c
_documents = Lookup(t.document, [t.document.c.location, t.document.c.sku])
_waiting = Lookup(
    t.document_line,
    [_line.location, _line.sku],
    *(_line.position, _line.entry, _line.waiting),
    where=_line.waiting != literal_column("0"),
)
_lines_by_key = (
    select(_line.location, _line.sku, func.count())
    .group_by(_line.location, _line.sku)
    .order_by(_line.location, _line.sku)
)
_stored = t.document.c
_document_keys = select(_stored.location, _stored.sku).distinct()
_unopened = select(_stored.document, _stored.sku).where(
    ~exists().where(
        _line.document == _stored.document,
        _line.sku == _stored.sku,
        _line.location == _stored.location,
        _line.role == int(LineRole.OPENS),
    )
)


def lines_between(connection: Connection, first: int, last: int) -> dict[int, list[DocumentLine]]:
    """The lines of the postings from position `first` to `last`, by position."""
    rows = select(t.document_line).where(_line.position.between(first, last)).order_by(_line.position, _line.entry)
    found: dict[int, list[DocumentLine]] = {}
    for row in plain_rows(connection, rows):
        found.setdefault(row[0], []).append(line_of(row))
    return found


def wrong_lines(
    row: Any, body: Body, quantities: list[int], stored: list[DocumentLine], packs: PackSizes
) -> Iterator[str]:
    """Findings, in words, where a posting's document lines are not those of its body.

    Lines with a barcode can only be checked in total: only the stored line tells which SKU it meant at the time. Goods
    that come back in the same basket cannot be checked so: they reduce what is drawn of their SKU, to 0 at most.
    """
    expires_at = NEVER
    if not isinstance(body.expires_at, UnsetType):
        shift = row.effective_at - row.occurred_at if row.flags & Flags.CLOCK_CORRECTED else 0
        expires_at = micros(body.expires_at) + shift
    totals: dict[str, int] = {}
    if isinstance(body.lines, list) and any(isinstance(line.gtin, str) for line in body.lines):
        totals = {line.sku: line.quantity for line in stored if line.role is not LineRole.CLOSES_ALL}
        least, _ = packs.least_and_most(body.lines, quantities)
        _, most = packs.least_and_most(body.lines, [max(0, each) for each in quantities])
        if stored and not max(0, least) <= sum(totals.values()) <= most:
            yield "what it does to documents is not what its lines say"
    elif isinstance(body.lines, list):
        for line, quantity in zip(body.lines, quantities, strict=True):
            assert isinstance(line.sku, str)
            totals[line.sku] = totals.get(line.sku, 0) + quantity
    expected = document_lines(body, row.id, row.location, (row.effective_at, row.position), expires_at, totals)
    voided = None if row.void_position is None else max(row.void_position, row.position)
    if stored != [line._replace(voided_position=voided) for line in expected]:
        yield "what it does to documents does not follow from its body"


def wrong_documents(
    connection: Connection,
    proof: Proof,
    in_transit: dict[Key, int],
    merges: MergeCheck,
    drawn: Callable[[int], None],
) -> Iterator[str]:
    """Draw all documents anew and compare them with what is stored; `in_transit` gets what is on the road.

    `drawn` is told of how many more lines that was.
    """
    of_merged = plain_rows(connection, _document_keys.where(among(connection, _stored.sku, sorted(merges.ever))))
    merged = {(row[0], row[1]) for row in of_merged} if merges.ever else set()
    for keys in _keys(connection):
        merged |= {key for key in keys if key[1] in merges.ever}
        yield from _wrong(connection, proof, [key for key in keys if key[1] not in merges.ever], in_transit, merges)
        drawn(sum(keys.values()))
    yield from _wrong(connection, proof, sorted(merged), in_transit, merges)
    for document, sku in connection.execute(_unopened):
        if sku not in merges.ever:
            yield f"{_named(document)}: is stored for {sku!r}, but no posting opens it"
    known = {row[0] for row in plain_rows(connection, select(t.location.c.location))}
    for key in [key for key in in_transit if key[0] not in known]:
        del in_transit[key]  # in transit nowhere until HQ knows the location


def _keys(connection: Connection) -> Iterator[dict[Key, int]]:
    """All (location, sku) with document lines and how many; together `VERIFY_LINES` at a time, or those of one."""
    page = _lines_by_key.limit(VERIFY_ROWS)
    taken: dict[Key, int] = {}
    taken_lines = 0
    found = plain_rows(connection, page)
    while found:
        for location, sku, lines in found:
            if taken and taken_lines + lines > VERIFY_LINES:
                yield taken
                taken, taken_lines = {}, 0
            taken[location, sku] = lines
            taken_lines += lines
        found = plain_rows(connection, page.where(tuple_(_line.location, _line.sku) > found[-1][:2]))
    if taken:
        yield taken


def _wrong(
    connection: Connection, proof: Proof, keys: list[Key], in_transit: dict[Key, int], merges: MergeCheck
) -> Iterator[str]:
    stored = {(row[0], row[1]): tuple(row) for row in _documents(connection, keys)}
    waiting = {(row[0], row[1]): row[2] for row in _waiting(connection, keys)}
    families = merges.standing.families
    for group, lines in groups_of(connection, keys, families).items():
        documents, unmet = _drawn(lines, merges.standing if group.sku in families else None)
        for document in documents if group.kind is DocumentKind.TRANSFER else ():
            key = (group.location, document.line.sku)
            proof.transfers += 1
            in_transit[key] = in_transit.get(key, 0) + document.left
        voided = [Document(line, 0) for line in lines if line.role is LineRole.OPENS and not line.stands()]
        for document in (*documents, *voided):
            row = document_row(document)
            if (found := stored.pop((row[0], row[1]), None)) != row:
                yield f"{_named(row[0])}: {_difference(group.sku, found, row)}"
        for line, rest in unmet.items():
            if waiting.pop((line.position, line.entry), 0) != rest:
                yield f"position {line.position}: {rest} of {group.sku!r} has not found a document, stored otherwise"
    for (document, sku), row in stored.items():
        if sku in merges.ever and row != emptied(row):  # else it was this product's before a merge, or before its void
            yield f"{_named(document)}: is stored for {sku!r}, but no posting opens it"
    for position, _ in waiting:
        yield f"position {position}: is stored as not having found a document"


def _drawn(lines: list[DocumentLine], merges: Merges | None) -> tuple[Collection[Document], dict[DocumentLine, int]]:
    """The documents of a group, and what each line without a document has not found."""
    if merges is not None:
        family = FamilyReplay(lines, merges)
        return family.documents().values(), family.waiting
    replay = DocumentReplay(lines)
    return replay.documents.values(), replay.waiting


def _difference(sku: str, found: tuple[Any, ...] | None, due: tuple[Any, ...]) -> str:
    if found is not None and found[-1] == due[-1]:
        return f"what is stored of {sku!r} does not follow from the ledger"
    return f"{'nothing' if found is None else found[-1]} is left of {sku!r}, the ledger says {due[-1]}"


def _named(document: bytes) -> str:
    return f"document {UUID(bytes=document)}"
