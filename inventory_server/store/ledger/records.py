"""Records: rows of the ledger's tables as the write path holds them in memory."""

from __future__ import annotations

from typing import Any

import msgspec

from inventory_server.domain.lineage import Lineage, Said
from pos_client.protocol.fields import PostingType, Range

NEVER = 2**63 - 1
"""The `expires_at` of what does not expire."""
NOT_KEPT = b""
"""Stands for the body of a refused posting of which only the digest is kept."""

_beyond_decoder = msgspec.json.Decoder(list[Range])


class Posted(msgspec.Struct, gc=False):
    """What the ledger answers about a posting it holds."""

    digest: bytes
    position: int
    recorded_at: int
    flags: int
    terminal: str
    type: PostingType
    location: str
    effective_at: int


POSTED = ("digest", "position", "recorded_at", "flags", "terminal", "type", "location")
"""The columns of `posting` and `archived` that make up `Posted`, in its order and without the last."""


class Rejected(msgspec.Struct):
    """A recorded rejection; a reopened one is judged again under the same id and sequence number."""

    digest: bytes
    code: str
    reason: str
    lineage: bytes | None
    seq: int | None
    reopened: bool


ANYWHERE = ""
"""The location of a void that an operator sent without naming one."""


class Void(msgspec.Struct):
    """A row of `void`, in the order of its columns."""

    voids: bytes
    location: str
    position: int

    def works_at(self, location: str) -> bool:
        """True if it can void a posting of `location`."""
        return self.location in (ANYWHERE, location)


class Terminal(msgspec.Struct):
    """A row of `terminal`, in the order of its columns."""

    terminal: str
    role: str
    location: str
    token_hash: bytes | None
    enrolled_at: int
    revoked_at: int | None
    epoch: int
    head: bytes
    lineage: bytes | None
    contact_at: int | None
    told_at: int | None
    pending: int
    dead: int
    oldest_pending_at: int | None
    closed_at: int | None
    clock_offset_ms: int | None


class Rights(msgspec.Struct, frozen=True):
    """Where a till may post besides its present location: `places`; `adopted` are the terminals it delivers for.

    `places` are where it, and those, ever were.
    """

    places: frozenset[str] = frozenset()
    adopted: tuple[str, ...] = ()


def held_lineage(row: Any) -> Lineage:
    """The lineage of a row of `lineage`."""
    _, _, acked_seq, beyond, count, quantity, acked_at, said_at, *said = row
    held = Lineage(acked_seq, _beyond_decoder.decode(beyond), count, quantity, acked_at)
    if said_at is not None:
        held.said = Said(said_at, *said)
    return held


Key = tuple[str, str]
"""(location, sku)"""
