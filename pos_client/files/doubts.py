"""Columns that a mapping does not use although they may change what a row means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pos_client.files.limits import VALUES_MAX
from pos_client.files.settings import SalesMapping

_MAY_LEAVE_OUT = re.compile(
    r"\b(void(ed)?|cancel(l?ed|lation)?|storn\w+|annul\w*|deleted|training)\b|\b(status|refund(ed)?)\W*\Z"
)
_MAY_BE_ZONE = re.compile(r"(time\s?)?zone\Z|tz\Z")
_ZONE = re.compile(r"[A-Z]\w+/\w+|[+-][0-9]{2}:?[0-9]{2}\Z")


class Doubts:
    """The unused columns of a file that may mark rows to leave out or hold time zones, and their values."""

    def __init__(self, mapping: SalesMapping, header: Sequence[str], used: Sequence[str]) -> None:
        settled = {*used, *mapping.skip, *mapping.ignore}
        self.unused = [name for name in header if name and name not in settled]
        self._watched = []
        for at, name in enumerate(header):
            plain = re.sub(r"[\W_]+", " ", name).strip().casefold()
            if name not in settled and (_MAY_LEAVE_OUT.search(plain) or _MAY_BE_ZONE.fullmatch(plain)):
                self._watched.append((at, name, bool(_MAY_BE_ZONE.fullmatch(plain)), dict[str, None]()))
        self.is_watching = bool(self._watched)

    def look(self, cells: Sequence[str]) -> None:
        """Remember what a row has in the columns that are watched."""
        for at, _, _, values in self._watched:
            if len(values) <= VALUES_MAX:
                values[cells[at].strip()] = None

    def questions(self) -> Iterator[str]:
        """What has to be said about the columns whose values differ."""
        for _, name, is_zone, values in self._watched:
            listed = ", ".join(repr(value) for value in list(values)[:VALUES_MAX])
            if is_zone:
                if any(_ZONE.match(value) for value in values):
                    yield (
                        f"the column {name!r} may be the time zone of each row ({listed}): "
                        f'set columns.zone = "{name}", or ignore = ["{name}"]'
                    )
            elif len(values) > 1:
                yield (
                    f"the column {name!r} may mark rows to leave out ({listed}): "
                    f'name their values in [skip] "{name}" = [...], or set ignore = ["{name}"]'
                )
