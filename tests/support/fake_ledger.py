"""A ledger in memory for the observer: what it asks of the real one, and what it has noted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from inventory_server.domain.alerts import (
    AlertKey,
    AlertRow,
    DueDelivery,
    ObserverState,
    ProvenLevels,
    TargetState,
    WatchedLevel,
    WatchedTill,
)
from inventory_server.domain.answers import FeedPage, Overview
from inventory_server.domain.requests import (
    ListAlerts,
    ListDue,
    ListExceptions,
    ProveLevels,
    ReadFeed,
    RecordAlerts,
    RecordDelivery,
    ShowObserver,
    ShowOverview,
    StartObserving,
    WatchLevels,
    WatchTills,
)
from inventory_server.observer.ledger import LedgerAway, ObserverReplaced
from pos_client.protocol.feed import ChangedParams, StockChange
from pos_client.protocol.lists import ExceptionsResult, ListedException
from pos_client.protocol.units import QUANTITY_UNIT as ONE
from pos_client.protocol.units import SECOND_MICROS, instant

NOW = 1_700_000_000_000_000


class FakeLedger:
    """A ledger in memory: what the observer asks of the real one, and what it has noted."""

    def __init__(self) -> None:
        self.now, self.seconds = NOW, 0.0
        self.levels: dict[tuple[str, str], WatchedLevel] = {}
        self.feed: list[ChangedParams] = []
        self.tills: list[WatchedTill] = []
        self.causes: list[ListedException] = []
        self.alerts: list[AlertRow] = []
        self.targets: list[TargetState] = []
        self.due: list[DueDelivery] = []
        self.noted: list[Any] = []
        self.mismatches: list[tuple[str, str, str]] = []
        self.position = 0
        self.owner = ""
        self.is_away = False

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        self.now += int(seconds * SECOND_MICROS)

    def sell(self, location: str, sku: str, left: int, point: int | None = 10) -> None:
        scaled_point = None if point is None else point * ONE
        self.levels[location, sku] = WatchedLevel(location, sku, left * ONE, scaled_point)
        at = instant(self.now)
        change = StockChange(location, sku, -1, left, 0, 0, "sale", at, at)
        self.feed.append(ChangedParams(len(self.feed) + 1, [change]))

    def ask(self, question: Any) -> Any:
        if self.is_away:
            raise LedgerAway("the database does not answer")
        match question:
            case ShowObserver():
                return ObserverState(self.owner, self.position, 0, 0, None, self.targets)
            case ListAlerts():
                before = question.before or len(self.alerts) + 1
                return [each for each in reversed(self.alerts) if each.closed_at is None and each.number < before]
            case ReadFeed():
                return FeedPage(len(self.feed), self.feed[question.since :])
            case WatchLevels(keys=None):
                found = sorted(self.levels.items()) if question.after is None else []
                return [level for _, level in found if level.available < (level.reorder_point or 0)]
            case WatchLevels():
                return [self.levels[key] for key in question.keys or () if key in self.levels]
            case WatchTills():
                return self.tills
            case ListExceptions():
                return ExceptionsResult(self.position, len(self.causes), self.causes)
            case ShowOverview():
                return Overview(0, 0, None, len(self.levels), 0, 0, 0, 0, 0, 0, 0, None)
            case ProveLevels():
                return self._proven(question)
            case ListDue():
                return self.due[:1]
        raise AssertionError(question)

    def _proven(self, question: ProveLevels) -> ProvenLevels:
        keys = [key for key in sorted(self.levels) if question.after is None or key > question.after]
        keys = keys[question.skipped :][: question.limit]
        wrong = [each for each in self.mismatches if each[:2] in keys]
        last = keys[-1] if len(keys) == question.limit else None
        return ProvenLevels(self.position, len(keys), wrong, keys[0] if keys else None, last)

    def change(self, change: Any) -> Any:
        if self.is_away:
            raise LedgerAway("no server runs")
        if not isinstance(change, StartObserving) and change.owner != self.owner:
            raise ObserverReplaced("another one")
        self.noted.append(change)
        match change:
            case StartObserving():
                self.owner = change.owner
                return self.position
            case RecordAlerts():
                return self._recorded(change)
            case RecordDelivery():
                self.due = [] if change.error is None else self.due
                return True
        raise AssertionError(change)

    def _recorded(self, change: RecordAlerts) -> list[int]:
        self.position = change.position
        for number in change.closed:
            self.alerts[number - 1] = replace(self.alerts[number - 1], closed_at=self.now)
        numbers = []
        for each in change.opened:
            numbers.append(len(self.alerts) + 1)
            row = AlertRow(numbers[-1], *each.key, change.position, each.since_at, self.now, each.said, None)
            self.alerts.append(row)
        return numbers

    @property
    def open(self) -> list[AlertKey]:
        return [each.key for each in self.alerts if each.closed_at is None]
