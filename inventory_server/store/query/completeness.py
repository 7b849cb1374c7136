"""Completeness of an answer: reads the state of the tills of its locations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, literal, or_, select

from inventory_server.config import Settings
from inventory_server.domain.completeness import TillState, completeness, counts_after_moving
from inventory_server.domain.lineage import Lineage
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.sql import Lookup, Statement, plain_rows
from pos_client.protocol.fields import Range
from pos_client.protocol.messages import Completeness
from pos_client.protocol.units import SECOND_MICROS, instant

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
_left = t.former_location.c
_movers = t.former_location.join(
    tills_and_lineages, and_(_till.terminal == _left.terminal, _till.location != _left.location)
)
_former_tills = Lookup(_movers, [_left.location], _left.until_at, _left.location, *TILL_COLUMNS[1:])
_owes = or_(_till.told_at < _left.until_at, _till.told_at.is_(None), _till.pending > 0, _held.beyond != "[]")
# A till that said goodbye has told everything up to then, however late its last message came.
_owes_still = or_(_owes, _till.closed_at < _left.until_at)


def waits_for_movers(location: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a till that left `location` may still hold what it sold there."""
    return select(literal(1)).select_from(_movers).where(_left.location == location, _owes_still).exists()


_tills = Lookup(tills_and_lineages, [_till.location], *TILL_COLUMNS)


_p = t.posting.c
_sold_since = Statement(
    select(_p.location, func.min(_p.effective_at))
    .join(t.terminal, _till.terminal == _p.terminal)
    .where(_p.position > bindparam("position"), or_(_p.type == "sale", _p.type == "void"), _till.role == "till")
    .group_by(_p.location)
)
"""By location, the earliest that tills sold or voided and HQ has recorded after a position."""


def completeness_of(
    connection: Connection, settings: Settings, now: int, locations: Iterable[str], since: int | None = None
) -> dict[str, Completeness]:
    """The completeness of each of `locations`; `now` is HQ's clock in microseconds.

    With `since`, that of figures as of a position that the ledger has passed: they lack what has arrived after it.
    """
    names = sorted(locations)
    keys = [(name,) for name in names]
    found = completeness_from(_tills(connection, keys), settings, now, names, _former_tills(connection, keys))
    sold = [] if since is None else _sold_since(connection, position=since)
    return found | {name: _before(found[name], at) for name, at in sold if name in found}


def completeness_of_list(
    connection: Connection, settings: Settings, now: int, places: Collection[str] | None
) -> dict[str, Completeness]:
    """The completeness of the locations that a list covers: those of `places` that HQ knows, else all with tills.

    A location of which the list shows nothing is one of them: perhaps nothing has arrived yet.
    """
    known = {row[0] for row in plain_rows(connection, select(t.location.c.location))}
    if places is not None:
        return completeness_of(connection, settings, now, known.intersection(places))
    told = completeness_of(connection, settings, now, known)
    return {location: each for location, each in told.items() if each.tills}


def _before(told: Completeness, at: int) -> Completeness:
    """`told`, but complete only to before an instant."""
    if told.complete_to is None:
        return told
    return msgspec.structs.replace(told, complete_to=min(told.complete_to, instant(at - 1)))


def completeness_from(
    rows: Iterable[Sequence[Any]],
    settings: Settings,
    now: int,
    locations: Sequence[str],
    former: Iterable[Sequence[Any]] = (),
) -> dict[str, Completeness]:
    """The completeness of each of `locations`, whose terminals are `rows` of `TILL_COLUMNS`.

    A row of `former` is when a terminal left, then as in `rows`; it counts while the location waits for it.
    """
    tills: dict[str, list[TillState]] = {name: [] for name in locations}
    for location, role, revoked_at, *row in rows:
        if role == "till" and revoked_at is None:
            tills[location].append(_state(*row))
    left: dict[tuple[str, str], tuple[int, TillState]] = {}
    for moved_at, location, role, revoked_at, *row in sorted(former, key=itemgetter(0)):
        if role == "till" and revoked_at is None:
            left[location, row[0]] = moved_at, _state(*row)
    for (location, _), (moved_at, state) in left.items():
        if counts_after_moving(state, moved_at):
            tills[location].append(state)
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
