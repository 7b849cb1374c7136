"""`PostingRecord`: a posting as HQ holds it, its body decoded."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from pos_client.protocol import wire
from pos_client.protocol.fields import Flag
from pos_client.protocol.messages import Body, StoredPosting


class PostingRecord(Struct, frozen=True):
    """A posting at HQ, or the record of its rejection.

    `raw` are the bytes that were sent, `digest` their SHA-256. `body` is what they say; None if they are no valid
    body, which is then why HQ rejected the posting.
    """

    id: UUID
    status: Literal["posted", "rejected"]
    body: Body | None
    raw: bytes
    digest: str
    terminal: str
    recorded_at: datetime
    position: int | None
    location: str | None
    lineage: UUID | None
    seq: int | None
    flags: tuple[Flag, ...]
    reason: str | None


def record_of(stored: StoredPosting) -> PostingRecord:
    """The record of HQ's answer."""
    raw = bytes(stored.body)
    return PostingRecord(
        id=stored.id,
        status=stored.status,
        body=wire.readable_body(raw),
        raw=raw,
        digest=stored.digest,
        terminal=stored.terminal,
        recorded_at=stored.recorded_at,
        position=stored.position,
        location=stored.location,
        lineage=stored.lineage,
        seq=stored.seq,
        flags=stored.flags,
        reason=stored.reason,
    )
