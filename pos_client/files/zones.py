"""Time zones of files: IANA names and offsets."""

from __future__ import annotations

import re
from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from pos_client.files.settings import MappingError

_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})\Z")


def zone_of(name: str | None) -> tzinfo | None:
    """The time zone of an IANA name or an offset like `+02:00`; MappingError if it is unknown."""
    if name is None:
        return None
    if found := _OFFSET.match(name):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        if offset < timedelta(days=1):
            return timezone(-offset if found[1] == "-" else offset)
    elif name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise MappingError(
            f"Unknown time zone {name!r}: give a name like Europe/London or an offset like +01:00."
        ) from error
