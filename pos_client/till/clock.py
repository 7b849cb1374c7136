"""The till's clocks: the wall clock and the monotonic clock, in microseconds."""

from __future__ import annotations

import time


def wall_clock() -> int:
    """The machine's wall clock, in microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


def monotonic() -> int:
    """The monotonic clock, in microseconds."""
    return time.monotonic_ns() // 1_000
