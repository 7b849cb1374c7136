"""Up to where a ledger is archived, and what that leaves without an answer."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from sqlalchemy import Connection, select

from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.sql import Statement
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.units import instant

_head = Statement(select(t.ledger.c.position, t.ledger.c.archived_position, t.ledger.c.archived_until))


class Head(NamedTuple):
    """The last position of a ledger; the last one in the archive, and when that was recorded: both 0 where none is."""

    position: int
    archived_position: int
    archived_until: int

    def is_before(self, moment: int) -> bool:
        """True where what had moved by `moment` is in the archive."""
        return self.archived_position > 0 and moment < self.archived_until

    @property
    def until(self) -> str:
        """When the last archived posting was recorded, in words."""
        return instant(self.archived_until).isoformat()

    @property
    def segment(self) -> int:
        """The open segment."""
        return self.position >> t.SEGMENT_POSITIONS_LOG2

    @property
    def first_segment(self) -> int:
        """The first segment that is not in the archive."""
        return (self.archived_position + 1) >> t.SEGMENT_POSITIONS_LOG2


def head_of(connection: Connection) -> Head:
    """Where a ledger ends, and where it begins."""
    [row] = _head(connection)
    return Head(*row)


def out_of_reach(head: Head) -> RequestError:
    """What is said to a question that would need what is in the archive."""
    return RequestError(
        ErrorCode.not_found,
        f"What was recorded up to {head.until}, position {head.archived_position}, is in"
        " the archive; ask for that moment or a later one, as known at that position or a later one.",
    )


STAMP_BITS = 63


def new_stamp() -> int:
    """What no writer has seen on any ledger."""
    return secrets.randbits(STAMP_BITS)
