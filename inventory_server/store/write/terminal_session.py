"""Terminal sessions: hello (authentication, epoch, lineage), ping and bye."""

from __future__ import annotations

import logging
import shlex

import msgspec
from msgspec import UnsetType

from inventory_server.domain.completeness import OutboxState
from inventory_server.domain.lineage import FIRST_HEAD, Lineage, Said, disagreements, missing
from inventory_server.domain.requests import Bye, Hello, Ping, Welcome
from inventory_server.domain.roles import HQ_POSTING, Speaker
from inventory_server.domain.tick_clock import ClockLimits, effective
from inventory_server.store.ledger.access import _revoked, ask_for, assert_authentic
from inventory_server.store.ledger.records import Terminal
from inventory_server.store.write.tick_clocks import received_at
from inventory_server.store.write.working_set import WorkingSet
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.fields import ASKING_TERMINAL
from pos_client.protocol.limits import VALUE_LENGTH_MAX
from pos_client.protocol.messages import ByeParams, ByeResult, Totals
from pos_client.protocol.units import QUANTITY_PLACES, TOTAL_MAX, scaled, unscaled

log = logging.getLogger("tillwire.store")


def hello(working_set: WorkingSet, said: Hello) -> Welcome:
    """Authenticate a terminal and raise a till's epoch, which fences its older connections."""
    known = working_set.terminals.get(said.terminal)
    if known is None and said.enrol is not None:
        known = _enrolled(said.terminal, said.enrol, working_set.now)
    if known is None:
        assert_authentic(said, False, None, None)
    assert known is not None, "others are refused"
    assert_authentic(said, True, known.revoked_at, known.token_hash)
    _assert_is_there(working_set, known, said)
    if said.terminal not in working_set.terminals:
        working_set.terminals[said.terminal] = known
        if known.role == "till":
            working_set.know_location(known.location)
    if known.role == "till":
        known.epoch += 1
        known.closed_at = None
    lineage = Lineage()
    if said.lineage is not None:
        known.lineage = said.lineage.bytes
        lineage = working_set.lineages[said.terminal, known.lineage]
    _note_contact(working_set, known, said)
    speaker = Speaker(
        known.terminal,
        known.role,  # type: ignore[arg-type]
        known.location,
        known.epoch,
        said.lineage,
        said.source,
        said.backdated,
    )
    adopted = working_set.rights_of(known.terminal).adopted
    return Welcome(speaker, known.head.hex(), lineage.acked_seq, adopted)


def ping(working_set: WorkingSet, said: Ping) -> None:
    """Note that the terminal is alive, unless the connection is fenced.

    A terminal that was moved is told so: until it says hello, it would book its sales at its former location.
    """
    known = known_terminal(working_set, said.actor)
    if known.role == "till" and known.location != said.actor.location:
        raise fenced(known, f"This terminal is at {known.location} now; say hello again after a pause.")
    if known.epoch == said.actor.epoch:
        _note_contact(working_set, known, said)


def bye(working_set: WorkingSet, goodbye: Bye) -> ByeResult:
    """Compare the control totals of a lineage; close a till's day when they balance."""
    known, totals = known_terminal(working_set, goodbye.actor), goodbye.totals
    lineage_id = goodbye.actor.lineage if isinstance(totals.lineage, UnsetType) else totals.lineage
    said = _said(totals, working_set.now)
    is_current = known.epoch == goodbye.actor.epoch
    if is_current:
        _note_goodbye(working_set, known, totals)
    if lineage_id is None or (said.last_seq, said.count, said.quantity) == (None, None, None):
        return ByeResult("closed", [])
    key = (known.terminal, lineage_id.bytes)
    working_set.read_lineages({key})
    held = working_set.lineages[key]
    held.said = said
    lacking = missing(held, held.last_seq if said.last_seq is None else said.last_seq)
    balanced = not lacking and not disagreements(held, said)
    if balanced and is_current and not known.pending:
        known.closed_at = _told_by_then(known, held, working_set.now)
    working_set.changed_lineages.add(key)
    expected = Totals(held.last_seq, held.count, unscaled(held.quantity))
    return ByeResult("balanced" if balanced else "mismatch", lacking, expected)


def _note_goodbye(working_set: WorkingSet, known: Terminal, totals: ByeParams) -> None:
    """Note contact and the reported state of the outbox."""
    known.contact_at = working_set.now
    working_set.changed_terminals.add(known.terminal)
    if not isinstance(totals.pending, UnsetType):
        known.pending = totals.pending
    if not isinstance(totals.dead, UnsetType):
        known.dead = totals.dead


def _told_by_then(known: Terminal, held: Lineage, now: int) -> int:
    """Up to when a till that says a balanced bye has certainly told everything.

    A bye carries no clock, and its till may have sold while it was on its way: what came before it was sent earlier.
    """
    told = [moment for moment in (known.told_at, held.acked_at) if moment is not None]
    return min(now, max(told, default=now))


