"""Tick clocks: when a posting really happened, from clocks that nobody can set. Pure.

A till's machine counts milliseconds since it booted. Each contact pairs that tick with HQ's clock, so HQ knows when the
boot began, and from there the instant of every tick. Instants are integer microseconds since 1970 UTC.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from inventory_server.domain.inventory import Flags
from inventory_server.domain.limits import (
    BOOTS_MAX,
    DRIFT_DIVISOR,
    GAP_MINUTES,
    PERIODS_MAX,
    STEP_MICROS,
    WINDOW_MINUTES,
)
from pos_client.protocol.tick import Tick
from pos_client.protocol.units import SECOND_MICROS

_MILLISECOND_MICROS = SECOND_MICROS // 1_000
_MINUTE_MICROS = 60 * SECOND_MICROS
NO_INSTANT = -(2**63)
"""Before every instant."""


class ClockLimits(NamedTuple):
    """How far a clock may be off, and how old a posting may be, before it is corrected or flagged (µs)."""

    tolerance: int
    old: int


class Happened(NamedTuple):
    """An instant by the tick clock, and how far it is from the nearest contact (µs)."""

    at: int
    distance: int


class Effective(msgspec.Struct, frozen=True, gc=False):
    """The effective instant of a posting, its clock flags, and by how much it was corrected (µs, else 0)."""

    at: int
    flags: int
    shift: int


def effective(
    occurred_at: int,
    recorded_at: int,
    happened: Happened | None,
    limits: ClockLimits,
    *,
    backdated: bool = False,
    is_count: bool = False,
) -> Effective:
    """When a posting takes effect: as its till states it, or by the tick clock where the two differ too much.

    Never later than it was recorded. A connection that announced `backdated` postings may send old ones, except counts.
    """
    at, flags = occurred_at, 0
    if happened is not None:
        allowed = limits.tolerance + happened.distance // DRIFT_DIVISOR
        if abs(happened.at - occurred_at) > allowed:
            at, flags = happened.at, Flags.CLOCK_CORRECTED
    is_old = recorded_at - at > limits.old and (is_count or not backdated)
    if at - recorded_at > limits.tolerance or is_old:
        flags |= Flags.CLOCK_SUSPECT
    at = min(at, recorded_at)
    return Effective(at, flags, at - occurred_at if flags & Flags.CLOCK_CORRECTED else 0)


class Start(msgspec.Struct, array_like=True):
    """The smallest `received − tick` of the contacts in one minute of HQ's clock: when the boot began, at the latest.

    `minutes` is the number of minutes with contacts that it stands for: earlier ones with a higher figure are dropped.
    """

    minute: int
    at: int
    minutes: int = 1


class Contacts(msgspec.Struct):
    """The contacts during one boot, minute by minute: at most `WINDOW_MINUTES` starts and `PERIODS_MAX` periods.

    `starts` rise: one that a later start undercuts can no longer matter. `periods` are first and last minutes.
    """

    starts: list[Start] = []
    periods: list[tuple[int, int]] = []

    def add(self, received_at: int, tick_ms: int) -> bool:
        """Note that a message sent at `tick_ms` was received; True if that told something new."""
        minute, start = received_at // _MINUTE_MICROS, received_at - tick_ms * _MILLISECOND_MICROS
        last = self.starts[-1] if self.starts else None
        if last is not None and last.minute == minute:
            if start >= last.at:
                return False
            self.starts.pop()
            self._push(Start(minute, start, last.minutes))
        else:
            self.starts = [each for each in self.starts if each.minute >= minute - WINDOW_MINUTES]
            self._push(Start(minute, start))
            self._extend_periods(minute)
        return True

    def _push(self, newest: Start) -> None:
        while self.starts and self.starts[-1].at >= newest.at:
            newest.minutes += self.starts.pop().minutes
        self.starts.append(newest)

    def _extend_periods(self, minute: int) -> None:
        if self.periods:
            first, last = self.periods[-1]
            if first <= minute <= last + GAP_MINUTES:
                self.periods[-1] = (first, max(last, minute))
                return
        self.periods = [*self.periods[1 - PERIODS_MAX :], (minute, minute)]

    @property
    def began_at(self) -> int:
        """When the boot began: the smallest start, as a delay can only make one larger.

        Unless the newest starts, of at least two minutes, all exceed it by more than `STEP_MICROS`: then ticks had
        stopped or HQ's clock was set, and the smallest of those counts. A single minute may be a stall of HQ.
        """
        base = self.starts[0]
        newer = sum(start.minutes for start in self.starts)
        for start in self.starts:
            if start.at - base.at > STEP_MICROS and newer > 1:
                base = start
            newer -= start.minutes
        return base.at

    def happened(self, tick_ms: int) -> Happened:
        """The instant of a tick, and its distance to the nearest contact, in whole minutes of contact."""
        at = self.began_at + tick_ms * _MILLISECOND_MICROS
        return Happened(at, min(_distance(at, first, last) for first, last in self.periods))


def _distance(at: int, first_minute: int, last_minute: int) -> int:
    return max(0, first_minute * _MINUTE_MICROS - at, at - (last_minute + 1) * _MINUTE_MICROS)


class Boot(msgspec.Struct):
    """One boot of a terminal's machine: its contacts, and what later postings must not contradict.

    `last_minute` is that of the last contact. `tick_ms` and `effective_at` are those of the posting with the highest
    tick so far. At `told_tick_ms` the terminal told that HQ knows everything up to `told_at`. Without any: -1.
    """

    contacts: Contacts
    last_minute: int
    tick_ms: int = -1
    effective_at: int = NO_INSTANT
    told_tick_ms: int = -1
    told_at: int = NO_INSTANT

    def in_order(self, tick_ms: int, at: int, recorded_at: int) -> int:
        """`at`, or the nearest instant at which a posting of this tick is not before one with a smaller tick.

        Compared with the posting of the highest tick only: others that came late are not told apart. Nor is it in the
        time of which HQ has said that it is complete, unless HQ's clock was set back since.
        """
        if tick_ms > self.told_tick_ms:
            at = min(max(at, self.told_at), recorded_at)
        if tick_ms < self.tick_ms:
            return min(at, self.effective_at)
        if tick_ms > self.tick_ms:
            at = min(max(at, self.effective_at), recorded_at)  # HQ's clock may have been set back since a refusal
        self.tick_ms, self.effective_at = tick_ms, max(at, self.effective_at)
        return at

    def told(self, tick_ms: int, at: int) -> int:
        """Note that at this tick HQ was told everything up to `at`; return up to when it has been told by now."""
        if tick_ms > self.told_tick_ms:
            self.told_tick_ms, self.told_at = tick_ms, max(at, self.told_at)
        return self.told_at


class TerminalClock:
    """The tick clock of one terminal: its last `BOOTS_MAX` boots, by their ids."""

    def __init__(self, boots: dict[bytes, Boot], limits: ClockLimits) -> None:
        self.boots = boots
        self._limits = limits

    def contact(self, tick: Tick, received_at: int) -> bool:
        """Note that a message sent at `tick` was received; True if what is kept of its boot changed."""
        minute = received_at // _MINUTE_MICROS
        boot = self.boots.get(tick.boot.bytes)
        if boot is None:
            boot = self.boots[tick.boot.bytes] = Boot(Contacts(), minute)
        is_new = boot.contacts.add(received_at, tick.ms) or boot.last_minute != minute
        boot.last_minute = minute
        return is_new

    def forget_oldest(self, current: Tick) -> bytes | None:
        """Forget the boot heard of least recently, but not that of `current`, if there are too many; return its id."""
        if len(self.boots) <= BOOTS_MAX:
            return None
        others = self.boots.keys() - {current.boot.bytes}
        oldest = min(others, key=lambda boot_id: (self.boots[boot_id].last_minute, boot_id))
        del self.boots[oldest]
        return oldest

    def happened(self, tick: Tick | None) -> Happened | None:
        """The instant of a tick; None for a boot that HQ never heard of."""
        boot = None if tick is None else self.boots.get(tick.boot.bytes)
        return None if boot is None or tick is None else boot.contacts.happened(tick.ms)

    def is_overtaken(self, tick: Tick | None) -> bool:
        """True if a message of this tick was sent before another one that has told what is pending."""
        boot = None if tick is None else self.boots.get(tick.boot.bytes)
        return boot is not None and tick is not None and tick.ms < boot.told_tick_ms

    def told(self, tick: Tick | None, wall_clock: int, received_at: int) -> int:
        """Up to when a terminal has told everything that says now what is pending, at `wall_clock` on its clock."""
        happened = self.happened(tick)
        at = effective(wall_clock, received_at, happened, self._limits).at
        return at if tick is None or happened is None else self.boots[tick.boot.bytes].told(tick.ms, at)

    def effective(
        self, tick: Tick | None, occurred_at: int, recorded_at: int, *, backdated: bool = False, is_count: bool = False
    ) -> Effective:
        """When a posting made at `tick` takes effect; of one boot, never before one with a smaller tick."""
        happened = None if tick is None else self.happened(tick)
        found = effective(occurred_at, recorded_at, happened, self._limits, backdated=backdated, is_count=is_count)
        if tick is None or happened is None:
            return found
        at = self.boots[tick.boot.bytes].in_order(tick.ms, found.at, recorded_at)
        return Effective(at, found.flags, at - occurred_at if found.flags & Flags.CLOCK_CORRECTED else 0)
