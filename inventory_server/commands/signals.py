"""SIGTERM and Ctrl-C, waited for so that none is missed."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable


def stop_signals() -> Callable[[], None]:
    """From now on SIGTERM and SIGINT do nothing but end the wait, before or after they come, of what is returned.

    Called by the main thread. Python runs a handler between two of its instructions: of a signal that comes after the
    last one before the main thread waits it hears only with the next one. The descriptor is written to at once.
    """
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    signal.set_wakeup_fd(writing.detach(), warn_on_full_buffer=False)  # open for as long as the process lives
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _noted)

    def wait() -> None:
        reading.recv(1)

    return wait


def _noted(_number: int, _frame: object) -> None:
    """What counts is that the descriptor was written to."""
