"""Verification of the archive: its kept rows, their digest, and the sums that start from its balances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select

from inventory_server.domain.answers import Proof
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.archived_postings import ArchivedDigest, heads_at, pages
from inventory_server.store.ledger.head import Head, head_of
from inventory_server.store.ledger.timetravel import cuts
from inventory_server.store.verify.postings import wrong_identities


def unfounded(connection: Connection) -> str | None:
    """In words, why verification cannot start at the end of the archive; None if it can."""
    head, a = head_of(connection), t.archive.c
    last = connection.execute(select(a.position, a.closed_at).order_by(a.position.desc()).limit(1)).first()
    said = (head.archived_position, head.archived_until)
    if said != (tuple(last) if last else (0, 0)):
        return f"the ledger says that it is archived up to {said}, its archive is {tuple(last) if last else 'empty'}"
    if last and said not in cuts(connection):
        return f"archived up to {said}, where nothing was closed"
    return None


def prove(connection: Connection, head: Head, proof: Proof) -> dict[str, bytes]:
    """Verify the archived rows; return the head of each terminal's chain at the end of the archive."""
    heads: dict[str, bytes] = {}
    for part in connection.execute(select(t.archive).order_by(t.archive.c.position)):
        proof.all_found(_wrong(connection, part, heads, proof))
    if heads != heads_at(connection, head.archived_position):
        proof.found("the terminals' chains at the end of the archive do not follow from its postings")
    return heads


def _wrong(connection: Connection, part: Row[Any], heads: dict[str, bytes], proof: Proof) -> Iterator[str]:
    """Findings about the archived rows of one partition."""
    kept = ArchivedDigest(heads)
    first = max(part.first_position, proof.archived + 1)
    for page in pages(connection, t.archived, first, part.position):
        kept.add(page)
        yield from wrong_identities(connection, [_ArchivedId(*row[:2]) for row in page])
    proof.archived += kept.rows
    if kept.sha256() != part.sha256:
        yield f"archived up to position {part.position}: the kept rows are not those that were archived"
    if proof.archived != part.position:
        yield f"archived up to position {part.position}: {kept.rows} postings are kept"


class _ArchivedId:
    def __init__(self, position: int, posting_id: bytes) -> None:
        self.position = position
        self.id = posting_id


def balances(connection: Connection, head: Head) -> Iterator[Any]:
    """The balances at the end of the archive: `location`, `sku`, `quantity`, `latest_at`."""
    b = t.balance.c
    key = (b.location, b.sku)
    last = select(*key, func.max(b.position).label("position")).where(b.position <= head.archived_position)
    latest = last.group_by(*key).subquery()
    same = and_(*(b[column.name] == column for column in latest.c))
    found = select(*key, b.quantity, b.latest_at).select_from(t.balance.join(latest, same))
    yield from connection.execute(found)
