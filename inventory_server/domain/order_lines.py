"""The lines of the order list, and what each says in words: why, and the sum that led to it. Pure.

Quantities are those of messages, instants microseconds since 1970 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from math import ceil

from inventory_server.domain.ordering import (
    Supply,
    Terms,
    Velocity,
    local_day,
    need,
    order_quantity,
    order_time,
    runs_out,
)
from pos_client.protocol.messages import Completeness
from pos_client.protocol.units import QUANTITY_UNIT, Quantity, unscaled

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class OrderLine:
    """What to order of a product for a location (None: for none in particular), and what that rests on.

    `quantity` is `packs` × `pack_size`. `sold` in so many `days` is its velocity; no `days`: it is not known.
    `order_by_hour` is None where the whole day will do. `cover_days` is rounded down. `is_late`: the hour of the day on
    which it should have been ordered has passed. `is_sure`: all tills of the location have told everything.
    """

    location: str | None
    sku: str
    name: str | None
    unit: str | None
    supplier: str | None
    quantity: Quantity
    packs: int | None
    pack_size: Quantity | None
    minimum: Quantity | None
    order_by: date
    order_by_hour: int | None
    order_by_at: int
    is_late: bool
    arrives: date | None
    available: Quantity
    in_transit: Quantity
    ordered: Quantity
    reorder_point: Quantity
    lead_time_days: int | None
    order_cycle_days: int | None
    sold: Quantity
    days: int
    cover_days: Quantity | None
    runs_out: date | None
    is_sure: bool
    why: str
    sum: str


@dataclass(frozen=True, slots=True)
class OrderList:
    """What to order as of the ledger's `position`: by supplier, who is to be asked first comes first.

    Of `total` lines these are the first to be ordered. `unknown` are the locations and suppliers that HQ does not know.
    """

    position: int
    asked_at: int
    total: int
    lines: list[OrderLine]
    completeness: dict[str, Completeness]
    unknown: list[str]


@dataclass(frozen=True, slots=True)
class OrderMark:
    """A mark as ordered: `left` of `quantity` has not been received, and is waited for until `holds_until_at`."""

    location: str
    sku: str
    quantity: Quantity
    left: Quantity
    expected: date
    marked_at: int
    marked_by: str
    holds_until_at: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A product with a reorder point at a location, and what the sum needs of it."""

    location: str | None
    sku: str
    name: str | None
    unit: str | None
    terms: Terms
    supply: Supply
    rate: Velocity
    is_sure: bool


def order_line(one: Candidate, now: int, zone: tzinfo) -> OrderLine:
    """The line of a product of which something has to be ordered."""
    terms, supply, missing = one.terms, one.supply, need(one.supply, one.terms, one.rate)
    quantity, time = order_quantity(missing, terms), order_time(supply, terms, one.rate, now, zone)
    cover, today = one.rate.cover_days(supply.available), local_day(now, zone)
    empty = runs_out(cover, today)
    return OrderLine(
        location=one.location,
        sku=one.sku,
        name=one.name,
        unit=one.unit,
        supplier=terms.supplier,
        quantity=unscaled(quantity),
        packs=quantity // terms.pack_size if terms.pack_size else None,
        pack_size=_optional(terms.pack_size),
        minimum=_optional(terms.minimum),
        order_by=time.by,
        order_by_hour=terms.order_by_hour,
        order_by_at=time.by_at,
        is_late=time.is_late,
        arrives=time.arrives,
        available=unscaled(supply.available),
        in_transit=unscaled(supply.in_transit),
        ordered=unscaled(supply.ordered),
        reorder_point=unscaled(terms.reorder_point),
        lead_time_days=terms.lead_time_days,
        order_cycle_days=terms.order_cycle_days,
        sold=unscaled(one.rate.sold),
        days=one.rate.days,
        cover_days=None if cover is None else tenths(cover),
        runs_out=empty,
        is_sure=one.is_sure,
        why=_why(one, time.arrives, empty, today) + _doubts(one, time.is_late),
        sum=_sum(one, missing),
    )


