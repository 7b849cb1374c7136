"""A budget in bytes that all connections of a server share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

HolderT = TypeVar("HolderT")


class ByteBudget(Generic[HolderT]):
    """How many bytes each of some holders holds, together at most `most`; for any thread."""

    def __init__(self, most: int, may_end: Callable[[HolderT], bool] = lambda _: True) -> None:
        """`may_end` tells whether a holder may be made to let go."""
        self._most = most
        self._may_end = may_end
        # Guards all below.
        self._lock = threading.Lock()
        self._held: dict[HolderT, int] = {}
        self._total = 0
        self._leaving: set[HolderT] = set()

    def hold(self, holder: HolderT, size: int) -> HolderT | None:
        """Note that `holder` holds `size` bytes from now on; return who has to let go, if all hold too much.

        That is the one that holds the most: an honest client's frame or reply is rarely as long as it may be. It is
        returned once, and does not count any more; it has to hold nothing soon.
        """
        with self._lock:
            if holder in self._leaving:
                if not size:
                    self._leaving.remove(holder)
                return None
            self._note(holder, size)
            if self._total <= self._most:
                return None
            candidates = [each for each in self._held if self._may_end(each)]
            most = max(candidates, key=self._held.__getitem__, default=holder)
            self._note(most, 0)
            self._leaving.add(most)
            return most

    def _note(self, holder: HolderT, size: int) -> None:
        self._total += size - self._held.pop(holder, 0)
        if size:
            self._held[holder] = size
