"""Alerts: when one opens and closes, when a delivery is tried again, and what is said. Pure.

Quantities are in units of 10⁻⁵, instants in microseconds since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct

from inventory_server.domain.limits import (
    ALERT_SENTENCE_LENGTH_MAX,
    ALERT_SUBJECT_LENGTH_MAX,
    DELIVERY_RETRY_SECONDS,
    REARM_DIVISOR,
)
from pos_client.protocol.units import SECOND_MICROS

AlertKind = Literal[
    "reorder_point", "till_silent", "hole", "clock_off", "exception_waiting", "proof_failed", "delivery_failed"
]
ADVICE: Mapping[AlertKind, str] = MappingProxyType(
    {
        "reorder_point": "order it; see: inventory-server order-list",
        "till_silent": "look after the till and its line; see: inventory-server terminal list",
        "hole": "have the till deliver what is missing; see: inventory-server reconcile",
        "clock_off": "set the clock of that machine; see: inventory-server terminal list",
        "exception_waiting": "look into each cause; see: inventory-server exceptions",
        "proof_failed": "run inventory-server verify, and keep a backup of the ledger as it is",
        "delivery_failed": "mend the endpoint, then: inventory-server alerts resume",
    }
)
"""The kinds of alerts, each with what to do."""
AlertEvent = Literal["opened", "closed"]
ALERT_EVENTS: tuple[AlertEvent, ...] = ("opened", "closed")
"""What can happen to an alert; the number of each is its place here."""
TargetName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$(?!\n)")]
AlertSubject = Annotated[str, Meta(max_length=ALERT_SUBJECT_LENGTH_MAX)]
AlertSentence = Annotated[str, Meta(max_length=ALERT_SENTENCE_LENGTH_MAX)]


class AlertKey(NamedTuple):
    """What an alert is about: a SKU, a terminal, a flag or a target, at a location ("" if it is of none)."""

    kind: AlertKind
    location: str
    subject: str


class OpenedAlert(Struct, frozen=True):
    """An alert to open: since when its condition holds, and a sentence with the figures."""

    kind: AlertKind
    location: AlertSubject
    subject: AlertSubject
    since_at: int
    said: AlertSentence

    @property
    def key(self) -> AlertKey:
        """What it is about."""
        return AlertKey(self.kind, self.location, self.subject)


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert; `position` is up to where the ledger had been read when it was opened, `closed_at` None while open."""

    number: int
    kind: AlertKind
    location: str
    subject: str
    position: int
    since_at: int
    opened_at: int
    said: str
    closed_at: int | None

    @property
    def key(self) -> AlertKey:
        """What it is about."""
        return AlertKey(self.kind, self.location, self.subject)


@dataclass(frozen=True, slots=True)
class TargetState:
    """A target of deliveries: what it has taken and what waits; `failures` in a row since it does not take any.

    It is tried again at `next_at`; None where it is not failing, or is paused until a person resumes it.
    """

    target: str
    waiting: int
    delivered: int
    delivered_at: int | None
    failures: int
    failed_at: int | None
    next_at: int | None
    paused_at: int | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class ObserverState:
    """How far the observer has read the ledger, what the background proof has compared, and the targets.

    `owner` names the process that observes, `position` is None where none ever has.
    """

    owner: str
    position: int | None
    proven: int
    mismatches: int
    proven_at: int | None
    targets: list[TargetState]


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """The next delivery to a target, `attempts` of which have failed."""

    target: str
    queued_at: int
    event: AlertEvent
    attempts: int
    failures: int
    alert: AlertRow


@dataclass(frozen=True, slots=True)
class WatchedLevel:
    """What is available of a product at a location, and where to reorder; None: nowhere."""

    location: str
    sku: str
    available: int
    reorder_point: int | None


@dataclass(frozen=True, slots=True)
class WatchedTill:
    """What HQ knows of a till in use: silent since when (None if it is not), holes, how far its clock is off."""

    terminal: str
    location: str
    silent_since_at: int | None
    holes: list[tuple[int, int]]
    clock_offset_ms: int | None


@dataclass(frozen=True, slots=True)
class ProvenLevels:
    """Levels compared with the ledger: how many, those that differ with how, the first, and the last, to go on after.

    `first` is None where there are none, `last` at the end of all levels.
    """

    position: int
    proven: int
    mismatches: list[tuple[str, str, str]]
    first: tuple[str, str] | None
    last: tuple[str, str] | None


class AlertPatience(NamedTuple):
    """How long a condition has to hold before its alert opens, and to be over before it closes; microseconds."""

    opens_after: int
    closes_after: int


def rearmed_at(reorder_point: int) -> int:
    """From how much on the alert of a reorder point closes: a tenth above it, so stock around it opens one."""
    return reorder_point + max(1, reorder_point // REARM_DIVISOR)


def is_short(is_open: bool, available: int, reorder_point: int | None) -> bool:
    """Whether the alert of a reorder point is open from now on; `is_open`: it was until now."""
    if reorder_point is None:
        return False
    return available < (rearmed_at(reorder_point) if is_open else reorder_point)


def is_clock_off(is_open: bool, offset_ms: int | None, most_ms: int) -> bool:
    """Whether a clock counts as off: by more than `most_ms`, and then until it is by less than half of that."""
    return offset_ms is not None and abs(offset_ms) > (most_ms // 2 if is_open else most_ms)


def is_alerting(is_open: bool, holds: bool, since: int, now: int, patience: AlertPatience) -> bool:
    """Whether the alert of a condition that `holds` or not `since` an instant is open at `now`."""
    if holds:
        return is_open or now - since >= patience.opens_after
    return is_open and now - since < patience.closes_after


def next_attempt(failures: int, now: int, chance: float) -> int | None:
    """When a target is tried again that has failed `failures` times in a row; None: not before a person resumes it.

    `chance`, from 0 to 1, spreads what failed together: it adds up to a quarter.
    """
    if failures > len(DELIVERY_RETRY_SECONDS):
        return None
    pause = DELIVERY_RETRY_SECONDS[failures - 1] * SECOND_MICROS
    return now + pause + int(pause * chance / 4)
