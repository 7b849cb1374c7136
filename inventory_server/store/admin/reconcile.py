"""Compares every till's last report with the ledger."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from inventory_server.domain.answers import Finding
from inventory_server.domain.lineage import Lineage, disagreements, missing
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.records import held_lineage


def reconcile(connection: Connection, now: int, silent_after: int) -> list[Finding]:
    """Each till's outbox files, by location and terminal: the last report about each, compared with the ledger.

    A till without a known outbox file has one finding, whose `lineage` is None. One that has not ended its day is
    silent when its last contact was more than `silent_after` microseconds ago.
    """
    till, held = t.terminal.c, t.lineage.c
    columns = (till.terminal, till.location, till.contact_at, till.closed_at, till.pending, till.dead, till.lineage)
    rows = connection.execute(
        select(*columns, t.lineage)
        .select_from(t.terminal.outerjoin(t.lineage, held.terminal == till.terminal))
        .where(till.role == "till", till.revoked_at.is_(None))
        .order_by(till.location, till.terminal, held.lineage)
    )
    return [_finding(row, now - silent_after) for row in rows]


def _finding(row: Any, heard_of_since: int) -> Finding:
    terminal, location, contact_at, closed_at, pending, parked, current, *columns = row
    has_posted = columns[0] is not None
    lineage = columns[1] if has_posted else current
    differences = _differences(held_lineage(columns)) if has_posted else []
    if lineage != current:  # the counts are those of the till's current outbox file
        pending = parked = 0
    if pending:
        differences.append(f"{pending} still in the outbox")
    if parked:
        differences.append(f"{parked} parked at the till")
    shown = None if lineage is None else str(UUID(bytes=lineage))
    is_silent = contact_at is not None and contact_at < heard_of_since and closed_at is None
    silent_since_at = contact_at if is_silent else None
    return Finding(terminal, location, shown, contact_at, closed_at, silent_since_at, pending, parked, differences)


def _differences(held: Lineage) -> list[str]:
    last_seq = held.last_seq if held.said is None or held.said.last_seq is None else held.said.last_seq
    gaps = [f"missing {first}-{last}" for first, last in missing(held, last_seq)]
    return gaps if held.said is None else [*gaps, *disagreements(held, held.said)]
