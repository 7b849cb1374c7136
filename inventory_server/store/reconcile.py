"""HQ's evening work: every till's last word against the ledger, and what waits for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, and_, func, select

from inventory_server.lineage import disagreements, missing
from inventory_server.store import tables as t
from inventory_server.store.database import StoreError
from inventory_server.store.rows import held_lineage


@dataclass(frozen=True, slots=True)
class Finding:
    """What is open with one outbox file of one till: `differences` in words, empty where all agrees."""

    terminal: str
    location: str
    lineage: str | None
    contact_at: int | None
    closed_at: int | None
    pending: int
    dead: int
    differences: list[str]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A posting that waits for a person: refused, or in quarantine under an id that is taken."""

    id: str
    kind: str
    terminal: str
    recorded_at: int
    reason: str


def reconcile(connection: Connection) -> list[Finding]:
    """Every outbox file HQ knows, by location and terminal; the till's last word compared with the ledger."""
    till, held = t.terminal.c, t.lineage.c
    rows = connection.execute(
        select(till.location, till.contact_at, till.closed_at, till.pending, till.dead, till.lineage, t.lineage)
        .select_from(t.terminal.join(t.lineage, held.terminal == till.terminal))
        .where(till.role == "till", till.revoked_at.is_(None))
        .order_by(till.location, till.terminal, held.lineage)
    )
    return [_finding(row) for row in rows]


def _finding(row: Any) -> Finding:
    location, contact_at, closed_at, pending, dead, current, *columns = row
    held = held_lineage(columns)
    is_current = columns[1] == current
    last_seq = held.last_seq if held.said is None or held.said.last_seq is None else held.said.last_seq
    differences = [f"missing {first}-{last}" for first, last in missing(held, last_seq)]
    if held.said is not None:
        differences += disagreements(held, held.said)
    if is_current and pending:
        differences.append(f"{pending} still in the outbox")
    if is_current and dead:
        differences.append(f"{dead} parked at the till")
    lineage = str(UUID(bytes=columns[1]))
    return Finding(
        columns[0],
        location,
        lineage,
        contact_at,
        closed_at,
        pending if is_current else 0,
        dead if is_current else 0,
        differences,
    )


def waiting(connection: Connection) -> list[Waiting]:
    """Refused postings that have not been reopened, and bodies in quarantine, oldest first."""
    r, q, posted = t.rejection.c, t.quarantine.c, t.identity.c
    refused = connection.execute(
        select(r.id, r.terminal, r.recorded_at, r.reason)
        .outerjoin(t.identity, posted.id == r.id)
        .where(and_(r.reopened_at.is_(None), posted.id.is_(None)))
    )
    taken = connection.execute(select(q.id, q.terminal, q.recorded_at))
    found = [Waiting(str(UUID(bytes=row[0])), "rejected", *row[1:]) for row in refused]
    found += [Waiting(str(UUID(bytes=row[0])), "conflict", *row[1:], "this id is taken") for row in taken]
    return sorted(found, key=lambda entry: (entry.recorded_at, entry.id))


def reopen(connection: Connection, posting_id: UUID, now: int) -> None:
    """Let a refused posting be judged anew when its till sends it again under the same id."""
    changed = connection.execute(
        t.rejection.update()
        .where(t.rejection.c.id == posting_id.bytes, t.rejection.c.reopened_at.is_(None))
        .values(reopened_at=now)
    )
    if not changed.rowcount:
        raise StoreError(f"There is no refused posting {posting_id} to reopen; see: inventory-server postings waiting")


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of a ledger at a glance; instants in microseconds since 1970 UTC.

    `archived` is the position up to which it is in the archive.
    """

    position: int
    archived: int
    recorded_at: int | None
    levels: int
    negative: int
    locations: int
    terminals: int
    products: int
    unlisted: int
    rejected: int
    quarantined: int


def overview(connection: Connection) -> Overview:
    """Count what a ledger holds; reads the levels, never the postings."""
    head = connection.execute(select(t.ledger)).one()
    level = t.level.c
    unlisted = (
        select(func.count(func.distinct(level.sku)))
        .select_from(t.level.outerjoin(t.product, t.product.c.sku == level.sku))
        .where(t.product.c.sku.is_(None))
    )

    def count(table: Any, *where: Any) -> int:
        return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())

    return Overview(
        position=head.position,
        archived=head.archived_position,
        recorded_at=head.recorded_at or None,
        levels=count(t.level),
        negative=count(t.level, level.on_hand < 0),
        locations=count(t.location),
        terminals=count(t.terminal, t.terminal.c.revoked_at.is_(None)),
        products=count(t.product),
        unlisted=int(connection.execute(unlisted).scalar_one()),
        rejected=count(t.rejection, t.rejection.c.reopened_at.is_(None)),
        quarantined=count(t.quarantine),
    )
