"""What to order: the sum that leads to each line of the order list. Pure and exact: fractions, no floats.

    need = reorder point + (lead time + order cycle) × velocity − available − in transit − marked as ordered

What is positive is ordered, at least the minimum, in whole packs. Quantities are integers of 10⁻⁵, instants integer
microseconds since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta, tzinfo
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from inventory_server.domain.business_day import end_of_day
from inventory_server.domain.limits import COVER_DAYS_MAX, MARK_GRACE_DAYS
from pos_client.protocol.units import QUANTITY_UNIT, instant

_NOON = 12


class DayTrade(NamedTuple):
    """What happened to a product at a location on one business day, by when it took effect; voided postings cancel out.

    `moved` is the sum of all stock movements, `sold` that of sales without what came back.
    """

    moved: int
    sold: int


class Velocity(NamedTuple):
    """How fast a product sells at a location: `sold` in so many business `days`. Unknown if there are no such days."""

    sold: int
    days: int

    @property
    def per_day(self) -> Fraction:
        """What is sold a business day; 0 where it is unknown, or where more came back than was sold."""
        return Fraction(max(self.sold, 0), self.days) if self.days else Fraction(0)

    def cover_days(self, available: int) -> Fraction | None:
        """For how many business days `available` lasts; None if nothing is sold."""
        return Fraction(max(available, 0)) / self.per_day if self.per_day else None


UNKNOWN_VELOCITY = Velocity(0, 0)


def velocity(
    on_hand: int, moved_ever: int, first_counted: int | None, trade: Mapping[int, DayTrade], today: int
) -> Velocity:
    """What was sold on those of the business days 0 to `today` − 1 on which the product was in stock.

    The window is `VELOCITY_DAYS`, 28 days: four of each weekday, so that neither a Saturday nor a day on which the
    shop is closed weighs more than its share. Today is not over and does not count. A day counts if some of the product
    was on the shelf when it began or when it ended, or some was sold: a day without stock says nothing about demand.
    What was on the shelf follows from today's stock, which is the best known: `on_hand` less what has moved since.
    A product that is new counts from the first day on which anything of it moved or was counted.

    `first_counted` is the day of the first count, negative if before the window; `moved_ever` the sum of all movements.
    Deliveries and transfers are stock, not demand: they are in no velocity.
    """
    began = 0
    if moved_ever == sum(day.moved for day in trade.values()) and (first_counted is None or first_counted >= 0):
        began = min([*trade, today if first_counted is None else first_counted])
    sold = days = 0
    nothing = DayTrade(0, 0)
    shelf = on_hand - trade.get(today, nothing).moved
    for day in range(today - 1, began - 1, -1):
        of_day = trade.get(day, nothing)
        at_end, shelf = shelf, shelf - of_day.moved
        sold += of_day.sold
        days += at_end > 0 or shelf > 0 or of_day.sold > 0
    return Velocity(sold, days)


class Terms(NamedTuple):
    """What the catalogue says of ordering a product for a location; None: nothing."""

    reorder_point: int
    supplier: str | None = None
    pack_size: int | None = None
    minimum: int | None = None
    lead_time_days: int | None = None
    order_cycle_days: int | None = None
    order_by_hour: int | None = None

    @property
    def days(self) -> int:
        """The days that an order has to last; what the catalogue does not say adds none."""
        return (self.lead_time_days or 0) + (self.order_cycle_days or 0)


class Supply(NamedTuple):
    """What is there, or on its way: `available` is on hand less reserved, `ordered` what is marked and has not come."""

    available: int
    in_transit: int = 0
    ordered: int = 0

    @property
    def position(self) -> int:
        """All of it together."""
        return self.available + self.in_transit + self.ordered


def need(supply: Supply, terms: Terms, rate: Velocity) -> Fraction:
    """What is missing, in units of 10⁻⁵; nothing has to be ordered unless it is positive."""
    return terms.reorder_point + terms.days * rate.per_day - supply.position


def is_needed(supply: Supply, terms: Terms, rate: Velocity) -> bool:
    """True if `need` is positive, without a fraction: of most products nothing has to be ordered."""
    without_sales = terms.reorder_point - supply.position
    if not rate.days:
        return without_sales > 0
    return without_sales * rate.days + terms.days * max(rate.sold, 0) > 0


def order_quantity(missing: Fraction, terms: Terms) -> int:
    """The least quantity that covers what is `missing` and the minimum, in whole packs.

    Without a pack size (0 is none, too) it is a whole number of units.
    """
    pack = terms.pack_size or QUANTITY_UNIT
    return ceil(max(missing, Fraction(terms.minimum or 0)) / pack) * pack


class OrderTime(NamedTuple):
    """By when to order: on the day `by`, before the instant `by_at`. `is_late`: the hour of the right day has passed.

    `arrives` is the day of the delivery, None without a lead time.
    """

    by: date
    by_at: int
    is_late: bool
    arrives: date | None


def order_time(supply: Supply, terms: Terms, rate: Velocity, now: int, zone: tzinfo) -> OrderTime:
    """When an order has to be placed so that it comes before the stock falls below the reorder point.

    Days are those of the calendar at the location, in its time zone: that is what suppliers go by.
    """
    today, spare = local_day(now, zone), supply.position - terms.reorder_point
    wait = floor(spare / rate.per_day) - (terms.lead_time_days or 0) if spare > 0 and rate.per_day else 0
    right = today + timedelta(days=min(max(wait, 0), terms.order_cycle_days or 0))
    by_at = order_hour(right, terms.order_by_hour, zone)
    is_late = by_at <= now
    day = right + timedelta(days=is_late)
    arrives = None if terms.lead_time_days is None else day + timedelta(days=terms.lead_time_days)
    return OrderTime(day, order_hour(day, terms.order_by_hour, zone) if is_late else by_at, is_late, arrives)


def order_hour(day: date, hour: int | None, zone: tzinfo) -> int:
    """The instant of `hour` o'clock on a calendar day; None: its end. Clocks are changed as `end_of_day` has it."""
    if hour is None:
        return end_of_day(day, zone, 0) + 1
    return end_of_day(day if hour >= _NOON else day - timedelta(days=1), zone, hour) + 1


