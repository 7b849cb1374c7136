"""Waiting, selling and counting for tests with real tills."""

from __future__ import annotations

import pos_client
from pos_client import (
    PosClient,
)
from pos_client.till.policy import RetryPolicy
from tests.support.scripted_hq import ScriptedHq
from tests.support.waiting import HANG_SECONDS, wait_until

FAST = RetryPolicy(0.01, 0.05, (0.01, 0.05), (0.01, 0.05), HANG_SECONDS)
"""Tries again at once, and blames no posting for a slow machine."""


def sell(till: PosClient, count: int = 1) -> list[pos_client.Posting]:
    return [till.sell([(f"s{number}", 1)], reference=f"R-{number}") for number in range(count)]


def assert_each_once(hq: ScriptedHq, postings: list[pos_client.Posting]) -> None:
    """Each is at HQ once, in the end, even if HQ refuses the till for a while."""
    for posting in postings:
        wait_until(lambda posting=posting: posting.result is not None)  # type: ignore[misc]
        assert posting.wait(0).status in ("posted", "duplicate")
    assert sorted(hq.ledger) == sorted(posting.id for posting in postings)
