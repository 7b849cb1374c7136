"""Reserved quantities of one (location, sku), now."""

from __future__ import annotations

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select

from inventory_server.domain.inventory import outstanding
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.records import UNNAMED
from inventory_server.store.ledger.sql import Statement

_r = t.reservation.c

held = case((or_(_r.reservation == UNNAMED, _r.remaining > 0), _r.remaining), else_=0)
"""What one reservation still reserves: 0 once more was drawn than reserved."""
_total = func.coalesce(func.sum(held), 0)
_here = and_(_r.location == bindparam("location"), _r.sku == bindparam("sku"), _r.expires_at > bindparam("now"))

reserved_here = select(case((_total > 0, _total), else_=0)).where(_here).scalar_subquery()
"""What is reserved of one (location, sku) now."""

_remaining = Statement(select(_r.reservation, _r.remaining).where(_here))


def reserved_of(connection: Connection, location: str, sku: str, now: int) -> int:
    """What is reserved of one (location, sku) now."""
    rows = _remaining(connection, location=location, sku=sku, now=now)
    return outstanding((row[0] or None, row[1]) for row in rows)
