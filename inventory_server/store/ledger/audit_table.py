"""The table of audited requests."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, text

from inventory_server.store.ledger.metadata import POSITION, TEXT, metadata

# No sequence: it would have gaps, and a restored or copied ledger would have to set it.
_NEXT_AUDIT_ID = "(SELECT coalesce(max(id), 0) + 1 FROM audit)"

audit = Table(
    "audit",
    metadata,
    Column("id", POSITION, primary_key=True, autoincrement=False, default=text(_NEXT_AUDIT_ID)),
    Column("at", BigInteger, nullable=False),
    Column("actor", TEXT, nullable=False),
    Column("role", TEXT, nullable=False),
    Column("source", TEXT, nullable=False),
    Column("request", TEXT, nullable=False),
    Column("arguments", TEXT, nullable=False),
    Column("outcome", TEXT, nullable=False),
)
"""Audited requests: who asked (`actor`, in which `role`, from which `source`), for what, and what came of it.

`arguments` is JSON without secrets. A row is written in a transaction that holds the ledger: so ids are counted like
positions."""
