"""Access checks: whether the terminal of a connection may still ask (not revoked, token not replaced)."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, bindparam, select

from inventory_server.domain.roles import Speaker
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.sql import Statement
from pos_client.protocol.errors import ErrorCode, RequestError

_standing = Statement(
    select(t.terminal.c.revoked_at, t.terminal.c.epoch).where(t.terminal.c.terminal == bindparam("terminal"))
)


def token_hash(token: str) -> bytes:
    """The stored form of a token: tokens are long and random, so a single SHA-256 is enough."""
    return hashlib.sha256(token.encode()).digest()


def assert_not_revoked(connection: Connection, speaker: Speaker) -> None:
    """RequestError if the terminal was revoked after its hello, or a reader's token replaced."""
    rows = _standing(connection, terminal=speaker.terminal)
    assert_standing(speaker, *(rows[0] if rows else (None, None)))


def assert_standing(speaker: Speaker, revoked_at: int | None, epoch: int | None) -> None:
    """RequestError if `revoked_at` and `epoch` of its terminal deny `speaker` access; no epoch: no such terminal."""
    if revoked_at is not None or epoch is None or (speaker.role != "till" and epoch != speaker.epoch):
        raise _revoked(speaker)


def _revoked(speaker: Speaker) -> RequestError:
    return RequestError(
        ErrorCode.forbidden, f"Terminal {speaker.terminal} has been revoked or has a new token; ask HQ."
    )
