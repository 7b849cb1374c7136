"""Postings that need a decision: lists rejected ones and quarantined bodies, and reopens rejected ones."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, and_, select

from inventory_server.domain.answers import WaitingPosting
from inventory_server.store.database.base import StoreError
from inventory_server.store.ledger import tables as t


def waiting(connection: Connection) -> list[WaitingPosting]:
    """Rejected postings that were not reopened, and bodies in quarantine, oldest first."""
    r, q, posted = t.rejection.c, t.quarantine.c, t.identity.c
    refused = connection.execute(
        select(r.id, r.terminal, r.recorded_at, r.reason)
        .outerjoin(t.identity, posted.id == r.id)
        .where(and_(r.reopened_at.is_(None), posted.id.is_(None)))
    )
    taken = connection.execute(select(q.id, q.terminal, q.recorded_at))
    found = [WaitingPosting(str(UUID(bytes=row[0])), "rejected", *row[1:]) for row in refused]
    found += [WaitingPosting(str(UUID(bytes=row[0])), "conflict", *row[1:], "this id is taken") for row in taken]
    return sorted(found, key=lambda entry: (entry.recorded_at, entry.id))


def reopen(connection: Connection, posting_id: UUID, now: int) -> None:
    """Have a rejected posting decided again when its till resends it under the same id; StoreError if there is none."""
    changed = connection.execute(
        t.rejection.update()
        .where(t.rejection.c.id == posting_id.bytes, t.rejection.c.reopened_at.is_(None))
        .values(reopened_at=now)
    )
    if not changed.rowcount:
        raise StoreError(f"There is no rejected posting {posting_id} to reopen; see: inventory-server postings waiting")
