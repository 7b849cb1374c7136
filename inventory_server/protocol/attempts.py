"""Failed hellos by address and terminal: each one's answer is put off for longer than the one before."""

from __future__ import annotations

from collections import OrderedDict

from inventory_server.config import (
    HELLO_DELAY_MAX_SECONDS,
    HELLO_DELAY_SECONDS,
    HELLO_FAILURES_MAX,
    HELLO_FAILURES_SECONDS,
)
from pos_client.protocol.units import SECOND_MICROS

_FORGOTTEN_AFTER = round(HELLO_FAILURES_SECONDS * SECOND_MICROS)


class FailedHellos:
    """Counts them, and says how long to put off the answer. One for all sessions of a process, for any thread.

    Only answers wait, not the right token: nobody can lock a till out by guessing.
    """

    def __init__(self) -> None:
        # Of each address and terminal: the last delay, and when that was. Each step of it is atomic.
        self._failed: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def failed(self, host: str, terminal: str, now: int) -> float:
        """The delay in seconds of the answer to a wrong token of `terminal` from `host`; `now` in microseconds."""
        before, at = self._failed.pop((host, terminal), (0.0, now))
        delay = HELLO_DELAY_SECONDS
        if before and 0 <= now - at < _FORGOTTEN_AFTER:
            delay = min(2 * before, HELLO_DELAY_MAX_SECONDS)
        self._failed[host, terminal] = delay, now
        if len(self._failed) > HELLO_FAILURES_MAX:
            self._failed.popitem(last=False)
        return delay
