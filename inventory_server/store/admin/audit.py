"""The audit trail: who asked for which change, when, from where, and what became of it."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select

from inventory_server.domain.answers import AuditEntry
from inventory_server.domain.requests import REQUESTS, Request, audited_arguments
from inventory_server.store.ledger import tables as t

DONE = "done"
_COLUMNS = [t.audit.c[name] for name in AuditEntry.__dataclass_fields__]


def record(connection: Connection, change: Request, now: int, outcome: str = DONE) -> None:
    """Note `change` and its outcome, in the transaction of the change itself where that was done."""
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
    """The newest `limit` entries, of those before the entry `before` where it is given; the oldest of them first."""
    newest = select(*_COLUMNS).order_by(t.audit.c.id.desc()).limit(limit)
    if before is not None:
        newest = newest.where(t.audit.c.id < before)
    return [AuditEntry(*row) for row in reversed(connection.execute(newest).all())]