def local_day(now: int, zone: tzinfo) -> date:
    """The calendar day of an instant in a time zone."""
    return instant(now).astimezone(zone).date()


def runs_out(cover: Fraction | None, today: date) -> date | None:
    """The day on which stock that lasts for `cover` days is used up; None if that is not in sight."""
    if cover is None or cover > COVER_DAYS_MAX:
        return None
    return today + timedelta(days=floor(cover))


class Mark(NamedTuple):
    """So much of a product was marked as ordered for a location at `marked_at`, and is expected on a day."""

    marked_at: int
    quantity: int
    expected: date

    def holds_until(self, zone: tzinfo) -> int:
        """The instant from which it is not waited for any more: two days after the one it was expected on."""
        return end_of_day(self.expected + timedelta(days=MARK_GRACE_DAYS), zone, 0) + 1


def still_ordered(marks: Sequence[Mark], received: Iterable[tuple[int, int]], now: int, zone: tzinfo) -> list[int]:
    """What is still to come of each of `marks`, oldest first.

    `received` are the deliveries, (instant, quantity). Each goes to the oldest mark that was made before it and still
    held then; what is left of it to the next one.
    """
    left = [mark.quantity for mark in marks]
    for at, quantity in sorted(received):
        for number, mark in enumerate(marks):
            if mark.marked_at < at < mark.holds_until(zone) and quantity > 0:
                taken = min(left[number], quantity)
                left[number] -= taken
                quantity -= taken
    return [rest if now < mark.holds_until(zone) else 0 for mark, rest in zip(marks, left, strict=True)]
