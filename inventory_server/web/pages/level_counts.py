"""How many levels each filter has, remembered for a moment: on a busy ledger it takes as long as the page itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from msgspec import structs

from inventory_server.domain.levels import LevelsPage, ListLevels
from inventory_server.web.limits import COUNTED_KEPT_MAX, COUNTED_SECONDS


class _Counted(NamedTuple):
    at: float
    counts: Mapping[str, int]
    unsure: int


class LevelCounts:
    """The counts of the latest searches, for many threads; `clock` is in seconds and never goes back.

    They are up to `COUNTED_SECONDS` old.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[str | None, ...], _Counted] = {}
        """Guarded by `_lock`; questions are asked outside."""

    def ask(self, ask: Callable[[ListLevels], LevelsPage], question: ListLevels) -> LevelsPage:
        """The page of a question with its counts."""
        key, now = (question.search, question.location, question.supplier), self._clock()
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and now - kept.at < COUNTED_SECONDS:
            page = ask(structs.replace(question, is_counted=False))
            return replace(page, counts=kept.counts, unsure=kept.unsure)
        page = ask(question)
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = _Counted(now, page.counts, page.unsure)
            while len(self._kept) > COUNTED_KEPT_MAX:
                del self._kept[next(iter(self._kept))]
        return page
