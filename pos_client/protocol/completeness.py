"""How complete the figures of a location are, a part of many answers; what tills report for it."""

from __future__ import annotations

from msgspec import field

from pos_client.protocol.base import Message, StrictMessage
from pos_client.protocol.fields import Instant, PostingCount, TickMs


class OutboxReport(StrictMessage, frozen=True):
    """The state of a till's outbox; `oldest_occurred_at` belongs to the oldest pending posting.

    `oldest_tick_ms` is its time by the tick clock, if all that is pending was made since the machine booted.
    """

    pending: PostingCount
    dead: PostingCount = 0
    oldest_occurred_at: Instant | None = None
    oldest_tick_ms: TickMs | None = None


class SilentTill(Message, frozen=True):
    """A till that is overdue; `since` is its last contact."""

    terminal: str
    since: Instant


class ClosedTill(Message, frozen=True):
    """A till that ended its day with balanced totals; `at` is when, on HQ's clock."""

    terminal: str
    at: Instant


class Hole(Message, frozen=True, rename={"from_": "from"}):
    """Sequence numbers that a till has used and HQ has not received."""

    terminal: str
    from_: int
    to: int


class Completeness(Message, frozen=True):
    """How complete a location's figures are: every till has delivered everything up to `complete_to`.

    `tills` are those in use: one counts from its first `hello`. `holes` are the first of `holes_total`.
    """

    complete_to: Instant | None
    tills: int
    silent: list[SilentTill]
    holes: list[Hole]
    pending: int
    closed: list[ClosedTill] = field(default_factory=list)
    holes_total: int = 0
