"""What the sweep sees: conditions that hold now, of tills, exceptions and targets. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from inventory_server.domain.alerts import (
    AlertKey,
    AlertKind,
    AlertPatience,
    OpenedAlert,
    TargetState,
    WatchedLevel,
    WatchedTill,
    is_clock_off,
)
from inventory_server.domain.limits import ALERT_SENTENCE_LENGTH_MAX
from inventory_server.observer.limits import (
    CLOCK_OFF_MS,
    CLOCK_OFF_SECONDS,
    FAILURES_ALARMING,
    HOLE_SECONDS,
    OVER_SECONDS,
    TILL_SILENT_SECONDS,
)
from pos_client.protocol.lists import ListedException
from pos_client.protocol.units import SECOND_MICROS, instant, micros, unscaled

_OVER = OVER_SECONDS * SECOND_MICROS
PATIENCE: Mapping[AlertKind, AlertPatience] = MappingProxyType(
    {
        "till_silent": AlertPatience(TILL_SILENT_SECONDS * SECOND_MICROS, _OVER),
        "hole": AlertPatience(HOLE_SECONDS * SECOND_MICROS, _OVER),
        "clock_off": AlertPatience(CLOCK_OFF_SECONDS * SECOND_MICROS, _OVER),
        "exception_waiting": AlertPatience(0, 0),
        "delivery_failed": AlertPatience(0, 0),
    }
)
"""The kinds that the sweep decides about, each with how long its condition must hold and be over."""


def short_of(level: WatchedLevel, now: int) -> OpenedAlert:
    """The alert of a level below its reorder point."""
    point = 0 if level.reorder_point is None else unscaled(level.reorder_point)
    said = f"{level.sku} at {level.location}: {unscaled(level.available)} available, reorder point {point}"
    return _alert("reorder_point", level.location, level.sku, now, said)


def mismatched(location: str, sku: str, how: str, now: int) -> OpenedAlert:
    """The alert of a level that differs from the ledger."""
    return _alert("proof_failed", location, sku, now, f"{sku} at {location}: {how}")


def of_tills(tills: Collection[WatchedTill], is_open: Collection[AlertKey], now: int) -> Iterator[OpenedAlert]:
    """Silent tills, holes in what they delivered, and clocks that are off."""
    for till in tills:
        who = f"{till.terminal} at {till.location}"
        if till.silent_since_at is not None:
            said = f"{who} has sent nothing since {instant(till.silent_since_at).isoformat(timespec='seconds')}"
            yield _alert("till_silent", till.location, till.terminal, till.silent_since_at, said)
        if till.holes:
            first, last = till.holes[0]
            more = f" and {len(till.holes) - 1} more" if len(till.holes) > 1 else ""
            yield _alert("hole", till.location, till.terminal, now, f"{who} has not delivered {first}-{last}{more}")
        offset = till.clock_offset_ms
        key = AlertKey("clock_off", till.location, till.terminal)
        if offset is not None and is_clock_off(key in is_open, offset, CLOCK_OFF_MS):
            side = "ahead" if offset > 0 else "behind"
            yield _alert(*key, now, f"the clock of {who} is {abs(offset) // 1_000} s {side}")


def of_exceptions(causes: Collection[ListedException]) -> Iterator[OpenedAlert]:
    """What waits for a person: one alert for each flag at a location, so an empty catalogue is one, not thousands."""
    found: dict[tuple[str, str], list[ListedException]] = {}
    for cause in causes:
        found.setdefault((cause.location, cause.flag), []).append(cause)
    for (location, flag), of_place in found.items():
        latest = max(of_place, key=lambda cause: cause.position)
        more = f" and {len(of_place) - 1} more" if len(of_place) > 1 else ""
        since_at = min(micros(cause.first_at) for cause in of_place)
        yield _alert("exception_waiting", location, flag, since_at, f"{flag} at {location}: {latest.subject}{more}")


def of_targets(targets: Collection[TargetState], now: int) -> Iterator[OpenedAlert]:
    """Targets that take nothing: paused ones, and those that fail again and again."""
    for each in targets:
        if each.paused_at is not None or each.failures >= FAILURES_ALARMING:
            state = "is paused" if each.paused_at is not None else f"has failed {each.failures} times"
            since_at = now if each.failed_at is None else each.failed_at
            yield _alert("delivery_failed", "", each.target, since_at, f"{each.target} {state}: {each.last_error}")


def _alert(kind: AlertKind, location: str, subject: str, since_at: int, said: str) -> OpenedAlert:
    return OpenedAlert(kind, location, subject, since_at, said[:ALERT_SENTENCE_LENGTH_MAX])
