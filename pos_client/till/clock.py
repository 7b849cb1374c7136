"""The till's clocks, in microseconds: the wall clock, the monotonic clock, and the tick clock (milliseconds)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

from pos_client.protocol.tick import Tick
from pos_client.protocol.units import SECOND_MICROS, instant

TickClock = Callable[[], Tick]
"""Returns the present moment of a tick clock."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def wall_clock() -> int:
    """The machine's wall clock, in microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


def monotonic() -> int:
    """The monotonic clock, in microseconds."""
    return time.monotonic_ns() // 1_000


def local_time(microseconds: int) -> datetime:
    """That instant, with the UTC offset of the till's time zone."""
    return instant(microseconds, time.localtime(microseconds // SECOND_MICROS).tm_gmtoff // 60)


def machine_tick_clock(boot_id: Path = _BOOT_ID) -> TickClock:
    """The tick clock of this machine: it counts from the boot, goes on in standby, and cannot be set.

    Without Linux's `boot_id` and CLOCK_BOOTTIME, the clock is this process's own: it starts with a new boot UUID.
    """
    if sys.platform == "linux" and hasattr(time, "CLOCK_BOOTTIME"):
        try:
            boot = UUID(boot_id.read_text().strip())
        except (OSError, ValueError):
            return _process_tick_clock()
        return lambda: Tick(boot, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000)
    return _process_tick_clock()


def _process_tick_clock() -> TickClock:
    own = uuid4()
    return lambda: Tick(own, time.monotonic_ns() // 1_000_000)
