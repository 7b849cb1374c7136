"""When a business day ends: in zones west and east of UTC, in the night, and where the clocks are changed."""

from __future__ import annotations

from datetime import date

import pytest

from inventory_server.domain.business_day import LAST_DAY, end_of_day, time_zone
from pos_client.protocol.units import instant

ENDS = [
    # day          zone                    hour  its last instant is right before
    ("2026-10-31", "UTC", 0, "2026-11-01T00:00:00+00:00"),
    ("2026-12-31", "UTC", 0, "2027-01-01T00:00:00+00:00"),
    ("2028-02-28", "UTC", 0, "2028-02-29T00:00:00+00:00"),
    ("2026-10-31", "Europe/Berlin", 0, "2026-10-31T23:00:00+00:00"),
    ("2026-07-31", "Europe/Berlin", 0, "2026-07-31T22:00:00+00:00"),
    ("2026-10-31", "America/New_York", 0, "2026-11-01T04:00:00+00:00"),
    ("2026-10-31", "Pacific/Kiritimati", 0, "2026-10-31T10:00:00+00:00"),
    ("2026-10-31", "Pacific/Pago_Pago", 0, "2026-11-01T11:00:00+00:00"),
    ("2026-10-31", "Asia/Kathmandu", 0, "2026-10-31T18:15:00+00:00"),
    ("2026-10-31", "Europe/Berlin", 4, "2026-11-01T03:00:00+00:00"),
    ("2026-10-31", "America/Los_Angeles", 4, "2026-11-01T12:00:00+00:00"),  # that night the clocks went back
    ("2026-10-31", "Europe/Berlin", 11, "2026-11-01T10:00:00+00:00"),
    ("2026-10-31", "Europe/Berlin", 12, "2026-10-31T11:00:00+00:00"),
    ("2026-10-31", "Europe/Berlin", 22, "2026-10-31T21:00:00+00:00"),
    # the clocks go forward at 02:00 on 29 March: a day of 23 hours
    ("2026-03-28", "Europe/Berlin", 0, "2026-03-28T23:00:00+00:00"),
    ("2026-03-29", "Europe/Berlin", 0, "2026-03-29T22:00:00+00:00"),
    ("2026-03-28", "Europe/Berlin", 2, "2026-03-29T01:00:00+00:00"),  # 02:00 is skipped
    ("2026-03-28", "Europe/Berlin", 3, "2026-03-29T01:00:00+00:00"),
    # the clocks go back at 03:00 on 25 October: a day of 25 hours
    ("2026-10-24", "Europe/Berlin", 0, "2026-10-24T22:00:00+00:00"),
    ("2026-10-25", "Europe/Berlin", 0, "2026-10-25T23:00:00+00:00"),
    ("2026-10-24", "Europe/Berlin", 2, "2026-10-25T00:00:00+00:00"),  # 02:00 comes twice
    ("2026-10-24", "Europe/Berlin", 3, "2026-10-25T02:00:00+00:00"),
    # midnight itself is skipped, or comes twice
    ("2026-04-23", "Africa/Cairo", 0, "2026-04-23T22:00:00+00:00"),
    ("2026-10-31", "America/Havana", 0, "2026-11-01T04:00:00+00:00"),
    # a day that Samoa never had
    ("2011-12-29", "Pacific/Apia", 0, "2011-12-30T10:00:00+00:00"),
    ("2011-12-30", "Pacific/Apia", 0, "2011-12-30T10:00:00+00:00"),
    ("2011-12-31", "Pacific/Apia", 0, "2011-12-31T10:00:00+00:00"),
    # before 1970, and the last one
    ("1969-12-30", "UTC", 0, "1969-12-31T00:00:00+00:00"),
    (str(LAST_DAY), "UTC", 0, "9999-12-31T00:00:00+00:00"),
]


@pytest.mark.parametrize(("day", "zone", "hour", "expected"), ENDS)
def test_a_business_day_ends_right_before(day: str, zone: str, hour: int, expected: str) -> None:
    end = end_of_day(date.fromisoformat(day), time_zone(zone), hour)
    assert instant(end + 1).isoformat() == expected


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "Europe", "../UTC", "/etc/passwd", "UTC\x00", "+01:00"])
def test_what_is_no_time_zone_is_said_so(name: str) -> None:
    with pytest.raises(LookupError) as refused:
        time_zone(name)
    assert refused.value.args[0].startswith(f"There is no time zone {name!r} on this machine: expected an IANA name")
