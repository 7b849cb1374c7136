"""The audit trail: who requested which change, when, from where, and its outcome."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select

from inventory_server.domain.answers import AuditEntry
from inventory_server.domain.requests import REQUESTS, ActorRequest, audited_arguments
from inventory_server.store.ledger import tables as t

DONE = "done"
_COLUMNS = [t.audit.c[name] for name in AuditEntry.__dataclass_fields__]


def record(connection: Connection, change: ActorRequest, now: int, outcome: str = DONE) -> None:
    """Record `change` and its outcome; a change that was made is recorded in its own transaction."""
    actor = change.actor
    connection.execute(
        t.audit.insert().values(
            at=now,
            actor=actor.name,
            role=actor.role,
            source=actor.source,
            request=REQUESTS[type(change)].name,
            arguments=msgspec.json.encode(audited_arguments(change)).decode(),
            outcome=outcome,
        )
    )


def list_audit(connection: Connection, limit: int, before: int | None) -> list[AuditEntry]:
    """The latest `limit` entries (before the entry `before`, if given), oldest first."""
    newest = select(*_COLUMNS).order_by(t.audit.c.id.desc()).limit(limit)
    if before is not None:
        newest = newest.where(t.audit.c.id < before)
    return [AuditEntry(*row) for row in reversed(connection.execute(newest).all())]
