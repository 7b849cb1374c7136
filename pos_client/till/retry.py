"""`RetryTimer`: when a sender may try again after a failure. It runs on the sender's timer."""

from __future__ import annotations

import random
from collections.abc import Callable

from pos_client.protocol.units import SECOND_MICROS
from pos_client.till.policy import RetryPolicy


class RetryTimer:
    """Exponential back-off after failures, and the waits that HQ asks for. `timer` is a monotonic clock in µs."""

    def __init__(self, policy: RetryPolicy, timer: Callable[[], int], rng: random.Random) -> None:
        self.policy = policy
        self.not_before = 0  # the instant of the next attempt
        self._timer = timer
        self._random = rng
        self._failures = 0
        self._may_be_early = True  # False while HQ has asked for the wait until `not_before`

    @property
    def is_due(self) -> bool:
        """True if the next attempt may be made now."""
        return self._timer() >= self.not_before

    @property
    def is_held(self) -> bool:
        """True during a wait that HQ asked for."""
        return not (self._may_be_early or self.is_due)

    def back_off(self) -> None:
        """Wait longer after each failure, by chance."""
        ceiling = min(self.policy.backoff_max_seconds, self.policy.backoff_first_seconds * 2 ** min(self._failures, 30))
        self._failures += 1
        self.hold(0, ceiling)
        self._may_be_early = True

    def hold(self, least_seconds: float, most_seconds: float) -> None:
        """Wait for a time drawn from that range, even if a caller is in a hurry."""
        self.not_before = self._timer() + int(self._random.uniform(least_seconds, most_seconds) * SECOND_MICROS)
        self._may_be_early = False

    def stay_away(self, *, fenced: bool) -> None:
        """Wait as another device uses this name (`fenced`), or as a person has to change something."""
        self.hold(*(self.policy.fenced_seconds if fenced else self.policy.refused_seconds))

    def hurry(self) -> None:
        """Try now instead of after the back-off. A wait that HQ asked for is kept."""
        if self._may_be_early:
            self.not_before = min(self.not_before, self._timer())

    def succeeded(self) -> None:
        """The next failure is the first one again."""
        self._failures = 0
