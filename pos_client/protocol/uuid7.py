"""UUID version 7 (RFC 9562): ids that sort by creation time and rise strictly within one generator."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from uuid import UUID

RANDOM_BITS = 74
"""Bits of a version 7 UUID that are neither time, version nor variant: 12 before the variant, 62 after it."""
_STEP_BITS = 32  # large enough that the next id cannot be guessed, small enough for 2**42 ids a millisecond
_TIME_MASK = (1 << 48) - 1
_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
_LOW_BITS = (1 << 62) - 1


def uuid7(milliseconds: int, tail: int) -> UUID:
    """The version 7 UUID of an instant (milliseconds since 1970) and `RANDOM_BITS` of randomness."""
    high = (milliseconds & _TIME_MASK) << 80 | _VERSION | (tail >> 62) << 64
    return UUID(int=high | _VARIANT | (tail & _LOW_BITS))


class Uuid7:
    """Generates UUIDs from a clock (microseconds since 1970) and a source of randomness.

    Ids still rise within one millisecond and after the clock was set back: the random part is then
    incremented by a random step (RFC 9562 §6.2, method 2).
    """

    def __init__(self, clock: Callable[[], int], rng: random.Random) -> None:
        self._clock = clock
        self._random = rng
        self._lock = threading.Lock()  # guards the two fields below
        self._milliseconds = -1
        self._tail = 0

    def __call__(self) -> UUID:
        """The next id."""
        with self._lock:
            now = self._clock() // 1_000
            if now > self._milliseconds:
                self._milliseconds, self._tail = now, self._random.getrandbits(RANDOM_BITS)
            else:
                self._tail += 1 + self._random.getrandbits(_STEP_BITS)
                if self._tail >> RANDOM_BITS:
                    self._milliseconds, self._tail = self._milliseconds + 1, self._random.getrandbits(RANDOM_BITS)
            milliseconds, tail = self._milliseconds, self._tail
        return uuid7(milliseconds, tail)
