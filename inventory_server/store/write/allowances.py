"""What a till may have HQ keep beside its postings: quotas that fill again within a day, counted by each process."""

from __future__ import annotations

import logging
from typing import Literal, get_args

from inventory_server.config import QUOTA_RETRY_MS, Settings
from inventory_server.domain.roles import Speaker
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.units import SECOND_MICROS

log = logging.getLogger("tillwire.store")

Quota = Literal[
    "refused_postings_daily_max", "refused_bytes_daily_max", "unknown_locations_daily_max", "new_skus_daily_max"
]
"""The settings that state how much it is a day."""
_DAY_MICROS = 86_400 * SECOND_MICROS
_KEEPS_NOTHING_MORE: frozenset[Quota] = frozenset(("refused_bytes_daily_max",))
"""Quotas after which postings are still judged, and less is kept of them."""


class Allowances:
    """What each till has used of its quotas. Other roles have none: operators import catalogues and old sales."""

    def __init__(self, settings: Settings) -> None:
        self._most: dict[Quota, int] = {quota: getattr(settings, quota) for quota in get_args(Quota)}
        self._used: dict[tuple[str, Quota], tuple[int, int]] = {}  # how much, as of when (µs)

    def charge(self, speaker: Speaker, quota: Quota, amount: int, now: int) -> None:
        """Note that a till has used some of a quota; it is logged when it has used it up."""
        if speaker.role != "till" or not amount:
            return
        before = self._of(speaker.terminal, quota, now)
        self._used[speaker.terminal, quota] = (before + amount, now)
        if before < self._most[quota] <= before + amount:
            log.warning("event=quota_used_up terminal=%s quota=%s", speaker.terminal, quota)

    def is_used_up(self, speaker: Speaker, quota: Quota, now: int) -> bool:
        """True if nothing is left of a quota."""
        return (speaker.terminal, quota) in self._used and self._of(speaker.terminal, quota, now) >= self._most[quota]

    def assert_left(self, speaker: Speaker, now: int) -> None:
        """RequestError `busy` for a till that has used up a quota: some of it is free again after a while."""
        if not self._used:
            return
        for quota, most in self._most.items():
            if quota not in _KEEPS_NOTHING_MORE and self.is_used_up(speaker, quota, now):
                message = (
                    f"Terminal {speaker.terminal} has used up {quota} ({most:,}): look into what it posts, or have the "
                    "operator raise that setting. Some of it is free again in a minute."
                )
                raise RequestError(ErrorCode.busy, message, retry_after_ms=QUOTA_RETRY_MS)

    def _of(self, terminal: str, quota: Quota, now: int) -> int:
        used, at = self._used.get((terminal, quota), (0, now))
        return max(0, used - self._most[quota] * max(0, now - at) // _DAY_MICROS)
