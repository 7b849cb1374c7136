"""A program beside the server is started again when it ends: soon at first, later each time it ends early."""

from __future__ import annotations

from inventory_server.config import KEPT_LONG_SECONDS, KEPT_RESTART_FIRST_SECONDS, KEPT_RESTART_MAX_SECONDS
from inventory_server.keeper import pause_before


def test_the_pause_doubles_up_to_a_limit_and_begins_anew_after_a_long_life() -> None:
    pauses = [0.0]
    for _ in range(8):
        pauses.append(pause_before(pauses[-1], 0.1))
    assert pauses[1] == KEPT_RESTART_FIRST_SECONDS
    assert pauses[2] == 2 * KEPT_RESTART_FIRST_SECONDS
    assert pauses[-1] == KEPT_RESTART_MAX_SECONDS
    assert pause_before(pauses[-1], KEPT_LONG_SECONDS) == KEPT_RESTART_FIRST_SECONDS
