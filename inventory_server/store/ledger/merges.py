"""The merges in the ledger."""

from __future__ import annotations

from sqlalchemy import Connection, select

from inventory_server.domain.merge import Merge
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import Head
from inventory_server.store.ledger.sql import Statement

_all = Statement(select(t.merge).order_by(t.merge.c.position))


def merges_of(connection: Connection, head: Head) -> list[Merge]:
    """All merges by position, voided ones included."""
    return [Merge(*row) for row in _all(connection)] if head.merges else []