def _said(totals: ByeParams, now: int) -> Said:
    quantity: int | None = None
    if not isinstance(totals.quantity, UnsetType):
        try:
            quantity = scaled(totals.quantity, TOTAL_MAX)
        except ValueError as error:
            expected = f"an exact number with at most {QUANTITY_PLACES} decimals"
            came = str(totals.quantity)[:VALUE_LENGTH_MAX]
            message = f"$.quantity: expected {expected}, got {came}."
            raise RequestError(
                ErrorCode.invalid_params, message, path="$.quantity", expected=expected, came=came
            ) from error
    return Said(
        now,
        None if isinstance(totals.last_seq, UnsetType) else totals.last_seq,
        None if isinstance(totals.count, UnsetType) else totals.count,
        quantity,
    )


def fenced(known: Terminal, message: str) -> RequestError:
    """The error of a connection that is no longer the terminal's."""
    return RequestError(ErrorCode.fenced, message, epoch=known.epoch)


def known_terminal(working_set: WorkingSet, speaker: Speaker) -> Terminal:
    """The terminal of a connection; RequestError if it has been revoked since its hello."""
    known = working_set.terminals.get(speaker.terminal)
    if known is None and speaker is HQ_POSTING:
        known = _headquarters(speaker, working_set.now)
        working_set.terminals[speaker.terminal] = known
    if known is None or known.revoked_at is not None:
        raise _revoked(speaker)
    return known


def _enrolled(name: str, location: str, now: int) -> Terminal:
    """A terminal of a development server: a till, but for the one that only asks."""
    role = "reader" if name == ASKING_TERMINAL else "till"
    return Terminal(name, role, location, None, now, None, 0, FIRST_HEAD, None, None, None, 0, 0, None, None, None)


def _headquarters(speaker: Speaker, now: int) -> Terminal:
    """The terminal of HQ's own postings, of which none has been made yet."""
    return msgspec.structs.replace(_enrolled(speaker.terminal, speaker.location, now), role=speaker.role)


def _assert_is_there(working_set: WorkingSet, known: Terminal, hello: Hello) -> None:
    """RequestError if a till believes to be where it never was: HQ would have to reject what it sold there."""
    there = hello.location
    if known.role != "till" or there is None or there == known.location:
        return
    if there not in working_set.rights_of(known.terminal).places:
        raise RequestError(
            ErrorCode.forbidden,
            f"Terminal {known.terminal} is at {known.location!r} and never was at {there!r}: correct the till's "
            f"location, or {ask_for(f'move {known.terminal} {shlex.quote(there)}')}.",
        )


def _note_contact(working_set: WorkingSet, known: Terminal, said: Hello | Ping) -> None:
    """Note what a message tells of the till's clock and outbox, and when it came.

    A hello may be held up until after others of the same till: what it says is pending is no news then.
    """
    clocks, received = working_set.tick_clocks, received_at(said, working_set.now)
    clocks.contact(known.terminal, said.tick, received)
    wall_clock = received if said.now is None else said.now
    happened = clocks.of(known.terminal).happened(said.tick)
    if happened is not None and said.now is not None:
        _note_clock_offset(known, (wall_clock - happened.at) // 1_000, clocks.limits)
    is_news = not clocks.of(known.terminal).is_overtaken(said.tick)
    known.contact_at = max(received, known.contact_at or received)
    known.told_at = clocks.told(known.terminal, said.tick, wall_clock, received)
    if said.outbox is not None and is_news:
        is_ticking = said.tick is not None
        known.oldest_pending_at = _oldest_pending_at(working_set, known, said.outbox, is_ticking, wall_clock - received)
        known.pending, known.dead = said.outbox.pending, said.outbox.dead
    working_set.changed_terminals.add(known.terminal)


def _oldest_pending_at(
    working_set: WorkingSet, known: Terminal, outbox: OutboxState, is_ticking: bool, ahead: int
) -> int | None:
    """When the oldest posting of an outbox will take effect, at the earliest.

    By its tick; else, if the till's clock is ahead, as much earlier as that: it may yet be corrected. `ahead` is how
    much it is by this message alone (µs). For a till with a tick clock, that stays so when its clock is set right while
    something is pending: it was wrong when the posting was made.
    """
    clocks, oldest = working_set.tick_clocks, outbox.oldest_occurred_at
    if oldest is None:
        return None
    if outbox.oldest_tick is not None:
        happened = clocks.of(known.terminal).happened(outbox.oldest_tick)
        return effective(oldest, working_set.now, happened, clocks.limits).at
    ahead = max(ahead, (known.clock_offset_ms or 0) * 1_000)
    at = oldest - ahead if ahead > clocks.limits.tolerance else oldest
    if not is_ticking or not known.pending or known.oldest_pending_at is None:
        return at
    return min(at, known.oldest_pending_at)


def _note_clock_offset(known: Terminal, offset_ms: int, limits: ClockLimits) -> None:
    """Note how far the wall clock is from the tick clock; log it once when it becomes too much."""
    tolerance_ms = limits.tolerance // 1_000
    if abs(offset_ms) > tolerance_ms >= abs(known.clock_offset_ms or 0):
        log.warning("event=till_clock_wrong terminal=%s offset_ms=%d", known.terminal, offset_ms)
    known.clock_offset_ms = offset_ms
