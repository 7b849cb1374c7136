"""Enrols, lists, moves and revokes terminals, and has one deliver for another."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from inventory_server.domain.answers import FormerLocation, TerminalRow
from inventory_server.domain.changes import Enrol, RotateToken
from inventory_server.domain.lineage import FIRST_HEAD
from inventory_server.domain.roles import RESERVED_TERMINAL
from inventory_server.store.admin.codes import set_code
from inventory_server.store.admin.locations import name_location
from inventory_server.store.admin.near import did_you_mean
from inventory_server.store.database.base import StoreError
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import token_hash
from inventory_server.store.ledger.head import head_of


def add_terminal(connection: Connection, change: Enrol, now: int) -> None:
    """Enrol a terminal; StoreError if the name is taken, or reserved."""
    terminal, location = change.terminal, change.location
    if terminal == RESERVED_TERMINAL:
        raise StoreError(f"The name {terminal} is reserved for HQ's own postings; choose another one.")
    if connection.execute(select(t.terminal.c.terminal).where(t.terminal.c.terminal == terminal)).scalar():
        raise StoreError(f"Terminal {terminal} exists already; give it a new token with: terminal rotate {terminal}")
    connection.execute(
        t.terminal.insert().values(
            terminal=terminal,
            role=change.role,
            location=location,
            token_hash=None if change.token is None else token_hash(change.token),
            enrolled_at=now,
            epoch=0,
            head=FIRST_HEAD,
            pending=0,
            dead=0,
        )
    )
    name_location(connection, location)
    set_code(connection, terminal, change.code, now)


def list_terminals(connection: Connection) -> list[TerminalRow]:
    """All terminals by location and name, revoked ones included; HQ itself is none of them."""
    former: dict[str, list[FormerLocation]] = {}
    c = t.former_location.c
    moves = select(c.terminal, c.location, c.since_at, c.until_at).order_by(c.terminal, c.until_at)
    for terminal, *rest in connection.execute(moves):
        former.setdefault(terminal, []).append(FormerLocation(*rest))
    adopted: dict[str, list[str]] = {}
    for terminal, other in connection.execute(
        select(t.adoption.c.terminal, t.adoption.c.adopted).order_by(t.adoption.c.terminal, t.adoption.c.adopted)
    ):
        adopted.setdefault(terminal, []).append(other)
    others = select(t.terminal).where(t.terminal.c.terminal != RESERVED_TERMINAL)
    rows = connection.execute(others.order_by(t.terminal.c.location, t.terminal.c.terminal))
    return [_row(row, former.get(row.terminal, []), adopted.get(row.terminal, [])) for row in rows]


def _row(row: Any, former: list[FormerLocation], adopted: list[str]) -> TerminalRow:
    return TerminalRow(
        terminal=row.terminal,
        role=row.role,
        location=row.location,
        located_at=former[-1].until_at if former else row.enrolled_at,
        former_locations=former,
        adopted=adopted,
        enrolled_at=row.enrolled_at,
        revoked_at=row.revoked_at,
        contact_at=row.contact_at,
        pending=row.pending,
        parked=row.dead,
        clock_offset_ms=row.clock_offset_ms,
        has_token=row.token_hash is not None,
    )


def move_terminal(connection: Connection, terminal: str, location: str, now: int) -> None:
    """Have a terminal be at another location from now on; StoreError if it is there already.

    A till's open connections are fenced, so that it says hello and learns where it is.
    """
    c, former = t.terminal.c, t.former_location.c
    row = _known(connection, terminal)
    if row.location == location:
        raise StoreError(f"Terminal {terminal} is at {location} already.")
    latest = connection.execute(select(func.max(former.until_at)).where(former.terminal == terminal)).scalar()
    since_at = row.enrolled_at if latest is None else latest
    connection.execute(
        t.former_location.insert().values(
            terminal=terminal,
            until_at=max(now, since_at + 1),
            location=row.location,
            since_at=since_at,
            position=head_of(connection).position,
        )
    )
    _update(connection, terminal, location=location, epoch=c.epoch + int(row.role == "till"))
    name_location(connection, location)


def adopt_terminal(connection: Connection, terminal: str, by: str, now: int) -> None:
    """Allow `by` to deliver what `terminal`, revoked or not, made; StoreError if that makes no sense."""
    _known(connection, terminal)
    if terminal == by:
        raise StoreError(f"Terminal {terminal} delivers its own postings already.")
    if (role := _known(connection, by).role) == "reader":
        raise StoreError(f"Terminal {by} is a {role}, which cannot post.")
    c = t.adoption.c
    pair = (c.terminal == by, c.adopted == terminal)
    if connection.execute(select(c.adopted_at).where(*pair)).first() is None:
        position = head_of(connection).position
        connection.execute(t.adoption.insert().values(terminal=by, adopted=terminal, adopted_at=now, position=position))


def revoke_terminal(connection: Connection, terminal: str, now: int) -> None:
    """Refuse a terminal from now on, on its open connections too."""
    _update(connection, terminal, revoked_at=now)
    set_code(connection, terminal, None, now)


def rotate_terminal(connection: Connection, change: RotateToken, now: int) -> None:
    """Give a terminal a new token, or a code for one, and lift a revocation.

    The old token is invalid at once, on open connections too.
    """
    hashed = None if change.token is None else token_hash(change.token)
    _update(connection, change.terminal, token_hash=hashed, revoked_at=None, epoch=t.terminal.c.epoch + 1)
    set_code(connection, change.terminal, change.code, now)


def _known(connection: Connection, terminal: str) -> Any:
    """The row of a terminal; StoreError if there is none. HQ itself is none."""
    named = (t.terminal.c.terminal == terminal, t.terminal.c.terminal != RESERVED_TERMINAL)
    row = connection.execute(select(t.terminal).where(*named)).first()
    if row is None:
        raise _unknown(connection, terminal)
    return row


def _update(connection: Connection, terminal: str, **values: object) -> None:
    named = (t.terminal.c.terminal == terminal, t.terminal.c.terminal != RESERVED_TERMINAL)
    changed = connection.execute(t.terminal.update().where(*named).values(**values))
    if not changed.rowcount:
        raise _unknown(connection, terminal)


def _unknown(connection: Connection, terminal: str) -> StoreError:
    name = t.terminal.c.terminal
    near = did_you_mean(connection, name, terminal, name != RESERVED_TERMINAL)
    return StoreError(f"There is no terminal {terminal}; {near}see: inventory-server terminal list")
