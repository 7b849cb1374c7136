"""HQ's clock, a parameter of every part: a function that returns microseconds since 1970 UTC."""

from __future__ import annotations

import time
from collections.abc import Callable


def now_microseconds() -> int:
    """HQ's clock: microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


Clock = Callable[[], int]
"""Microseconds since 1970-01-01T00:00:00Z."""
