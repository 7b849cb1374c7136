"""The clocks of a till: one that people set, one that nobody can."""

from __future__ import annotations

import time


def wall_clock() -> int:
    """The machine's clock in microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


def monotonic() -> int:
    """A clock that is never set, in microseconds."""
    return time.monotonic_ns() // 1_000
