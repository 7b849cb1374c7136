"""Who calls a connection's handler: a thread of its own, or the loop and a pool that all connections share."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Literal, Protocol

from inventory_server.jsonserver.pool import WorkerPool

Handlers = Literal["thread", "shared"]
"""Who calls the handlers of a server."""
Turn = Callable[[], None]
"""Calls a handler; it raises nothing."""

# Guards the process-wide stack size while a thread with a smaller one is started.
_stack_size_lock = threading.Lock()


class Turns(Protocol):
    """Runs the turns of one connection, one at a time."""

    shares_loop: bool
    """True where a turn that does not wait runs on the loop's thread."""

    def run(self, turn: Turn) -> None:
        """Run a turn that may wait; it is over when the connection says so."""

    def end(self) -> None:
        """No turn comes any more."""


class ThreadTurns:
    """A thread for the connection; RuntimeError where the machine has none left."""

    shares_loop = False

    def __init__(self, name: str, stack_bytes: int) -> None:
        self._turns: queue.SimpleQueue[Turn | None] = queue.SimpleQueue()
        thread = threading.Thread(target=self._run_turns, name=name, daemon=True)
        with _stack_size_lock:
            usual = threading.stack_size(stack_bytes)
            try:
                thread.start()
            finally:
                threading.stack_size(usual)

    def run(self, turn: Turn) -> None:
        """Run `turn` on the thread."""
        self._turns.put(turn)

    def end(self) -> None:
        """End the thread after the turn that is running."""
        self._turns.put(None)

    def _run_turns(self) -> None:
        while (turn := self._turns.get()) is not None:
            turn()


class SharedTurns:
    """What may wait runs in `pool`."""

    shares_loop = True

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    def run(self, turn: Turn) -> None:
        """Run `turn` in the pool."""
        self._pool.run(turn)

    def end(self) -> None:
        """Nothing to end: the pool is the server's."""


class CallersTurns:
    """Everything runs on the loop's thread, which serves this connection alone."""

    shares_loop = False

    def run(self, turn: Turn) -> None:
        """Run `turn` now."""
        turn()

    def end(self) -> None:
        """Nothing to end: the thread is the caller's."""
