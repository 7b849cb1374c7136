"""A client that watches: a place in the ledger, and what it asked for. It has no buffer."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Protocol

from inventory_server.config import FEED_POSITIONS, FEED_QUIET_SECONDS, FEED_SEND_BYTES
from inventory_server.domain.answers import FeedStart
from inventory_server.domain.requests import ReadFeed
from inventory_server.domain.roles import Actor
from inventory_server.feed.notifications import changed
from inventory_server.feed.ring import Entry
from pos_client.protocol.feed import ChangedParams, StockChange


class WatchingClient(Protocol):
    """The connection of a watcher; each method may be called by any thread, and does not wait."""

    def push(self, lines: bytes) -> bool:
        """Send whole lines between replies; False where the connection has ended."""

    def takes_more(self) -> bool:
        """True where everything pushed so far has been sent."""

    def end_watch(self) -> None:
        """It may watch no longer: end the connection."""


class Watcher:
    """What `client` watches as `actor`, from `start` on. Used by one thread at a time, but for `end`.

    Everything up to `position` has been told, or did not match.
    """

    def __init__(self, client: WatchingClient, start: FeedStart, actor: Actor, now: float) -> None:
        self.client = client
        self.position = start.position
        self.is_catching_up = False
        self._locations, self._skus = start.locations, start.skus
        self._actor = actor
        self._told, self._told_at = start.position, now
        self._said = start.position  # the place that the client knows
        self._is_behind = False
        # Guards `is_over`, so that nothing is sent any more once it has been set.
        self._lock = threading.Lock()
        self.is_over = False

    def end(self, last: bytes = b"") -> None:
        """Send nothing any more, but for a `last` line."""
        with self._lock:
            if last and not self.is_over:
                self.client.push(last)
            self.is_over = True

    def question(self) -> ReadFeed:
        """The page of the ledger that it needs next."""
        return ReadFeed(self.position, self._locations, self._skus, actor=self._actor)

    def tell(self, entries: Iterable[Entry], now: float) -> None:
        """Send what matches among the next entries, up to `FEED_SEND_BYTES`; and, once it has caught up, its place."""
        lines, size, is_cut = [], 0, False
        for entry in entries:
            self.position = entry.params.position
            if line := self._matching(entry):
                lines.append(line)
                self._said = self.position
                size += len(line)
                if is_cut := size >= FEED_SEND_BYTES:
                    break
        has_caught_up, self._is_behind = self._is_behind and not is_cut, self._is_behind and is_cut
        self._send(lines, now, has_caught_up)

    def tell_page(self, matching: list[ChangedParams], position: int, now: float) -> None:
        """Send a page that was read for it; it reaches up to `position`."""
        self.position, self._is_behind = position, True
        if matching:
            self._said = matching[-1].position
        self._send([changed(each) for each in matching], now)

    def _send(self, lines: list[bytes], now: float, has_caught_up: bool = False) -> None:
        is_due = self.position - self._told >= FEED_POSITIONS or now - self._told_at >= FEED_QUIET_SECONDS
        if (is_due and not lines) or (has_caught_up and self.position > self._said):
            lines.append(changed(ChangedParams(self.position, [])))
            self._said = self.position
        if not lines:
            return
        self._told, self._told_at = self.position, now
        data = b"".join(lines)
        with self._lock:
            if not self.is_over:
                self.client.push(data)

    def _matching(self, entry: Entry) -> bytes | None:
        if self._locations is None and self._skus is None:
            return entry.line
        items = [item for item in entry.params.items if self._is_asked(item)]
        if len(items) == len(entry.params.items):
            return entry.line if items else None
        return changed(ChangedParams(entry.params.position, items)) if items else None

    def _is_asked(self, item: StockChange) -> bool:
        is_place = self._locations is None or item.location in self._locations
        return is_place and (self._skus is None or item.sku in self._skus)
