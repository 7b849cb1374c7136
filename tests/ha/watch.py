"""What the tills have read, and when: their journals, followed while they grow."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from uuid import UUID

from tests.faults.harness.journal import Account

STEP_SECONDS = 0.02
"""How exactly the time without service is known."""


class Watch:
    """Follows one journal per till on a thread of its own."""

    def __init__(self, journals: Mapping[str, Path]) -> None:
        self.account = Account()
        self._journals = dict(journals)
        self._heard: dict[str, list[float]] = {name: [] for name in journals}
        self._lock = threading.Lock()  # guards the account and `_heard` while journals are read
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="watch", daemon=True)

    def start(self) -> None:
        """Follow from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Take in what is left, and follow no longer."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.look()

    def look(self) -> None:
        """Take in what the tills have written."""
        with self._lock:
            for name, path in self._journals.items():
                before = len(self.account.answers)
                self.account.read([path])
                if len(self.account.answers) > before:
                    self._heard[name].append(time.monotonic())

    def acknowledged(self) -> set[UUID]:
        """The ids that tills have read an answer for."""
        self.look()
        with self._lock:
            return self.account.acknowledged

    def restated(self) -> int:
        """How many acknowledged postings the ledger had lost, until their tills sent them again."""
        self.look()
        with self._lock:
            return len(self.account.restated)

    def all_heard_since(self, moment: float) -> bool:
        """True where every till has been answered after `moment`."""
        with self._lock:
            return all(heard and heard[-1] > moment for heard in self._heard.values())

    def silences(self, since: float) -> tuple[float, float]:
        """The longest time from then on without an answer for any till, and for the unluckiest one; seconds."""
        with self._lock:
            later = {name: [moment for moment in heard if moment > since] for name, heard in self._heard.items()}
        together = sorted(moment for heard in later.values() for moment in heard)
        return _longest(since, together), max(_longest(since, heard) for heard in later.values())

    def _follow(self) -> None:
        while not self._ended.wait(STEP_SECONDS):
            self.look()


def _longest(since: float, moments: Sequence[float]) -> float:
    return max((later - earlier for earlier, later in pairwise([since, *moments])), default=0.0)
