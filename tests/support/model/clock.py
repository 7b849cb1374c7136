"""When a posting happened: the effective instant, from a till's tick clock where HQ knows its boot."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from tests.support.model.postings import DAY, FOREVER, HOUR, MINUTE, SECOND, Document

TOLERANCE = 2 * SECOND
DRIFT = 10_000
"""An oscillator drifts by less than one part in so many."""
OLD = 45 * DAY
BOOTS_KEPT = 10
NEWEST_MIN = 2
"""So many contacts in a row show that ticks had stopped; a single one may only be late."""
_MILLISECOND = 1_000


class Tick(NamedTuple):
    """A moment of a till's tick clock: the boot, and the milliseconds since it."""

    boot: str
    milliseconds: int


class Contact(NamedTuple):
    """What a till told of its tick clock: when HQ heard it, and when the boot began if it took no time to arrive."""

    received_at: int
    started_at: int


class Happened(NamedTuple):
    """The instant of a tick on HQ's clock, and the time from there to the nearest contact."""

    at: int
    nearest_contact: int


class Bounds(NamedTuple):
    """What postings of the same boot leave: none may be effective before one with a smaller tick."""

    earliest: int = -FOREVER
    latest: int = FOREVER


class Effective(NamedTuple):
    """The effective instant, by how much it and an expiry were corrected, and the flags."""

    at: int
    correction: int
    flags: frozenset[str]


class TickClocks:
    """All that tills told of their tick clocks, and the postings that were dated by them."""

    def __init__(self) -> None:
        self._contacts: dict[str, dict[str, list[Contact]]] = defaultdict(dict)
        self._dated: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)

    def hear(self, terminal: str, now: Tick, received_at: int) -> None:
        """A `hello`, `ping` or `post` told the tick of now."""
        told = self._contacts[terminal].setdefault(now.boot, [])
        told.append(Contact(received_at, received_at - now.milliseconds * _MILLISECOND))

    def happened(self, terminal: str, tick: Tick) -> Happened | None:
        """When the tick was; None for a boot that is not among the last ten HQ heard of."""
        boots = self._contacts[terminal]
        if tick.boot not in list(boots)[-BOOTS_KEPT:]:
            return None
        at = boot_started(boots[tick.boot]) + tick.milliseconds * _MILLISECOND
        return Happened(at, min(abs(contact.received_at - at) for contact in boots[tick.boot]))

    def bounds(self, terminal: str, tick: Tick) -> Bounds:
        """Between which instants the postings so far let this tick be."""
        dated = self._dated[terminal, tick.boot]
        return Bounds(
            max((at for milliseconds, at in dated if milliseconds < tick.milliseconds), default=-FOREVER),
            min((at for milliseconds, at in dated if milliseconds > tick.milliseconds), default=FOREVER),
        )

    def date(self, terminal: str, tick: Tick, effective_at: int) -> None:
        """A posting of this tick is in the ledger with this effective instant."""
        self._dated[terminal, tick.boot].append((tick.milliseconds, effective_at))


def boot_started(contacts: list[Contact]) -> int:
    """The smallest start of the last hour's contacts: a delay can only make one later.

    Where the newest contacts, at least two, all say more than a minute later, ticks had stopped: those count.
    """
    recent = [each.started_at for each in contacts if each.received_at >= contacts[-1].received_at - HOUR]
    while True:
        smallest = min(recent)
        close = max(index for index, started_at in enumerate(recent) if started_at <= smallest + MINUTE)
        if len(recent) - 1 - close < NEWEST_MIN:
            return smallest
        recent = recent[close + 1 :]


def effective(
    document: Document, recorded_at: int, happened: Happened | None, bounds: Bounds, backdated: bool
) -> Effective:
    """The effective instant of a document that HQ records at `recorded_at`."""
    occurred_at = document.occurred_at
    at, correction, flags = occurred_at, 0, set()
    if happened and _beyond_tolerance(happened.at - occurred_at, happened.nearest_contact):
        at, correction = happened.at, happened.at - occurred_at
        flags.add("clock_corrected")
    if happened:
        at = min(max(at, bounds.earliest), bounds.latest)
    if at - recorded_at > TOLERANCE:
        flags.add("clock_suspect")
    at = min(at, recorded_at)
    if recorded_at - at > OLD and (not backdated or document.type == "count"):
        flags.add("clock_suspect")
    return Effective(at, correction, frozenset(flags))


def _beyond_tolerance(difference: int, nearest_contact: int) -> bool:
    return (abs(difference) - TOLERANCE) * DRIFT > nearest_contact
