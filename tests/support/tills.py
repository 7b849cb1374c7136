"""Waiting, selling and counting for tests with real tills."""

from __future__ import annotations

import time
from collections.abc import Callable

import pos_client
from pos_client import (
    PosClient,
)
from pos_client.till.policy import RetryPolicy
from tests.support.scripted_hq import ScriptedHq

SOON = 60.0
"""Seconds after which a test gives up; nothing here takes that long."""
FAST = RetryPolicy(0.01, 0.05, (0.01, 0.05), (0.01, 0.05), 0.2)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def sell(till: PosClient, count: int = 1) -> list[pos_client.Posting]:
    return [till.sell([(f"s{number}", 1)], reference=f"R-{number}") for number in range(count)]


def assert_each_once(hq: ScriptedHq, postings: list[pos_client.Posting]) -> None:
    for posting in postings:
        assert posting.wait(SOON).status in ("posted", "duplicate")
    assert sorted(hq.posted) == sorted(posting.id for posting in postings)