def _optional(units: int | None) -> Quantity | None:
    return unscaled(units) if units else None


def tenths(days: Fraction) -> Quantity:
    """Days with one decimal, rounded down."""
    return unscaled(days.numerator * 10 // days.denominator * (QUANTITY_UNIT // 10))


def _why(one: Candidate, arrives: date | None, empty: date | None, today: date) -> str:
    """Why a line is on the list today."""
    coming = None if arrives is None else day_named(arrives, today)
    below = f"Below its reorder point of {_plain(one.terms.reorder_point)}"
    if one.supply.available <= 0:
        return "Nothing left." if coming is None else f"Nothing left; the delivery comes {coming}."
    if empty is None or arrives is None:
        if one.supply.available >= one.terms.reorder_point:
            return (
                f"Falls below its reorder point of {_plain(one.terms.reorder_point)} before the order after this one."
            )
        return f"{below}." if empty is None else f"{below}; runs out {day_named(empty, today)}."
    out = f"Runs out {day_named(empty, today)}"
    if empty < arrives:
        return f"{out}, before the delivery of {coming}."
    if empty <= arrives + timedelta(days=one.terms.order_cycle_days or 0):
        return f"{out}; the order after this one would come too late."
    if one.supply.available < one.terms.reorder_point:
        return f"{below}; runs out {day_named(empty, today)}."
    return f"{out}; falls below its reorder point of {_plain(one.terms.reorder_point)} before the order after this one."


def _doubts(one: Candidate, is_late: bool) -> str:
    """What else there is to know of a line."""
    doubts = [" The hour to order today has passed."] if is_late else []
    doubts += [" No lead time is listed."] if one.terms.lead_time_days is None else []
    doubts += [" How fast it sells is not known yet."] if not one.rate.days else []
    return "".join(doubts)


def _sum(one: Candidate, missing: Fraction) -> str:
    """The sum of a line in words, with velocity and result rounded to what a person reads."""
    terms, supply, rate = one.terms, one.supply, one.rate.per_day
    parts = [f"{_plain(terms.reorder_point)} reorder point"]
    if terms.days and rate:
        parts.append(f"+ {terms.days} day{'' if terms.days == 1 else 's'} × {_rounded(rate)} a day")
    available = supply.available
    parts.append(f"− {_plain(available)} available" if available >= 0 else f"+ {_plain(-available)} short")
    parts += [f"− {_plain(supply.in_transit)} in transit"] if supply.in_transit else []
    parts += [f"− {_plain(supply.ordered)} ordered"] if supply.ordered else []
    exact = missing if missing.denominator > 1 else None
    total = _plain(int(missing)) if exact is None else _rounded(missing, up=True)
    minimum = terms.minimum or 0
    return f"{' '.join(parts)} = {total}" + (f", minimum {_plain(minimum)}" if minimum > missing else "")


def _plain(units: int) -> str:
    """A quantity as people write it."""
    quantity = unscaled(units)
    return (f"{quantity:f}" if isinstance(quantity, Decimal) else str(quantity)).replace("-", "−")


def _rounded(units: Fraction, up: bool = False) -> str:
    """A fraction of 10⁻⁵ with one decimal, of small ones two; `up`: never less than it is."""
    places = 1 if units >= QUANTITY_UNIT else 2
    step = QUANTITY_UNIT // 10**places
    steps = ceil(units / step) if up else round(units / step)
    return f"{Decimal(steps).scaleb(-places):f}" if steps else "less than 0.01"


def day_named(day: date, today: date) -> str:
    """A day as people name it: today, tomorrow, `Thu 19 Mar`, and the year if it is another one."""
    if day in (today, today + timedelta(days=1)):
        return "today" if day == today else "tomorrow"
    named = f"{_WEEKDAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]}"
    return named if day.year == today.year else f"{named} {day.year}"
