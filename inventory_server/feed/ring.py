"""The latest positions of the feed, encoded once for all watchers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from inventory_server.config import FEED_RING_BYTES, FEED_RING_POSITIONS
from inventory_server.feed.notifications import changed
from pos_client.protocol.feed import ChangedParams


class Entry(NamedTuple):
    """A position: what changed, and the same as a line."""

    params: ChangedParams
    line: bytes


class Ring:
    """Every position after `begin` and up to `end`. Used by one thread."""

    def __init__(self, position: int) -> None:
        self.begin = self.end = position
        self._entries: deque[Entry] = deque()
        self._bytes = 0

    def append(self, params: ChangedParams) -> None:
        """Add the next position; the oldest ones leave where it is full."""
        assert params.position == self.end + 1, "the feed has no gaps"
        entry = Entry(params, changed(params))
        self._entries.append(entry)
        self._bytes += len(entry.line)
        self.end = params.position
        while len(self._entries) > FEED_RING_POSITIONS or (self._bytes > FEED_RING_BYTES and len(self._entries) > 1):
            self._bytes -= len(self._entries.popleft().line)
            self.begin += 1

    def after(self, position: int) -> Iterator[Entry]:
        """The entries after a position, which is `begin` or later."""
        return islice(self._entries, position - self.begin, None)
