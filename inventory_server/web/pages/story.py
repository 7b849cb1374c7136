"""The story of a product at a location: what happened, when it became known, and what a reader may skip."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from itertools import groupby

from msgspec import UNSET, UnsetType

from inventory_server.domain.questions import History
from inventory_server.web.limits import STORY_ENTRIES_MAX, STORY_WINDOWS_DAYS
from inventory_server.web.pages.figures import ShownFigure, figure
from inventory_server.web.pages.frame import Visit
from inventory_server.web.pages.texts import Texts
from inventory_server.web.pages.times import Times
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.lists import ListedCount
from pos_client.protocol.messages import HistoryEntry, HistoryParams, HistoryResult
from pos_client.protocol.units import SECOND_MICROS, Quantity, instant, micros

_DAY = 86_400 * SECOND_MICROS
_AT_ONCE = 60 * SECOND_MICROS
"""What becomes known within a minute was known at once: a till delivers in batches."""
_LATE = 3_600 * SECOND_MICROS
"""What becomes known more than an hour after it happened was learned late."""
_TELLING = frozenset(("before_count", "negative_stock", "clock_suspect", "clock_corrected"))
"""Flags that keep a sale from being folded."""


@dataclass(frozen=True, slots=True)
class StoryRow:
    """One line of the story: a posting, or several plain sales folded into one."""

    happened: str
    known: str
    is_late: bool
    what: str
    detail: str
    change: ShownFigure | None
    sign: str
    after: ShownFigure
    note: str
    position: str
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """The latest entries, and over how many days; `is_cut`: there are more in the time that the page is about."""

    entries: list[HistoryEntry]
    days: int
    is_cut: bool


def story_of(visit: Visit, sku: str, location: str, now: int) -> Story:
    """The entries of the longest window that is not too long; RequestError `not_found` for one in the archive."""
    for days in STORY_WINDOWS_DAYS:
        is_last = days == STORY_WINDOWS_DAYS[-1]
        found = _read(visit, sku, location, now - days * _DAY, None if is_last else STORY_ENTRIES_MAX)
        if found is not None:
            return Story(list(found), days, days != STORY_WINDOWS_DAYS[0])
    raise AssertionError("the last window is read whatever its length")


def _read(visit: Visit, sku: str, location: str, since: int, most: int | None) -> Iterable[HistoryEntry] | None:
    """The last entries since an instant; None if there are more than `most`."""
    kept: deque[HistoryEntry] = deque(maxlen=STORY_ENTRIES_MAX)
    cursor: str | UnsetType = UNSET
    read = 0
    while True:
        params = HistoryParams(sku, location, from_=instant(since), cursor=cursor)
        page: HistoryResult = visit.ask(History(params=params))
        kept.extend(page.entries)
        read += len(page.entries)
        if page.cursor is None:
            return kept
        if most is not None and read > most:
            return None
        cursor = page.cursor


def effective(entry: HistoryEntry) -> int:
    """When a posting counts (microseconds)."""
    return micros(entry.occurred_at if isinstance(entry.effective_at, UnsetType) else entry.effective_at)


def is_late(entry: HistoryEntry) -> bool:
    """True for what was learned long after it happened."""
    return micros(entry.recorded_at) - effective(entry) > _LATE


def story_rows(
    entries: Iterable[HistoryEntry],
    counts: Mapping[int, ListedCount],
    zone: tzinfo,
    times: Times,
    texts: Texts,
    is_folded: bool,
) -> list[StoryRow]:
    """The lines of the story, the latest that happened first; runs of plain sales are one line if `is_folded`."""
    ordered = sorted(entries, key=lambda entry: (effective(entry), entry.position), reverse=True)
    teller = _Teller(counts, zone, times, texts)
    if not is_folded:
        return [teller.row(entry) for entry in ordered]
    rows: list[StoryRow] = []
    for is_plain, run in groupby(ordered, key=_is_plain):
        found = list(run)
        rows += [teller.folded(found)] if is_plain and len(found) > 1 else [teller.row(entry) for entry in found]
    return rows


def _is_plain(entry: HistoryEntry) -> bool:
    return entry.type == "sale" and not is_late(entry) and _TELLING.isdisjoint(entry.flags)


class _Teller:
    def __init__(self, counts: Mapping[int, ListedCount], zone: tzinfo, times: Times, texts: Texts) -> None:
        self._counts = counts
        self._zone = zone
        self._times = times
        self._texts = texts

    def row(self, entry: HistoryEntry) -> StoryRow:
        """One posting."""
        is_count = entry.type == "count"
        return StoryRow(
            happened=self._times.full(effective(entry), self._zone),
            known=self._known(entry),
            is_late=is_late(entry),
            what=self._texts(f"kind.{entry.type}"),
            detail=", ".join(each for each in (entry.reference, entry.terminal) if each),
            change=figure(entry.quantity, self._texts, signed=not is_count),
            sign="= " if is_count else "",
            after=figure(entry.on_hand_after, self._texts),
            note=self._note(entry),
            position=self._texts.number(entry.position),
        )

    def folded(self, run: list[HistoryEntry]) -> StoryRow:
        """Several plain sales, the latest first."""
        first, last = run[-1], run[0]
        ends = [self._times.full(effective(each), self._zone) for each in (first, last)]
        return StoryRow(
            happened=self._texts("product.from_to", first=ends[0], last=ends[1]),
            known=self._texts("product.known_at_once"),
            is_late=False,
            what=self._texts.many("product.sales", len(run)),
            detail=self._texts("product.folded"),
            change=figure(sum(each.quantity for each in run), self._texts, signed=True),
            sign="",
            after=figure(last.on_hand_after, self._texts),
            note="",
            position="",
            is_folded=True,
        )

    def _known(self, entry: HistoryEntry) -> str:
        delay = micros(entry.recorded_at) - effective(entry)
        if delay <= _AT_ONCE:
            return self._texts("product.known_at_once")
        if not is_late(entry):
            return self._texts("product.known_later", span=self._times.span(delay))
        return self._texts("product.learned", at=self._times.full(micros(entry.recorded_at), self._zone))

    def _note(self, entry: HistoryEntry) -> str:
        count = self._counts.get(entry.position)
        notes = [self._texts(f"flag.{flag}") for flag in entry.flags]
        if count is not None:
            then, now = (figure(each, self._texts, signed=True).text for each in _variances(count))
            key = "product.variance_same" if then == now else "product.variance_changed"
            notes.insert(0, self._texts(key, then=then, now=now))
        return "; ".join(notes)


def _variances(count: ListedCount) -> tuple[Quantity, Quantity]:
    return count.variance_then, count.variance_now


def is_archived(error: RequestError) -> bool:
    """True for the error of what is asked for and is in the archive."""
    return error.code is ErrorCode.not_found
