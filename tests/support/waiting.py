"""How tests wait: for what has to happen, until it is plain that something hangs. No test waits a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable

HANG_SECONDS = 200.0
"""Whatever takes so long hangs: on a machine of its own nothing that is waited for takes a tenth of it."""
_PAUSE_SECONDS = 0.01


def wait_until(condition: Callable[[], object], what: str = "it to come true", seconds: float = HANG_SECONDS) -> None:
    """Return once `condition` holds; fail with `what` was waited for after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(_PAUSE_SECONDS)
