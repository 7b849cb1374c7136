"""What a fork leaves in the child process: it has one thread and copies of all sockets, of which it must use none."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class ClosedInForks(Protocol):
    """What owns sockets, and closes a forked child's copies of them."""

    def abandon(self) -> None:
        """Called in the child: close the copies, and take no lock, since a thread that is not here may hold it."""


closed_in_forks: WeakSet[ClosedInForks] = WeakSet()
"""What is told of a fork. A copy left open would keep a client waiting for a connection that the parent has closed."""


def _abandon_all() -> None:
    for each in list(closed_in_forks):
        each.abandon()


os.register_at_fork(after_in_child=_abandon_all)
