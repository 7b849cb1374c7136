"""What to order: the sum, the hour, the words and the marks, one line a case."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from inventory_server.domain.order_lines import Candidate, OrderLine, order_line
from inventory_server.domain.ordering import (
    DayTrade,
    Mark,
    Supply,
    Terms,
    Velocity,
    is_needed,
    need,
    order_hour,
    order_quantity,
    order_time,
    still_ordered,
    velocity,
)
from pos_client.protocol.units import instant, micros, scaled

BERLIN = ZoneInfo("Europe/Berlin")
NOW = micros(datetime(2026, 3, 17, 7, 42, tzinfo=BERLIN))
TODAY = date(2026, 3, 17)
U = scaled(1)


def line(terms: Terms, supply: Supply, rate: Velocity, now: int = NOW, is_sure: bool = True) -> OrderLine | None:
    assert is_needed(supply, terms, rate) == (need(supply, terms, rate) > 0)
    if not is_needed(supply, terms, rate):
        return None
    return order_line(Candidate("L1", "a", None, None, terms, supply, rate, is_sure), now, BERLIN)


# ---------------------------------------------------------------------------------- the sum, and why

SUMS: list[tuple[str, dict[str, Any], tuple[Any, ...], tuple[Any, int], Any, str]] = [
    # what it is about    terms (quantities in units)  available, transit, ordered  sold in days  order  the sum
    (
        "the drawn page: espresso",
        {"reorder_point": 20, "pack_size": 6, "lead_time_days": 2, "order_cycle_days": 1, "order_by_hour": 11},
        (11, 0, 0), (190, 28), 30,
        "20 reorder point + 3 days × 6.8 a day − 11 available = 29.4",
    ),
    (
        "below zero",
        {"reorder_point": 24, "pack_size": 12, "lead_time_days": 1, "order_cycle_days": 1},
        (-2, 0, 0), (319, 28), 60,
        "24 reorder point + 2 days × 11.4 a day + 2 short = 48.8",
    ),
    (
        "minimum above the need",
        {"reorder_point": 6, "pack_size": 6, "minimum": 6, "lead_time_days": 1, "order_cycle_days": 0},
        (4, 0, 0), (44, 28), 6,
        "6 reorder point + 1 day × 1.6 a day − 4 available = 3.6, minimum 6",
    ),
    ("minimum is no whole pack", {"reorder_point": 9, "pack_size": 6, "minimum": 20}, (8, 0, 0), (0, 28), 24,
     "9 reorder point − 8 available = 1, minimum 20"),
    ("no supplier, no terms", {"reorder_point": 5}, (2, 0, 0), (0, 28), 3, "5 reorder point − 2 available = 3"),
    ("pack of 0 is none", {"reorder_point": 5, "pack_size": 0}, (2, 0, 0), (0, 28), 3,
     "5 reorder point − 2 available = 3"),
    ("no pack: whole units", {"reorder_point": "2.5"}, ("0.8", 0, 0), (0, 28), 2,
     "2.5 reorder point − 0.8 available = 1.7"),
    ("pack that is no whole number", {"reorder_point": 5, "pack_size": "0.75"}, (1, 0, 0), (0, 28), "4.5",
     "5 reorder point − 1 available = 4"),
    ("exactly one pack", {"reorder_point": 12, "pack_size": 6}, (6, 0, 0), (0, 28), 6,
     "12 reorder point − 6 available = 6"),
    ("a thirtieth beyond a pack", {"reorder_point": 12, "pack_size": 6, "lead_time_days": 1}, (6, 0, 0), (1, 28), 12,
     "12 reorder point + 1 day × 0.04 a day − 6 available = 6.1"),
    ("in transit and ordered", {"reorder_point": 20}, (5, 4, 3), (0, 28), 8,
     "20 reorder point − 5 available − 4 in transit − 3 ordered = 8"),
    ("too little on the road", {"reorder_point": 20}, (5, 14, 0), (0, 28), 1,
     "20 reorder point − 5 available − 14 in transit = 1"),
    ("enough on the road", {"reorder_point": 20}, (5, 15, 0), (0, 28), None, ""),
    ("enough ordered", {"reorder_point": 20}, (5, 0, 15), (0, 28), None, ""),
    ("at its reorder point", {"reorder_point": 20, "lead_time_days": 3}, (20, 0, 0), (0, 28), None, ""),
    ("lasts until the next order", {"reorder_point": 5, "lead_time_days": 2, "order_cycle_days": 2}, (9, 0, 0),
     (28, 28), None, ""),
    ("does not", {"reorder_point": 5, "lead_time_days": 2, "order_cycle_days": 3}, (9, 0, 0), (28, 28), 1,
     "5 reorder point + 5 days × 1.0 a day − 9 available = 1"),
    ("more came back than was sold", {"reorder_point": 5, "lead_time_days": 9}, (4, 0, 0), (-7, 28), 1,
     "5 reorder point − 4 available = 1"),
    ("new: no velocity", {"reorder_point": 5, "lead_time_days": 9}, (4, 0, 0), (0, 0), 1,
     "5 reorder point − 4 available = 1"),
    ("reorder point 0", {"reorder_point": 0, "lead_time_days": 2}, (1, 0, 0), (28, 28), 1,
     "0 reorder point + 2 days × 1.0 a day − 1 available = 1"),
    ("hardly sold", {"reorder_point": 1, "lead_time_days": 1}, (0, 0, 0), ("0.001", 28), 2,
     "1 reorder point + 1 day × less than 0.01 a day − 0 available = 1.1"),
]  # fmt: skip


def terms_of(said: dict[str, Any]) -> Terms:
    quantities = ("reorder_point", "pack_size", "minimum")
    terms: dict[str, Any] = {name: units(value) if name in quantities else value for name, value in said.items()}
    return Terms(**terms)


def units(quantity: Any) -> int:
    return int(Fraction(quantity) * U)


@pytest.mark.parametrize(
    ("said", "supply", "sold", "expected", "told"), [case[1:] for case in SUMS], ids=[case[0] for case in SUMS]
)
def test_how_much_is_ordered(said: Any, supply: Any, sold: Any, expected: Any, told: str) -> None:
    found = line(terms_of(said), Supply(*map(units, supply)), Velocity(units(sold[0]), sold[1]))
    if expected is None:
        assert found is None
        return
    assert found is not None
    assert (units(str(found.quantity)), found.sum) == (units(expected), told)
    assert found.packs is None or units(str(found.pack_size)) * found.packs == units(str(found.quantity))


WORDS = [
    # lead, cycle  available  sold in 28 days  why
    (2, 1, 11, 190, "Runs out tomorrow, before the delivery of Thu 19 Mar."),
    (1, 1, 14, 551, "Runs out today, before the delivery of tomorrow."),
    (1, 1, 7, 165, "Runs out tomorrow; the order after this one would come too late."),
    (1, 0, 4, 44, "Below its reorder point of 20; runs out Thu 19 Mar."),
    (1, 0, -2, 44, "Nothing left; the delivery comes tomorrow."),
    (1, 0, 0, 0, "Nothing left; the delivery comes tomorrow."),
    (None, None, 0, 0, "Nothing left. No lead time is listed."),
    (None, None, 9, 28, "Below its reorder point of 20; runs out Thu 26 Mar. No lead time is listed."),
    (9, 9, 19, 0, "Below its reorder point of 20."),
    (366, 0, 19, 1, "Below its reorder point of 20; runs out Tue 31 Aug 2027."),
    (3, 4, 22, 28, "Runs out Wed 8 Apr; falls below its reorder point of 20 before the order after this one."),
    (None, 4, 22, 28, "Falls below its reorder point of 20 before the order after this one. No lead time is listed."),
]  # fmt: skip


@pytest.mark.parametrize(("lead", "cycle", "available", "sold", "why"), WORDS)
def test_every_line_says_why(lead: Any, cycle: Any, available: int, sold: int, why: str) -> None:
    terms = Terms(20 * U, None, None, None, lead, cycle)
    found = line(terms, Supply(available * U), Velocity(sold * U, 28))
    assert found is not None
    assert found.why == why


def test_a_line_says_what_it_does_not_know_and_what_is_too_late() -> None:
    found = line(Terms(5 * U, order_by_hour=7), Supply(U), Velocity(0, 0), is_sure=False)
    assert found is not None
    assert found.why == (
        "Below its reorder point of 5. The hour to order today has passed. No lead time is listed."
        " How fast it sells is not known yet."
    )
    assert (found.is_sure, found.cover_days, found.runs_out) == (False, None, None)


def test_days_of_cover_are_rounded_down_and_never_below_zero() -> None:
    assert [_cover(available, 190) for available in (11, -2, 0)] == [1.6, 0, 0]
    assert _cover(1, 27_720_000) == 0


def _cover(available: int, sold: int) -> float:
    found = line(Terms(20 * U, lead_time_days=3), Supply(available * U), Velocity(sold * U, 28))
    assert found is not None
    return float(str(found.cover_days))


# ---------------------------------------------------------------------------------- by when


HOURS = [
    # zone, hour now (local)     lead cycle hour  available  order by                      late   arrives
    ("Europe/Berlin", "2026-03-17T07:42", 2, 1, 11, 11, "2026-03-17T10:00:00+00:00", False, "2026-03-19"),
    ("Europe/Berlin", "2026-03-17T11:00", 2, 1, 11, 11, "2026-03-18T10:00:00+00:00", True, "2026-03-20"),
    ("Europe/Berlin", "2026-03-17T10:59", 2, 1, 11, 11, "2026-03-17T10:00:00+00:00", False, "2026-03-19"),
    ("Europe/Berlin", "2026-03-17T07:42", None, None, None, 11, "2026-03-17T23:00:00+00:00", False, None),
    ("Europe/Berlin", "2026-03-17T07:42", 2, 7, 11, 24, "2026-03-19T10:00:00+00:00", False, "2026-03-21"),
    ("Europe/Berlin", "2026-03-17T07:42", 2, 7, 0, 24, "2026-03-18T23:00:00+00:00", False, "2026-03-21"),
    ("Europe/Berlin", "2026-03-28T07:42", 0, 1, 11, 20, "2026-03-28T10:00:00+00:00", False, "2026-03-28"),
    ("Europe/Berlin", "2026-03-28T12:00", 1, 1, 11, 20, "2026-03-29T09:00:00+00:00", True, "2026-03-30"),
    ("Europe/Berlin", "2026-03-28T12:00", 1, 1, 2, 20, "2026-03-29T01:00:00+00:00", True, "2026-03-30"),
    ("Europe/Berlin", "2026-10-24T12:00", 1, 1, 2, 20, "2026-10-25T00:00:00+00:00", True, "2026-10-26"),
    ("Pacific/Kiritimati", "2026-03-17T00:10", 1, 1, 11, 11, "2026-03-16T21:00:00+00:00", False, "2026-03-18"),
    ("America/New_York", "2026-03-16T23:50", 1, 1, 22, 11, "2026-03-18T02:00:00+00:00", True, "2026-03-18"),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "now", "lead", "cycle", "hour", "available", "by", "late", "arrives"), HOURS)
def test_by_when_it_is_ordered(
    zone: str, now: str, lead: Any, cycle: Any, hour: Any, available: int, by: str, late: bool, arrives: str | None
) -> None:
    there = ZoneInfo(zone)
    terms = Terms(20 * U, None, None, None, lead, cycle, hour)
    moment = micros(datetime.fromisoformat(now).replace(tzinfo=there))
    found = order_time(Supply(available * U), terms, Velocity(28 * U, 28), moment, there)
    assert instant(found.by_at).isoformat() == by
    assert found.is_late is late
    assert (None if found.arrives is None else str(found.arrives)) == arrives
    last = found.by_at - 1
    assert instant(last).astimezone(there).date() in (found.by, found.by.replace(day=found.by.day - 1))


def test_the_hour_of_a_day_is_that_of_the_clock_on_the_wall() -> None:
    for hour in (1, 11, 12, 23):
        assert instant(order_hour(TODAY, hour, BERLIN)).astimezone(BERLIN) == datetime(2026, 3, 17, hour, tzinfo=BERLIN)


# ---------------------------------------------------------------------------------- velocity

VELOCITIES: list[tuple[str, int, int, int | None, dict[int, tuple[int, int]], tuple[int, int]]] = [
    # what it is about   on hand, ever moved, first counted   {day: (moved, sold)}; 28 is today   sold, days
    ("sold on some days, there on all", 90, 90, None, {3: (-4, 4), 20: (-6, 6)}, (10, 28)),
    ("today does not count", 88, 88, None, {3: (-4, 4), 28: (-2, 2)}, (4, 28)),
    ("out of stock half of the time", 0, 5, None, {13: (-5, 5)}, (5, 14)),
    ("sold out, delivered, sold out", 0, 5, None, {0: (-5, 5), 26: (4, 0), 27: (-4, 4)}, (9, 3)),
    ("below zero, yet sold", -3, -3, None, {25: (-2, 2), 27: (-1, 1)}, (3, 2)),
    ("new since two days", 7, 7, None, {26: (10, 0), 27: (-3, 3)}, (3, 2)),
    ("new today", 7, 7, None, {28: (7, 3)}, (0, 0)),
    ("first counted four days ago", 10, -2, 24, {25: (-1, 1), 27: (-1, 1)}, (2, 4)),
    ("counted before the window", 10, -2, -1, {25: (-1, 1), 27: (-1, 1)}, (2, 28)),
    ("counted, nothing moved", 10, 0, 20, {}, (0, 8)),
    ("never there", 0, 0, None, {}, (0, 0)),
    ("never there, moved before", 0, 5, None, {}, (0, 0)),
    ("a delivery and a transfer are no demand", 20, 20, None, {5: (30, 0), 9: (-10, 0)}, (0, 23)),
    ("came back", 10, 10, None, {26: (12, -2), 27: (-2, 2)}, (0, 2)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("on_hand", "moved", "counted", "trade", "expected"),
    [case[1:] for case in VELOCITIES],
    ids=[case[0] for case in VELOCITIES],
)
def test_how_fast_it_sells(on_hand: int, moved: int, counted: Any, trade: Any, expected: tuple[int, int]) -> None:
    days = {day: DayTrade(*figures) for day, figures in trade.items()}
    assert velocity(on_hand, moved, counted, days, 28) == expected


def test_figures_are_exact() -> None:
    """A third of a unit a day: three days are one unit, not 0.99999 or 1.00001."""
    assert order_quantity(Fraction(U, 3) * 3, Terms(0, pack_size=U)) == U
    assert Velocity(U, 3).cover_days(U) == 3


# ---------------------------------------------------------------------------------- marked as ordered

DAY = 24 * 3_600_000_000
MONDAY = micros(datetime(2026, 3, 16, 9, tzinfo=UTC))

MARKS: list[tuple[str, list[tuple[int, int, str]], list[tuple[int, int]], int, list[int]]] = [
    # what it is about   (marked on day, quantity, expected)   (received on day, quantity)   now   left
    ("nothing came yet", [(0, 10, "2026-03-18")], [], 2, [10]),
    ("came in part", [(0, 10, "2026-03-18")], [(2, 4)], 2, [6]),
    ("came in two parts", [(0, 10, "2026-03-18")], [(1, 4), (2, 6)], 3, [0]),
    ("more came", [(0, 10, "2026-03-18")], [(2, 12)], 3, [0]),
    ("came before it was marked", [(1, 10, "2026-03-18")], [(0, 10)], 2, [10]),
    ("two days late", [(0, 10, "2026-03-18")], [], 4, [10]),
    ("later still", [(0, 10, "2026-03-18")], [], 5, [0]),
    ("the oldest is served first", [(0, 10, "2026-03-18"), (1, 5, "2026-03-19")], [(2, 12)], 2, [0, 3]),
    ("made after the delivery", [(0, 3, "2026-03-18"), (2, 5, "2026-03-19")], [(1, 9)], 2, [0, 5]),
    ("one that lapsed takes nothing", [(0, 10, "2026-03-17"), (1, 5, "2026-03-25")], [(6, 5)], 6, [0, 0]),
    ("voided deliveries are none", [(0, 10, "2026-03-18")], [(1, 0)], 2, [10]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("marks", "received", "now", "left"), [case[1:] for case in MARKS], ids=[case[0] for case in MARKS]
)
def test_a_mark_holds_until_so_much_came_or_two_days_after_its_day(
    marks: Any, received: Any, now: int, left: Any
) -> None:
    made = [Mark(MONDAY + day * DAY, quantity, date.fromisoformat(expected)) for day, quantity, expected in marks]
    came = [(MONDAY + day * DAY + 1, quantity) for day, quantity in received]
    assert still_ordered(made, came, MONDAY + now * DAY + 2, UTC) == left


def test_a_mark_holds_to_the_end_of_the_day_at_the_location() -> None:
    mark = Mark(MONDAY, 1, date(2026, 3, 27))  # the clocks go forward on the 29th
    assert instant(mark.holds_until(BERLIN)).isoformat() == "2026-03-29T22:00:00+00:00"
