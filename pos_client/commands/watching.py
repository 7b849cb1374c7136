"""`stock-query --watch`: a table of stock levels that follows what is posted, and the same as lines of JSON."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime

from msgspec import UNSET, UnsetType, structs

from pos_client.commands import console, stock_report
from pos_client.commands.limits import WATCH_ANEW_SECONDS, WATCH_TURN_SECONDS
from pos_client.commands.table import table_lines
from pos_client.protocol.errors import ConnectionLost, RequestError, TillwireError
from pos_client.protocol.feed import ChangedParams, StockChange
from pos_client.protocol.messages import StockItem, StockParams, StockResult
from pos_client.protocol.printable import escaped
from pos_client.transport.watch import Watch

AskAnew = Callable[[], StockResult]
"""Asks HQ for all levels that are watched."""


class LiveLevels:
    """The levels of an answer, kept up with the feed."""

    def __init__(self, answer: StockResult) -> None:
        self.replace(answer)

    def replace(self, answer: StockResult) -> None:
        """Take a newer answer: it has what no posting changes, such as reservations that expire."""
        self.position = answer.position
        self.completeness = answer.completeness
        self._items = {(item.location or "", item.sku): item for item in answer.items}

    def apply(self, changed: ChangedParams) -> None:
        """Take what a posting changed, unless the answer was of a later position."""
        if changed.position <= self.position:
            return
        self.position = changed.position
        for change in changed.items:
            key = (change.location, change.sku)
            self._items[key] = _changed(self._items.get(key), change)

    @property
    def items(self) -> Iterable[StockItem]:
        """By location and SKU."""
        return (self._items[key] for key in sorted(self._items))


def _changed(before: StockItem | None, change: StockChange) -> StockItem:
    figures = (change.on_hand, change.reserved, change.on_hand - change.reserved, change.in_transit)
    if before is None:
        return StockItem(change.sku, change.location, *figures, last_movement_at=change.effective_at)
    on_hand, reserved, available, in_transit = figures
    moved = [each for each in (before.last_movement_at, change.effective_at) if each is not None]
    return structs.replace(
        before,
        on_hand=on_hand,
        reserved=reserved,
        available=available,
        in_transit=in_transit,
        last_movement_at=max(moved),
    )


def watched(question: StockParams) -> tuple[list[str] | None, list[str] | None]:
    """The locations and SKUs of a question that can be watched; CommandError where it asks for more than these."""
    others = structs.replace(question, skus=UNSET, locations=UNSET, names=UNSET)
    if others != StockParams():
        raise console.CommandError("--watch follows SKUs and locations: leave out the other filters, and dates.")
    skus, locations = question.skus, question.locations
    return (
        None if isinstance(locations, UnsetType) else locations,
        None if isinstance(skus, UnsetType) else skus,
    )


def print_changes(feed: Watch) -> None:
    """Print each item of the feed as a line of JSON, until it is interrupted."""
    for changed in feed:
        console.print_json_line(changed)


def show_live(feed: Watch, ask: AskAnew, levels: LiveLevels) -> None:
    """Show the levels in the terminal as they change, until it is interrupted."""
    asked_at = time.monotonic()
    with console.live_screen() as show:
        while True:
            show(screen(levels, feed.lost, datetime.now(UTC)))
            until = time.monotonic() + WATCH_TURN_SECONDS
            while (left := until - time.monotonic()) > 0:
                if (changed := feed.wait(left)) is not None:
                    levels.apply(changed)
            if feed.lost is None and time.monotonic() - asked_at >= WATCH_ANEW_SECONDS:
                asked_at = time.monotonic()
                with suppress(ConnectionLost, RequestError):  # the feed finds out, too, and says so
                    levels.replace(ask())


def screen(levels: LiveLevels, lost: TillwireError | None, now: datetime) -> list[str]:
    """The lines of the screen: as many levels as fit, how complete they are, and how fresh."""
    size = shutil.get_terminal_size()
    report = stock_report.StockReport(now, None)
    rows = [report.row(item) for item in levels.items]
    told = [report.completeness(place, levels.completeness[place]) for place in sorted(levels.completeness)]
    if lost is None:
        fresh = f"live at {now.astimezone():%H:%M:%S}, position {levels.position}; Ctrl-C ends it"
    else:
        fresh = f"NOT LIVE since position {levels.position}, trying again: {lost}"
    lines = table_lines(stock_report.COLUMNS, rows, size.columns)
    room = max(3, size.lines - len(told) - 3)
    if len(lines) > room:
        lines = [*lines[: room - 1], f"… {len(lines) - room + 1} more lines: name SKUs or locations to see them"]
    return [*lines, *map(escaped, told), escaped(fresh)]
