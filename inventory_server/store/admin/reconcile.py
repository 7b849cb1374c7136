"""HQ's evening work: every till's last word against the ledger, and what waits for a person."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from inventory_server.domain.answers import Finding
from inventory_server.domain.lineage import disagreements, missing
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.records import held_lineage


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
