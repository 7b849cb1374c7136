"""Hypothesis strategies for whole histories: every type, order of arrival, clock, merge and mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.support.model.clock import Tick
from tests.support.model.history import NOON, SENDERS, UNKNOWN_LOCATION, Delivery, posting_id, text
from tests.support.model.postings import DAY, HOUR, MINUTE, SECOND, WITH_LINES, Sender

DrawFn = Callable[[st.SearchStrategy[Any]], Any]
"""What `st.composite` passes to draw a value."""

SKUS = ("a", "b", "c")
GTIN = "00000040170725"
GTIN_SKU = f"gtin:{GTIN}"
PRODUCTS = (
    *({"sku": sku} for sku in ("a", "a", "a", *SKUS)),
    {"gtin": GTIN[-8:]},
    {"gtin": GTIN[-13:]},
    {"gtin": GTIN},
)
QUANTITIES = st.sampled_from([*range(1, 11), 2, 3, 5, 0, "0.5", "2.00001", 300])

ALL_TYPES = (
    *("sale", "sale", "return", "receipt", "adjustment", "count", "count", "transfer_out", "transfer_out"),
    *("transfer_in", "transfer_in", "transfer_close", "reserve", "reserve", "release", "void", "void", "merge"),
)
THEMES = (
    ALL_TYPES,
    ("transfer_out", "transfer_in", "transfer_out", "transfer_in", "transfer_close"),
    ("transfer_out", "transfer_in", "transfer_out", "transfer_in", "transfer_close", "void", "merge"),
    ("reserve", "release"),
    (*("reserve", "release") * 2, *("sale", "void", "merge")),
    ("sale", "receipt", "count", "count", "void", "adjustment"),
    ("count", "count", "sale"),
    ("sale", "return", "return", "void"),
    ("receipt", "transfer_out", "adjustment"),
    ("sale", "receipt", "count", "void", "merge", "merge"),
)
"""Few types at a time, so that a short history has many that concern each other."""
GAPS = (0, 0, 1, SECOND, HOUR, 13 * HOUR, DAY)
"""Between one posting and the next: several are of the same instant."""
DELAYS = (0, 0, 0, 5 * SECOND, 2 * HOUR, 2 * DAY, 50 * DAY)
"""From a posting to its arrival."""
FAULTS = (0, 0, 0, 0, SECOND, -90 * SECOND, 90 * SECOND, -3 * HOUR, -60 * DAY, 365 * DAY)
"""By how much a wall clock, or a date given by hand, is wrong."""
EXPIRIES = (None, None, DAY, HOUR, -HOUR)
SENDING = (0, 0, 700_000, 30 * SECOND)
KEYED_TWICE = 500
"""What is added to the number of a document that is keyed in once more."""
STANDSTILL = 10 * MINUTE
RARELY = st.integers(0, 9).map(lambda number: number == 9)


class Running(NamedTuple):
    """From `since` on, a till's ticks count from `started_at` within a boot."""

    since: int
    boot: str
    started_at: int

    def elapsed(self, at: int) -> int:
        """How long the boot has been running at an instant, without the time it stood still."""
        return at - self.started_at


