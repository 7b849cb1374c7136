"""A ledger's health in figures, for monitoring: tills, negative stock, what waits for a person, archive and disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, func, select, text

from inventory_server.domain.alerts import ADVICE
from inventory_server.domain.exceptions import ACTIONS
from inventory_server.domain.lineage import missing
from inventory_server.domain.metrics import LedgerFigures, TillFigures
from inventory_server.domain.requests import ListExceptions
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store.admin.exceptions import exceptions
from inventory_server.store.admin.overview import overview
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.records import held_lineage
from pos_client.protocol.lists import ExceptionsParams

_WAL = "-wal"


def figures(connection: Connection, path: Path | None, now: int, silent_after: int) -> LedgerFigures:
    """The figures at `now`; a till is silent `silent_after` microseconds after its last contact.

    `path` is that of an SQLite file, None for a database server.
    """
    found = overview(connection)
    until = connection.execute(select(t.ledger.c.archived_until)).scalar_one()
    ledger_bytes, free_bytes = _space(connection, path)
    return LedgerFigures(
        position=found.position,
        recorded_at=found.recorded_at or 0,
        archived_position=found.archived,
        archived_until=until,
        levels=found.levels,
        negative=found.negative,
        rejected=found.rejected,
        quarantined=found.quarantined,
        exceptions={flag: _waiting(connection, flag) for flag in ACTIONS},
        alerts=_open_alerts(connection),
        tills=_tills(connection, now - silent_after),
        ledger_bytes=ledger_bytes,
        free_bytes=free_bytes,
    )


def _waiting(connection: Connection, flag: Any) -> int:
    asked = ListExceptions(ExceptionsParams(flag=flag, limit=1), actor=HEADQUARTERS)
    return exceptions(connection, asked).total


def _open_alerts(connection: Connection) -> dict[str, int]:
    c = t.alert.c
    rows = connection.execute(select(c.kind, func.count()).where(c.closed_at.is_(None)).group_by(c.kind))
    found = {kind: int(count) for kind, count in rows}
    return {kind: found.get(kind, 0) for kind in ADVICE}


def _tills(connection: Connection, heard_since: int) -> list[TillFigures]:
    till, held = t.terminal.c, t.lineage.c
    named = (till.terminal, till.location, till.contact_at, till.closed_at, till.pending, till.dead)
    current = and_(held.terminal == till.terminal, held.lineage == till.lineage)
    rows = connection.execute(
        select(*named, till.oldest_pending_at, till.clock_offset_ms, t.lineage)
        .select_from(t.terminal.outerjoin(t.lineage, current))
        .where(till.role == "till", till.revoked_at.is_(None))
        .order_by(till.location, till.terminal)
    )
    return [_till(row, heard_since) for row in rows]


def _till(row: Any, heard_since: int) -> TillFigures:
    terminal, location, contact_at, closed_at, pending, parked, oldest_at, offset_ms, *columns = row
    lost = 0
    if columns[0] is not None:
        held = held_lineage(columns)
        said = None if held.said is None else held.said.last_seq
        gaps = missing(held, held.last_seq if said is None else max(said, held.last_seq))
        lost = sum(last - first + 1 for first, last in gaps)
    is_silent = contact_at is not None and contact_at < heard_since and closed_at is None
    return TillFigures(terminal, location, contact_at, is_silent, pending, parked, oldest_at, lost, offset_ms)


def _space(connection: Connection, path: Path | None) -> tuple[int, int | None]:
    """The bytes that the ledger takes, and those that its disk has left; None where that is another machine's."""
    if path is None:
        size = connection.execute(select(func.pg_database_size(text("current_database()")))).scalar_one()
        return int(size), None
    files = [each for each in (path, path.with_name(path.name + _WAL)) if each.exists()]
    return sum(each.stat().st_size for each in files), shutil.disk_usage(path.parent).free
