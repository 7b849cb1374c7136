"""The loads that several benchmarks share, each with more frames than any server here answers in the time."""

from __future__ import annotations

from benchmarks import trade
from benchmarks.load import Group

TILLS = 64
DRAINING_TILLS = 8
DRAIN_BATCH = 250
FRAMES_A_SECOND_MAX = 90_000
"""Made beforehand, so that no till runs out of them."""
DRAINED_A_SECOND_MAX = 120_000


def frames(a_second: int, seconds: float, tills: int) -> int:
    """How many frames each of `tills` needs for `seconds`, if all together send `a_second`."""
    return int(a_second * seconds / tills) + 2


def live(seconds: float, tills: int = TILLS, shops: int = len(trade.LOCATIONS), skus: int = len(trade.SKUS)) -> Group:
    """`tills` tills in `shops` locations, each with one sale of 3 of `skus` skus in flight."""
    count = frames(FRAMES_A_SECOND_MAX // 2, seconds, tills)
    return Group("post", "live", tills, count, shops=shops, skus=skus)


def drain(seconds: float, batch: int = DRAIN_BATCH, tills: int = DRAINING_TILLS) -> Group:
    """`tills` tills that send what they have, `batch` sales a frame, one frame in flight."""
    count = frames(min(DRAINED_A_SECOND_MAX, FRAMES_A_SECOND_MAX * batch // 2) // batch, seconds, tills)
    return Group("post", "drain", tills, count, batch=batch)


def asked(seconds: float) -> Group:
    """64 askers of the stock of one sku at one location."""
    return Group("stock", "ask", TILLS, frames(FRAMES_A_SECOND_MAX // 2, seconds, TILLS))
