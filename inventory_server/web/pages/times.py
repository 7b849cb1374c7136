"""Instants as people say them, in the time zone of a location."""

from __future__ import annotations

from datetime import date, timedelta, tzinfo

from inventory_server.domain.business_day import UTC_NAME, time_zone
from inventory_server.web.pages.texts import Texts
from pos_client.protocol.units import SECOND_MICROS, instant

_WEEK = timedelta(days=7)
_MINUTE = 60
_HOUR = 3_600
_DAY = 86_400


def zone_of(name: str) -> tzinfo:
    """The zone of a location; UTC, whose name is then shown, where this machine does not know it."""
    try:
        return time_zone(name)
    except LookupError:
        return time_zone(UTC_NAME)


class Times:
    """How instants (microseconds since 1970 UTC) are said at `now`."""

    def __init__(self, now: int, texts: Texts) -> None:
        self.now = now
        self._texts = texts

    def short(self, at: int, zone: tzinfo) -> str:
        """As short as it is clear: `07:42` today, `Mon 18:51` within a week, else the date."""
        then, today = instant(at).astimezone(zone), instant(self.now).astimezone(zone)
        clock = f"{then:%H:%M}"
        if then.date() == today.date():
            return clock
        if timedelta() < today.date() - then.date() < _WEEK:
            return self._texts("time.day_clock", day=self._days()[then.weekday()], clock=clock)
        return self.date_of(then.date(), today.date())

    def day(self, at: int, zone: tzinfo) -> str:
        """The day: `today`, else the date."""
        then, today = instant(at).astimezone(zone), instant(self.now).astimezone(zone)
        if then.date() == today.date():
            return self._texts("time.today")
        return self.date_of(then.date(), today.date())

    def clock(self, at: int, zone: tzinfo) -> str:
        """The time of day."""
        return f"{instant(at).astimezone(zone):%H:%M}"

    def day_named(self, day: date, today: date) -> str:
        """A calendar day: today, tomorrow, else with its weekday."""
        if day == today:
            return self._texts("time.today")
        if day == today + timedelta(days=1):
            return self._texts("time.tomorrow")
        return self._texts("time.day_date", day=self._days()[day.weekday()], date=self.date_of(day, today))

    def date_of(self, day: date, today: date) -> str:
        """A calendar day, with the year if it is another one than today's."""
        month = self._texts.listed("time.months_short")[day.month - 1]
        named = self._texts("time.date", day=day.day, month=month)
        return named if day.year == today.year else f"{named} {day.year}"

    def full(self, at: int, zone: tzinfo) -> str:
        """Day and time, as a story needs it: `Mon 16 Mar 19:44`, in another year with the year."""
        then, today = instant(at).astimezone(zone), instant(self.now).astimezone(zone)
        day = self._texts(
            "time.day_date", day=self._days()[then.weekday()], date=self.date_of(then.date(), today.date())
        )
        return f"{day} {then:%H:%M}"

    def long(self, at: int, zone: tzinfo) -> str:
        """In full: `Tuesday 17 March 2026, 07:42`."""
        then = instant(at).astimezone(zone)
        day, month = (
            self._texts.listed("time.weekdays")[then.weekday()],
            self._texts.listed("time.months")[then.month - 1],
        )
        return self._texts("time.long", weekday=day, day=then.day, month=month, year=then.year, clock=f"{then:%H:%M}")

    def span(self, micros: int) -> str:
        """How long something took, in its largest unit or two."""
        seconds = abs(micros) // SECOND_MICROS
        if seconds < _MINUTE:
            return self._texts("time.seconds", count=seconds)
        if seconds < _HOUR:
            return self._texts("time.minutes", count=seconds // _MINUTE)
        if seconds < _DAY:
            return self._texts("time.hours", hours=seconds // _HOUR, minutes=seconds % _HOUR // _MINUTE)
        return self._texts.many("time.days", seconds // _DAY)

    def _days(self) -> list[str]:
        return self._texts.listed("time.days_short")
