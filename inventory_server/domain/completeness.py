"""Completeness of stock figures: the rule that derives it from each till's last report. Pure.

Instants are integer microseconds since 1970 UTC; `now` is HQ's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inventory_server.domain.limits import HOLES_SHOWN_MAX
from pos_client.protocol.fields import Range
from pos_client.protocol.messages import ClosedTill, Completeness, Hole, SilentTill
from pos_client.protocol.tick import Tick
from pos_client.protocol.units import instant, micros


@dataclass(frozen=True, slots=True)
class OutboxState:
    """What a till says of its outbox: `pending` and `dead` postings, and when the oldest pending one was made.

    That is by the till's clock (microseconds), and by its tick clock if all that is pending was made since it booted.
    """

    pending: int
    dead: int = 0
    oldest_occurred_at: int | None = None
    oldest_tick: Tick | None = None


@dataclass(frozen=True, slots=True)
class TillState:
    """What HQ knows of one till.

    `told_at` is the till's own clock at its last message, capped at HQ's clock; `oldest_pending_at` is the instant of
    the oldest posting in its outbox; `acked_at` that of the last posting before a hole. `closed_at` is when the till
    ended its day with balanced totals, None while it is open.
    """

    terminal: str
    contact_at: int | None
    told_at: int | None
    pending: int
    oldest_pending_at: int | None
    holes: Sequence[Range]
    acked_at: int | None
    closed_at: int | None


def told_everything_to(till: TillState) -> int | None:
    """The latest instant up to which HQ has all postings of `till`, as far as HQ was told; None if there is none.

    A till that closed its day had told everything then; it may have sold since, with its line down.
    """
    if till.closed_at is not None and not till.holes and not till.pending:
        return till.closed_at
    if till.told_at is None:
        return None
    bounds = [till.told_at]
    if till.pending:
        if till.oldest_pending_at is None:
            return None
        bounds.append(till.oldest_pending_at - 1)
    if till.holes:
        if till.acked_at is None:
            return None
        bounds.append(till.acked_at)
    return min(bounds)


def counts_after_moving(till: TillState, moved_at: int) -> bool:
    """True if the location that `till` left at `moved_at` still waits for what it sold there.

    Until HQ has everything up to then, some of it may be in its outbox.
    """
    told = told_everything_to(till)
    return told is None or told < moved_at


def is_silent(till: TillState, now: int, silent_after: int) -> bool:
    """True if an open till has sent nothing for `silent_after` microseconds."""
    return till.closed_at is None and till.contact_at is not None and now - till.contact_at > silent_after


def completeness(tills: Sequence[TillState], now: int, silent_after: int) -> Completeness:
    """The completeness of the location to which `tills` belong; one that has never connected is not in use yet."""
    tills = [till for till in tills if till.contact_at is not None]
    told = [told_everything_to(till) for till in tills]
    known = [moment for moment in told if moment is not None]
    complete_to = min(known, default=now) if len(known) == len(told) else None
    holes = [Hole(till.terminal, first, last) for till in tills for first, last in till.holes]
    return Completeness(
        complete_to=None if complete_to is None else instant(complete_to),
        tills=len(tills),
        silent=[
            SilentTill(till.terminal, instant(till.contact_at))
            for till in tills
            if till.contact_at is not None and is_silent(till, now, silent_after)
        ],
        holes=holes[:HOLES_SHOWN_MAX],
        pending=sum(till.pending for till in tills),
        closed=[ClosedTill(till.terminal, instant(till.closed_at)) for till in tills if till.closed_at is not None],
        holes_total=len(holes),
    )


def is_incomplete(told: Completeness, now: int, silent_after: int) -> bool:
    """True if figures of a location may lack what its tills have sold: somebody should look after a till.

    What a till has just made is no reason, nor is a till that ended its day while others are open; what has been
    pending for longer than `silent_after` (microseconds) is.
    """
    if told.tills == 0:
        return False
    if told.complete_to is None or told.silent or told.holes_total:
        return True
    return told.pending > 0 and now - micros(told.complete_to) > silent_after
