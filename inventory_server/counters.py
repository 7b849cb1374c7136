"""Counts a server's clients: connections by how they ended, refusals by reason."""

from __future__ import annotations

import os
import threading
from collections import Counter

from inventory_server.domain.metrics import ServerMetrics, WriterCounters


class ClientCounters:
    """What was counted since the server began: as connections come and go, and where something is refused."""

    def __init__(self) -> None:
        # Guards all below.
        self._lock = threading.Lock()
        self._opened = 0
        self._ended: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    def opened(self) -> None:
        """Count a connection that was accepted."""
        with self._lock:
            self._opened += 1

    def ended(self, reason: str) -> None:
        """Count the end of a connection."""
        with self._lock:
            self._ended[reason] += 1

    def refused(self, reason: str) -> None:
        """Count a client, or one of its requests, that was refused."""
        with self._lock:
            self._refused[reason] += 1

    def metrics(self, connections: int, writer: WriterCounters) -> ServerMetrics:
        """All that was counted, with how many connections stand and what the writer has counted."""
        with self._lock:
            return ServerMetrics(os.getpid(), connections, self._opened, dict(self._ended), dict(self._refused), writer)
