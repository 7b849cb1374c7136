"""Completeness of an answer: reads the state of the tills of its locations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, and_

from inventory_server.config import Settings
from inventory_server.domain.completeness import TillState, completeness
from inventory_server.domain.lineage import Lineage
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.sql import Lookup
from pos_client.protocol.fields import Range
from pos_client.protocol.messages import Completeness
from pos_client.protocol.units import SECOND_MICROS

_ranges = msgspec.json.Decoder(list[Range])
_till, _held = t.terminal.c, t.lineage.c
tills_and_lineages = t.terminal.outerjoin(
    t.lineage, and_(_held.terminal == _till.terminal, _held.lineage == _till.lineage)
)
"""Every terminal with the lineage of its outbox file."""
TILL_COLUMNS = (
    _till.location,
    _till.role,
    _till.revoked_at,
    _till.terminal,
    _till.contact_at,
    _till.told_at,
    _till.pending,
    _till.oldest_pending_at,
    _till.closed_at,
    _held.acked_seq,
    _held.beyond,
    _held.acked_at,
)
"""The columns that `completeness_from` needs."""
_tills = Lookup(tills_and_lineages, [_till.location], *TILL_COLUMNS)


def completeness_of(
    connection: Connection, settings: Settings, now: int, locations: Iterable[str]
) -> dict[str, Completeness]:
    """The completeness of each of `locations`; `now` is HQ's clock in microseconds."""
    names = sorted(locations)
    return completeness_from(_tills(connection, [(name,) for name in names]), settings, now, names)


def completeness_from(
    rows: Iterable[Sequence[Any]], settings: Settings, now: int, locations: Sequence[str]
) -> dict[str, Completeness]:
    """The completeness of each of `locations`, whose terminals are `rows` of `TILL_COLUMNS`."""
    tills: dict[str, list[TillState]] = {name: [] for name in locations}
    for location, role, revoked_at, *row in rows:
        if role == "till" and revoked_at is None:
            tills[location].append(_state(*row))
    for states in tills.values():
        states.sort(key=lambda state: state.terminal)
    return {
        name: completeness(states, now, settings.silent_after_seconds * SECOND_MICROS) for name, states in tills.items()
    }


def _state(
    terminal: str,
    contact_at: int | None,
    told_at: int | None,
    pending: int,
    oldest_pending_at: int | None,
    closed_at: int | None,
    acked_seq: int | None,
    beyond: str | None,
    acked_at: int | None,
) -> TillState:
    holes: Sequence[Range] = ()
    if acked_seq is not None and beyond is not None and beyond != "[]":
        holes = Lineage(acked_seq, _ranges.decode(beyond)).holes
    return TillState(
        terminal=terminal,
        contact_at=contact_at,
        told_at=told_at,
        pending=pending,
        oldest_pending_at=oldest_pending_at,
        holes=holes,
        acked_at=acked_at,
        closed_at=closed_at,
    )
