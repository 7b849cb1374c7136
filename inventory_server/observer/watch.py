"""Notices what is alerting: reads the feed from where it was, sweeps over what time alone shows, proves levels."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from inventory_server.clock import Clock
from inventory_server.domain.alerts import (
    AlertKey,
    AlertRow,
    ObserverState,
    OpenedAlert,
    WatchedLevel,
    is_alerting,
    is_short,
)
from inventory_server.domain.answers import FeedPage
from inventory_server.domain.limits import ALERTS_CHANGED_MAX, ALERTS_MAX, LEVELS_WATCHED_MAX
from inventory_server.domain.requests import (
    ListAlerts,
    ListExceptions,
    ReadFeed,
    RecordAlerts,
    ShowObserver,
    StartObserving,
    WatchLevels,
    WatchTills,
)
from inventory_server.observer.conditions import PATIENCE, mismatched, of_exceptions, of_targets, of_tills, short_of
from inventory_server.observer.ledger import LedgerAccess, LedgerAway
from inventory_server.observer.limits import (
    EXCEPTIONS_NOTICED_MAX,
    LEVELS_SWEEP_SECONDS,
    POSITION_SECONDS,
    SWEEP_SECONDS,
)
from inventory_server.observer.proof import BackgroundProof
from pos_client.protocol.lists import ExceptionsParams, ExceptionsResult

log = logging.getLogger("tillwire.observer")


class AlertWatch:
    """Opens and closes the alerts of a ledger as `owner`, and queues their deliveries to `targets`.

    What it remembers between two turns can be lost: the alerts that are open, and the position, are those of the
    ledger, and what is read twice changes nothing. `timer` returns seconds.
    """

    def __init__(
        self,
        ledger: LedgerAccess,
        owner: str,
        targets: Sequence[str],
        clock: Clock,
        proof: BackgroundProof,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._owner = owner
        self._targets = list(targets)
        self._clock = clock
        self._proof = proof
        self._timer = timer
        self._open: dict[AlertKey, AlertRow] = {}
        self._seen: dict[AlertKey, tuple[bool, int]] = {}
        self._position = 0
        self._is_known = False
        self._sweep_due = self._levels_due = self._note_due = timer()

    def start(self) -> None:
        """Observe the ledger from now on; whoever did is refused from then on."""
        self._ledger.change(StartObserving(self._owner))

    def turn(self) -> bool:
        """Look at what is new, and at whatever it is time for; True if more can be read at once.

        LedgerAway or ObserverReplaced where that is not possible; a later turn then begins with what the ledger says.
        """
        try:
            if not self._is_known:
                self._know()
            has_more = self._read_feed()
            self._sweep()
            self._prove()
            if self._timer() >= self._note_due:
                self._note([], [], is_last=True)
                self._note_due = self._timer() + POSITION_SECONDS
        except LedgerAway:
            self._is_known = False
            raise
        return has_more

    def _know(self) -> None:
        """Learn from the ledger how far it was read, and what is open."""
        state: ObserverState = self._ledger.ask(ShowObserver())
        self._position = state.position or 0
        self._open = {}
        before: int | None = None
        while rows := self._ledger.ask(ListAlerts(limit=ALERTS_MAX, before=before)):
            self._open |= {row.key: row for row in rows}
            before = rows[-1].number
        self._is_known = True

    # ------------------------------------------------------------------------------ the feed

    def _read_feed(self) -> bool:
        page: FeedPage = self._ledger.ask(ReadFeed(self._position))
        if page.resume_from is not None:
            log.warning("event=feed_archived position=%d resumed_from=%d", self._position, page.resume_from)
            self._position, self._levels_due = page.resume_from, self._timer()
            return True
        if page.position == self._position:
            return False
        keys = {(item.location, item.sku) for changed in page.changed for item in changed.items}
        opened, closed = self._judged(sorted(keys))
        self._position = page.position
        if opened or closed:
            self._record(opened, closed)
        return True

    def _judged(self, keys: list[tuple[str, str]]) -> tuple[list[OpenedAlert], list[AlertKey]]:
        """The alerts of reorder points to open and to close, of levels that changed."""
        found: dict[tuple[str, str], WatchedLevel] = {}
        for first in range(0, len(keys), LEVELS_WATCHED_MAX):
            levels = self._ledger.ask(WatchLevels(keys[first : first + LEVELS_WATCHED_MAX]))
            found |= {(level.location, level.sku): level for level in levels}
        opened, closed, now = [], [], self._clock()
        for location, sku in keys:
            key, level = AlertKey("reorder_point", location, sku), found.get((location, sku))
            is_open = key in self._open
            is_due = level is not None and is_short(is_open, level.available, level.reorder_point)
            if is_due and not is_open and level is not None:
                opened.append(short_of(level, now))
            elif is_open and not is_due:
                closed.append(key)
        return opened, closed

    # ------------------------------------------------------------------------------ the sweep

    def _sweep(self) -> None:
        if self._timer() >= self._levels_due:
            self._levels_due = self._timer() + LEVELS_SWEEP_SECONDS
            self._record(*self._judged(sorted(self._short_levels())))
        if self._timer() >= self._sweep_due:
            self._sweep_due = self._timer() + SWEEP_SECONDS
            self._record(*self._ripe(self._conditions()))

    def _short_levels(self) -> set[tuple[str, str]]:
        """The levels below their reorder points, and those of which an alert is open."""
        keys = {(key.location, key.subject) for key in self._open if key.kind == "reorder_point"}
        after: tuple[str, str] | None = None
        while levels := self._ledger.ask(WatchLevels(after=after)):
            keys |= {(level.location, level.sku) for level in levels}
            after = levels[-1].location, levels[-1].sku
        return keys

    def _conditions(self) -> list[OpenedAlert]:
        now = self._clock()
        exceptions: ExceptionsResult = self._ledger.ask(ListExceptions(ExceptionsParams(limit=EXCEPTIONS_NOTICED_MAX)))
        state: ObserverState = self._ledger.ask(ShowObserver())
        known = [each for each in state.targets if each.target in self._targets]
        tills = of_tills(self._ledger.ask(WatchTills()), self._open, now)
        return [*tills, *of_exceptions(exceptions.causes), *of_targets(known, now)]

    def _ripe(self, holding: Iterable[OpenedAlert]) -> tuple[list[OpenedAlert], list[AlertKey]]:
        """The alerts to open, whose conditions hold for long enough, and to close, which are over for long enough."""
        now = self._clock()
        held = {each.key: each for each in holding}
        opened, closed = [], []
        watched = {key for key in self._open if key.kind in PATIENCE}
        self._seen = {key: self._since(key, held, now) for key in watched | held.keys()}
        for key, (holds, since) in self._seen.items():
            is_open = key in self._open
            is_due = is_alerting(is_open, holds, since, now, PATIENCE[key.kind])
            if is_due and not is_open:
                opened.append(held[key])
            elif is_open and not is_due:
                closed.append(key)
        return opened, closed

    def _since(self, key: AlertKey, held: dict[AlertKey, OpenedAlert], now: int) -> tuple[bool, int]:
        """Whether a condition holds, and since when: as it says itself, else since it was first seen so."""
        holds = key in held
        before = self._seen.get(key)
        seen = now if before is None or before[0] is not holds else before[1]
        return holds, min(seen, held[key].since_at) if holds else seen

    # ------------------------------------------------------------------------------ the proof

    def _prove(self) -> None:
        proven = self._proof.turn()
        if proven is None:
            return
        wrong = [mismatched(*each, self._clock()) for each in proven.mismatches]
        opened = [each for each in wrong if each.key not in self._open]
        still_wrong = {each.key for each in wrong}
        again = [key for key in self._open if key.kind == "proof_failed" and proven.covers(key.location, key.subject)]
        closed = [key for key in again if key not in still_wrong]
        if opened or closed:
            self._record(opened, closed)

    # ------------------------------------------------------------------------------ noting it

    def _record(self, opened: list[OpenedAlert], closed: list[AlertKey]) -> None:
        """Note alerts with their deliveries, the position, and what was proven; nothing where no alert changes."""
        while opened or closed:
            some, gone = opened[:ALERTS_CHANGED_MAX], closed[:ALERTS_CHANGED_MAX]
            opened, closed = opened[ALERTS_CHANGED_MAX:], closed[ALERTS_CHANGED_MAX:]
            self._note(some, gone, is_last=not (opened or closed))

    def _note(self, opened: list[OpenedAlert], closed: list[AlertKey], is_last: bool) -> None:
        """Note some alerts; the position moves with the last of them, so that a crash between them repeats all."""
        figures: dict[str, Any] = dict(zip(("proven", "mismatches"), self._proof.counted(), strict=True))
        numbers = [self._open[key].number for key in closed]
        position = self._position if is_last else self._noted_position()
        change = RecordAlerts(self._owner, position, opened, numbers, self._targets, **figures)
        opened_numbers: list[int] = self._ledger.change(change)
        self._proof.forget(*figures.values())
        now = self._clock()
        for key in closed:
            log.info("event=alert_closed alert=%d kind=%s", self._open.pop(key).number, key.kind)
        for each, number in zip(opened, opened_numbers, strict=True):
            self._open[each.key] = AlertRow(number, *each.key, position, each.since_at, now, each.said, None)
            log.warning("event=alert_opened alert=%d kind=%s said=%r", number, each.kind, each.said)

    def _noted_position(self) -> int:
        state: ObserverState = self._ledger.ask(ShowObserver())
        return state.position or 0
