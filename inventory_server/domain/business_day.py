"""Business days: when a location's day ends, in its time zone. Pure, except that zones are read from the system."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pos_client.protocol.units import SECOND_MICROS, instant

UTC_NAME = "UTC"
"""The time zone of a location for which nobody has set one."""
FIRST_DAY, LAST_DAY = date.min + timedelta(days=2), date.max - timedelta(days=1)
"""The first day that has a beginning, and the last that has an end."""
_NOON = 12
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (local times are subtracted from it)


def time_zone(name: str) -> tzinfo:
    """The zone with an IANA name; LookupError if there is none."""
    if name == UTC_NAME:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # a path or a folder is no zone either
        raise LookupError(
            f"There is no time zone {name!r} on this machine: expected an IANA name like Europe/Paris (the system's "
            "tzdata, or the package tzdata, lists them)."
        ) from error


def end_of_day(day: date, zone: tzinfo, ends_hour: int) -> int:
    """The last instant, in microseconds since 1970, of a location's business `day`, which is at most `LAST_DAY`.

    It ends before `ends_hour` o'clock: before noon that is an hour of the night to the next calendar day (0: midnight),
    from noon on one of the day itself. Where the clocks skip that hour, the day ends as they skip it; where the hour
    comes twice, it ends before the first.
    """
    end = datetime.combine(day + timedelta(days=ends_hour < _NOON), time(ends_hour))
    offset = end.replace(tzinfo=zone).utcoffset() or timedelta()
    return (end - _EPOCH - offset) // timedelta(seconds=1) * SECOND_MICROS - 1


class BusinessDays:
    """The business days of a location."""

    def __init__(self, zone: tzinfo, ends_hour: int) -> None:
        self._zone = zone
        self._hour = ends_hour
        self._ends: dict[date, int] = {}

    @property
    def zone(self) -> tzinfo:
        """The time zone of the location."""
        return self._zone

    def end(self, day: date) -> int:
        """The last instant of a business day, as `end_of_day`."""
        if day not in self._ends:
            self._ends[day] = end_of_day(day, self._zone, self._hour)
        return self._ends[day]

    def of(self, microseconds: int) -> date:
        """The business day of an instant."""
        day = instant(microseconds).date()
        day = min(max(day, FIRST_DAY), LAST_DAY - timedelta(days=1))
        while microseconds > self.end(day):
            day += timedelta(days=1)
        while microseconds <= self.end(day - timedelta(days=1)):
            day -= timedelta(days=1)
        return day


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time; None: no bound. Instants are microseconds: `since` ≤ instant < `until`.

    A date is the beginning or the end of that business day at each location.
    """

    since: int | date | None = None
    until: int | date | None = None
