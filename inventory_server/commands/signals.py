"""Waits for SIGTERM or SIGINT (Ctrl-C) without missing one, and acts on other signals meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence


def stop_signals(others: Sequence[signal.Signals] = ()) -> Callable[..., None]:
    """Return `wait(on_other)`, which blocks until SIGTERM or SIGINT, even one that arrives before it is called.

    Called by the main thread. Python runs a signal handler between two of its instructions, so the main thread could
    miss a signal that arrives just before it blocks. The wake-up descriptor is written to at once instead. At each
    of the signals `others` since then, `wait` calls `on_other`.
    """
    reading, writing = os.pipe()  # both stay open for as long as the process lives
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, *others):
        signal.signal(number, _ignore)

    def wait(on_other: Callable[[], None] = lambda: None) -> None:
        while os.read(reading, 1)[0] in others:
            on_other()

    return wait


def _ignore(_number: int, _frame: object) -> None:
    """Keeps the default action, which ends the process, from being taken; the descriptor tells of the signal."""