@dataclass
class Machine:
    """A till's clocks over the whole history: the wall clock's fault of the moment, and all its boots."""

    running: list[Running]
    fault: int = 0
    last_posting_at: int = 0
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def tick(self, at: int) -> Tick:
        """What the tick clock shows at an instant; just before it goes on, it stands still."""
        running = [each for each in self.running if each.since <= at][-1]
        later = [each.elapsed(each.since) for each in self.running if each.since > at and each.boot == running.boot]
        return Tick(running.boot, min([running.elapsed(at), *later]) // 1_000)


class Sent(NamedTuple):
    """A delivery, and when it was sent."""

    sent_at: int
    delivery: Delivery


@dataclass(frozen=True)
class Plan:
    """What is to be drawn: the type of each posting, by number, so that any may name any other."""

    kinds: Sequence[str]
    standstills: bool

    def name(self, draw: DrawFn, *types: str) -> str:
        """The id of a posting of these types, earlier or later; now and then of any other, or of none."""
        fitting = [number for number, kind in enumerate(self.kinds) if kind in types]
        if not fitting or draw(RARELY):
            fitting = [*range(len(self.kinds)), 999]
        return posting_id(draw(st.sampled_from(fitting)))


@st.composite
def histories(
    draw: DrawFn, themes: Sequence[Sequence[str]] = THEMES, size_max: int = 12, standstills: bool = True
) -> list[Delivery]:
    """What reached HQ in which order, of the types of one theme; `standstills` stop tick clocks for a while."""
    types = st.sampled_from(draw(st.sampled_from(themes)))
    size = draw(st.integers(1, size_max) | st.integers(size_max // 2, size_max))  # short ones are for failures
    plan = Plan(draw(st.lists(types, min_size=size, max_size=size)), standstills)
    machines = {sender: _machine(sender) for sender in SENDERS if not sender.operator}
    at, made = NOON, list[Sent]()
    for number, kind in enumerate(plan.kinds):
        at += draw(st.sampled_from(GAPS))
        made += _made(draw, plan, number, kind, at, machines)
    history = []
    for order, (sent_at, delivery) in enumerate(sorted(made, key=lambda each: each.delivery.received_at)):
        machine = machines.get(delivery.sender)
        now = machine.tick(sent_at) if machine and delivery.tick else None
        received_at = delivery.received_at + order  # HQ's clock is later at each commit
        history.append(replace(delivery, received_at=received_at, now=now))
    return history


def _machine(sender: Sender) -> Machine:
    started_at = NOON - DAY
    return Machine([Running(started_at, f"{sender.terminal}-boot-0", started_at)])


def _made(draw: DrawFn, plan: Plan, number: int, kind: str, at: int, machines: dict[Sender, Machine]) -> list[Sent]:
    """One posting on its way: perhaps twice, with another body the second time, or keyed twice under two ids."""
    operators = [sender for sender in SENDERS if sender.operator]
    sender = draw(st.sampled_from(operators if kind == "merge" and not draw(RARELY) else SENDERS))
    machine = machines.get(sender)
    tick = None if machine is None else _happen_to(draw, plan, machine, at)
    fault = draw(st.sampled_from(FAULTS)) if machine is None else machine.fault
    place = _place(draw, sender)
    here = place.get("location", sender.home)
    body = {"type": kind, "occurred_at": text(at + fault), **place, **_content(draw, plan, kind, here)}
    if kind == "reserve" and (expiry := draw(st.sampled_from(EXPIRIES))) is not None:
        body["expires_at"] = text(at + fault + expiry)
    sent_at = at + draw(st.sampled_from(DELAYS))
    once = Delivery(posting_id(number), body, sender, sent_at + draw(st.sampled_from(SENDING)), tick)
    if not draw(RARELY):
        return [Sent(sent_at, once)]
    id_ = draw(st.sampled_from([once.id, once.id, posting_id(number + KEYED_TWICE)]))
    again = body | draw(st.sampled_from([{}, {}, {"reference": "altered"}]))
    by, sent_again_at = draw(st.sampled_from([sender, SENDERS[0]])), sent_at + HOUR
    return [Sent(sent_at, once), Sent(sent_again_at, Delivery(id_, again, by, sent_again_at, tick))]


def _happen_to(draw: DrawFn, plan: Plan, machine: Machine, at: int) -> Tick | None:
    """Now and then the clock is set, the machine reboots, or its ticks stop; some postings are dated by hand."""
    event = draw(st.sampled_from(["", "", "", "set", "set", "reboot", "standstill", "by hand"]))
    running, idle = machine.running[-1], at - machine.last_posting_at
    machine.last_posting_at = at
    if event == "set":
        machine.fault = draw(st.sampled_from(FAULTS))
    elif event == "reboot":
        boot = f"{running.boot.rsplit('-', 1)[0]}-{next(machine.ids)}"
        machine.running.append(Running(at, boot, at))
    elif event == "standstill" and plan.standstills and min(idle, running.elapsed(at)) > STANDSTILL:
        machine.running.append(Running(at, running.boot, running.started_at + STANDSTILL))
    return None if event == "by hand" else machine.tick(at)


def _place(draw: DrawFn, sender: Sender) -> dict[str, str]:
    if sender.operator:
        return {"location": draw(st.sampled_from([*["L1", "L2"] * 4, "W", UNKNOWN_LOCATION]))}
    location = draw(st.sampled_from([sender.home] * 5 + ["", "", "L1", "L2"]))
    return {"location": location} if location else {}


def _content(draw: DrawFn, plan: Plan, kind: str, here: str) -> dict[str, Any]:
    """The fields of a body besides its instant and its place."""
    said: dict[str, Any] = {}
    if kind in WITH_LINES or (kind == "transfer_close" and draw(st.booleans())):
        said["lines"] = draw(st.lists(_line(kind), min_size=1, max_size=3))
    if draw(st.booleans()):
        said["reference"] = draw(st.sampled_from(["DN-1", "DN-2"]))
    named = _NAMED.get(kind)
    if named and (kind in ("void", "transfer_close") or draw(st.booleans())):
        said[named[0]] = plan.name(draw, *named[1])
    if kind == "transfer_out" or (kind == "transfer_in" and "transfer" not in said):
        said["other_location"] = draw(st.sampled_from([*[_opposite(here)] * 6, "L2", "W", UNKNOWN_LOCATION]))
    if kind == "transfer_close":
        said["reason"] = draw(st.sampled_from(["lost", "refused", "mistake"]))
    if kind == "merge":
        said["merge"], said["into"] = draw(st.sampled_from([*SKUS, GTIN_SKU])), draw(st.sampled_from(SKUS))
    return said


def _opposite(location: str) -> str:
    return "L1" if location == "L2" else "L2"


_NAMED = {
    "return": ("returns", ("sale",)),
    "sale": ("reservation", ("reserve",)),
    "release": ("reservation", ("reserve",)),
    "transfer_in": ("transfer", ("transfer_out",)),
    "transfer_close": ("transfer", ("transfer_out",)),
    "void": ("voids", tuple({*ALL_TYPES} - {"void"})),
}


@st.composite
def _line(draw: DrawFn, kind: str) -> dict[str, Any]:
    quantity = draw(QUANTITIES)
    negative = draw(RARELY) if kind in ("sale", "adjustment", "return") else False
    return {**draw(st.sampled_from(PRODUCTS)), "quantity": f"-{quantity}" if negative else quantity}
