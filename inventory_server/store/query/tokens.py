"""Tokens, checked by questions: a wrong one takes no commit."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from inventory_server.domain.requests import Hello
from inventory_server.domain.roles import Speaker
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import assert_authentic
from inventory_server.store.ledger.sql import Statement

_identity = Statement(
    select(t.terminal.c.revoked_at, t.terminal.c.token_hash).where(t.terminal.c.terminal == bindparam("terminal"))
)


def check_token(connection: Connection, said: Hello) -> bool:
    """True where the terminal is enrolled and gave its token; RequestError `unauthenticated` where not."""
    rows = _identity(connection, terminal=said.terminal)
    assert_authentic(said, bool(rows), *(rows[0] if rows else (None, None)))
    return True


def find_speaker(connection: Connection, said: Hello) -> Speaker:
    """The terminal as it stands, if it gave its token; RequestError `unauthenticated` where not."""
    check_token(connection, said)
    row = connection.execute(select(t.terminal).where(t.terminal.c.terminal == said.terminal)).one()
    return Speaker(row.terminal, row.role, row.location, row.epoch, said.lineage, said.source)
