"""A summary of a ledger."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from inventory_server.domain.answers import Overview
from inventory_server.domain.roles import RESERVED_TERMINAL
from inventory_server.store.ledger import tables as t


def overview(connection: Connection) -> Overview:
    """Count what a ledger holds; reads levels, not postings."""
    head = connection.execute(select(t.ledger)).one()
    level, merged = t.level.c, select(t.merge.c.ended).where(t.merge.c.voided_position.is_(None))
    unlisted = (
        select(func.count(func.distinct(level.sku)))
        .select_from(t.level.outerjoin(t.product, t.product.c.sku == level.sku))
        .where(t.product.c.sku.is_(None), level.sku.not_in(merged))
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
        terminals=count(t.terminal, t.terminal.c.revoked_at.is_(None), t.terminal.c.terminal != RESERVED_TERMINAL),
        products=count(t.product),
        unlisted=int(connection.execute(unlisted).scalar_one()),
        rejected=count(t.rejection, t.rejection.c.reopened_at.is_(None)),
        quarantined=count(t.quarantine),
        moved_to=head.moved_to,
    )
