"""The head of the ledger: its last position, the end of its archive, and the stamp that invalidates caches."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from sqlalchemy import Connection, select

from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.sql import Statement
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.units import instant

_head = Statement(
    select(t.ledger.c.position, t.ledger.c.archived_position, t.ledger.c.archived_until, t.ledger.c.merges)
)


class Head(NamedTuple):
    """The last position of a ledger, the last archived one with the instant it was recorded (0, 0: no archive).

    `merges`: how many merges were ever posted.
    """

    position: int
    archived_position: int
    archived_until: int
    merges: int

    def is_before(self, moment: int) -> bool:
        """True if the movements up to `moment` are archived."""
        return self.archived_position > 0 and moment < self.archived_until

    @property
    def until(self) -> str:
        """When the last archived posting was recorded, in ISO 8601."""
        return instant(self.archived_until).isoformat()

    @property
    def segment(self) -> int:
        """The open segment."""
        return self.position >> t.SEGMENT_POSITIONS_LOG2

    @property
    def first_segment(self) -> int:
        """The first segment that is not archived."""
        return (self.archived_position + 1) >> t.SEGMENT_POSITIONS_LOG2


def head_of(connection: Connection) -> Head:
    """Read the head of the ledger."""
    [row] = _head(connection)
    return Head(*row)


def out_of_reach(head: Head) -> RequestError:
    """The error for a question that would need archived postings."""
    return RequestError(
        ErrorCode.not_found,
        f"Everything recorded up to {head.until}, position {head.archived_position}, is in the archive;"
        " ask for that moment or a later one, as known at that position or a later one.",
    )


STAMP_BITS = 63
"""Of a signed 64-bit column; collisions are not a concern."""


def new_stamp() -> int:
    """A random stamp, which no writer has seen before."""
    return secrets.randbits(STAMP_BITS)
