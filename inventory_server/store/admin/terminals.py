"""Enrols, lists and revokes terminals."""

from __future__ import annotations

from dataclasses import fields

from sqlalchemy import Connection, select

from inventory_server.domain.answers import TerminalRow
from inventory_server.domain.lineage import FIRST_HEAD
from inventory_server.domain.roles import RESERVED_TERMINAL
from inventory_server.store.database.base import StoreError
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import token_hash
from inventory_server.store.ledger.documents import know_location


def add_terminal(connection: Connection, terminal: str, role: str, location: str, token: str, now: int) -> None:
    """Enrol a terminal; StoreError if the name is taken, or reserved."""
    if terminal == RESERVED_TERMINAL:
        raise StoreError(f"The name {terminal} is reserved for HQ's own postings; choose another one.")
    if connection.execute(select(t.terminal.c.terminal).where(t.terminal.c.terminal == terminal)).scalar():
        raise StoreError(f"Terminal {terminal} exists already; give it a new token with: terminal rotate {terminal}")
    connection.execute(
        t.terminal.insert().values(
            terminal=terminal,
            role=role,
            location=location,
            token_hash=token_hash(token),
            enrolled_at=now,
            epoch=0,
            head=FIRST_HEAD,
            pending=0,
            dead=0,
        )
    )
    know_location(connection, location)


def list_terminals(connection: Connection) -> list[TerminalRow]:
    """All terminals by location and name, revoked ones included; HQ itself is none of them."""
    c = t.terminal.c
    names = [field.name for field in fields(TerminalRow)]
    others = select(*(c[name] for name in names)).where(c.terminal != RESERVED_TERMINAL)
    rows = connection.execute(others.order_by(c.location, c.terminal))
    return [TerminalRow(*row) for row in rows]


def revoke_terminal(connection: Connection, terminal: str, now: int) -> None:
    """Refuse a terminal from now on, on its open connections too."""
    _update(connection, terminal, revoked_at=now)


def rotate_terminal(connection: Connection, terminal: str, token: str) -> None:
    """Give a terminal a new token and lift a revocation; the old one is invalid at once, on open connections too."""
    _update(connection, terminal, token_hash=token_hash(token), revoked_at=None, epoch=t.terminal.c.epoch + 1)


def _update(connection: Connection, terminal: str, **values: object) -> None:
    named = (t.terminal.c.terminal == terminal, t.terminal.c.terminal != RESERVED_TERMINAL)
    changed = connection.execute(t.terminal.update().where(*named).values(**values))
    if not changed.rowcount:
        raise StoreError(f"There is no terminal {terminal}; see: inventory-server terminal list")
