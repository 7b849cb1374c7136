"""What the observer looks at: levels beside their reorder points, and tills."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, and_, func, select, tuple_

from inventory_server.config import SKUS_ASKED, Settings
from inventory_server.domain.alerts import WatchedLevel, WatchedTill
from inventory_server.domain.completeness import TillState, is_silent
from inventory_server.domain.limits import LEVELS_WATCHED_MAX
from inventory_server.domain.lineage import Lineage
from inventory_server.domain.requests import WatchLevels
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.documents import reserved_by_key
from inventory_server.store.ledger.sql import plain_rows
from inventory_server.store.query.assortment import reorder_point_at
from inventory_server.store.query.completeness import tills_and_lineages
from pos_client.protocol.fields import Range
from pos_client.protocol.units import SECOND_MICROS

_level, _product, _till, _held = t.level.c, t.product.c, t.terminal.c, t.lineage.c
_ranges = msgspec.json.Decoder(list[Range])
_by_key = reserved_by_key.subquery()
_available = _level.on_hand - func.coalesce(_by_key.c.reserved, 0)
_reorder_point = reorder_point_at(_level.location)
_ended = select(t.merge.c.ended).where(t.merge.c.voided_position.is_(None))
_levels = (
    select(_level.location, _level.sku, _available, _reorder_point)
    .select_from(
        t.level.join(t.product, _product.sku == _level.sku).outerjoin(
            _by_key, and_(_by_key.c.location == _level.location, _by_key.c.sku == _level.sku)
        )
    )
    .where(_level.sku.not_in(_ended))
)
_tills = (
    select(
        _till.terminal,
        _till.location,
        _till.contact_at,
        _till.closed_at,
        _till.clock_offset_ms,
        _held.acked_seq,
        _held.beyond,
    )
    .select_from(tills_and_lineages)
    .where(_till.role == "till", _till.revoked_at.is_(None), _till.contact_at.is_not(None))
    .order_by(_till.location, _till.terminal)
)


def levels(connection: Connection, question: WatchLevels, now: int) -> list[WatchedLevel]:
    """Listed products of which HQ has a level: those asked for, else the next ones below their reorder point."""
    if question.keys is not None:
        chunks = (question.keys[first : first + SKUS_ASKED] for first in range(0, len(question.keys), SKUS_ASKED))
        named = (_levels.where(tuple_(_level.location, _level.sku).in_(chunk)) for chunk in chunks)
        return [_watched(row) for statement in named for row in plain_rows(connection, statement, now=now)]
    statement = _levels.where(_available < _reorder_point)
    if question.after is not None:
        statement = statement.where(tuple_(_level.location, _level.sku) > question.after)
    statement = statement.order_by(_level.location, _level.sku).limit(LEVELS_WATCHED_MAX)
    return [_watched(row) for row in plain_rows(connection, statement, now=now)]


def _watched(row: tuple[Any, ...]) -> WatchedLevel:
    location, sku, available, reorder_point = row
    return WatchedLevel(location, sku, int(available), reorder_point)


def tills(connection: Connection, settings: Settings, now: int) -> list[WatchedTill]:
    """The tills that have ever connected and are not revoked, by location."""
    late = settings.silent_after_seconds * SECOND_MICROS
    found = []
    for terminal, location, contact_at, closed_at, offset_ms, acked_seq, beyond in plain_rows(connection, _tills):
        holes = () if acked_seq is None else Lineage(acked_seq, _ranges.decode(beyond)).holes
        state = TillState(terminal, contact_at, None, 0, None, holes, None, closed_at)
        silent_since_at = contact_at if is_silent(state, now, late) else None
        found.append(WatchedTill(terminal, location, silent_since_at, [*holes], offset_ms))
    return found
