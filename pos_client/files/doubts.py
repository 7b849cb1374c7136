"""Columns that a mapping does not use although they may change what a row means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pos_client.files.limits import TEXTS_KEPT_MAX, VALUES_MAX
from pos_client.files.marks import is_flag, is_no_sale, is_yes, may_be_kind, may_leave_out, plain
from pos_client.files.settings import SalesMapping

_MAY_BE_ZONE = re.compile(r"(time\s?)?zone\Z|tz\Z")
_ZONE = re.compile(r"[A-Z]\w+/\w+|[+-][0-9]{2}:?[0-9]{2}\Z")


@dataclass(slots=True)
class _Watched:
    """A column that is watched: its `values`, and those of them that tell something by themselves."""

    at: int
    name: str
    tells: Callable[[str], bool]
    question: str
    asks_if_several: bool
    values: set[str] = field(default_factory=set)
    shown: dict[str, None] = field(default_factory=dict)
    is_told: bool = False

    def look(self, text: str) -> None:
        if text not in self.values:
            if len(self.values) >= TEXTS_KEPT_MAX:
                self.values.clear()
            self.values.add(text)
            is_telling = self.tells(text)
            if len(self.shown) < VALUES_MAX or (is_telling and not self.is_told):
                self.shown[text] = None
            self.is_told = self.is_told or is_telling

    def is_open(self) -> bool:
        return self.is_told or (self.asks_if_several and len(self.shown) > 1)


class Doubts:
    """The unused columns of a file that may mark rows to leave out, say their kind or hold time zones."""

    def __init__(self, mapping: SalesMapping, header: Sequence[str], used: Sequence[str]) -> None:
        settled = {*used, *mapping.skip, *mapping.ignore}
        self.unused = [name for name in header if name and name not in settled]
        self._watched = [
            found for at, name in enumerate(header) if name not in settled and (found := _watched(at, name)) is not None
        ]
        self.is_watching = bool(self._watched)

    def look(self, cells: Sequence[str]) -> None:
        """Remember what a row has in the columns that are watched."""
        for column in self._watched:
            column.look(cells[column.at].strip())

    def questions(self) -> Iterator[str]:
        """What has to be said about the columns that may change what a row means."""
        for column in self._watched:
            if column.is_open():
                listed = ", ".join(map(repr, column.shown))
                yield column.question.format(name=column.name, listed=listed)


def _watched(at: int, name: str) -> _Watched | None:
    if _MAY_BE_ZONE.fullmatch(plain(name)):
        return _Watched(at, name, lambda text: bool(_ZONE.match(text)), _ZONE_QUESTION, asks_if_several=False)
    if may_leave_out(name):
        flags = is_flag(name)
        return _Watched(
            at, name, lambda text: is_no_sale(text) or (flags and is_yes(text)), _SKIP_QUESTION, asks_if_several=True
        )
    if may_be_kind(name):
        return _Watched(at, name, is_no_sale, _KIND_QUESTION, asks_if_several=False)
    return None


_ZONE_QUESTION = (
    "the column {name!r} may be the time zone of each row ({listed}): "
    'set columns.zone = "{name}", or ignore = ["{name}"]'
)
_SKIP_QUESTION = (
    "the column {name!r} may mark rows to leave out ({listed}): "
    'name their values in [skip] "{name}" = [...], or set ignore = ["{name}"]'
)
_KIND_QUESTION = (
    "the column {name!r} may say which rows are no sales ({listed}): set columns.type and what each value is in "
    '[types], name those to leave out in [skip] "{name}" = [...], or set ignore = ["{name}"]'
)
