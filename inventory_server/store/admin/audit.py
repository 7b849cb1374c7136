"""The audit trail: who requested which change, when, from where, and its outcome."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select

from inventory_server.domain.answers import AuditEntry
from inventory_server.domain.audited import audited_arguments
from inventory_server.domain.requests import REQUESTS
from inventory_server.domain.roles import ActorRequest
from inventory_server.store.ledger import tables as t

DONE = "done"
NOT_FINISHED = "not finished"
"""The outcome of a change of many transactions until its last one: what it stays if the process is killed before."""
_COLUMNS = [t.audit.c[name] for name in AuditEntry.__dataclass_fields__]


def record(connection: Connection, change: ActorRequest, now: int, outcome: str) -> int:
    """Record `change` and its outcome in the transaction of the change itself; return the number of the entry."""
    actor = change.actor
    entry = connection.execute(
        t.audit.insert()
        .values(
            at=now,
            actor=actor.name,
            role=actor.role,
            source=actor.source,
            request=REQUESTS[type(change)].name,
            arguments=msgspec.json.encode(audited_arguments(change)).decode(),
            outcome=outcome,
        )
        .returning(t.audit.c.id)
    )
    return int(entry.scalar_one())


def settle(connection: Connection, entry: int, outcome: str) -> None:
    """State the outcome of a change that was recorded as not finished; one that is stated already stays."""
    unfinished = (t.audit.c.id == entry, t.audit.c.outcome == NOT_FINISHED)
    connection.execute(t.audit.update().where(*unfinished).values(outcome=outcome))


def list_audit(connection: Connection, limit: int, before: int | None) -> list[AuditEntry]:
    """The latest `limit` entries (before the entry `before`, if given), oldest first."""
    newest = select(*_COLUMNS).order_by(t.audit.c.id.desc()).limit(limit)
    if before is not None:
        newest = newest.where(t.audit.c.id < before)
    return [AuditEntry(*row) for row in reversed(connection.execute(newest).all())]
