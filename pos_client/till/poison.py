"""The search for a poison message: the one posting, among hundreds, that the server cannot take. Pure.

A frame that is refused, or on which the connection dies three times, is halved until one posting is left. A refusal
is definite, so that posting is parked. A dead connection proves nothing, as the server itself may be failing: a
posting is parked only after a neighbour, the witness, got through and it still did not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from pos_client.protocol.units import SECOND_MICROS
from pos_client.till.policy import ALONE_SECONDS, DEATHS_BEFORE_HALVING, DEATHS_BEFORE_PARKING


class Window(NamedTuple):
    """Which pending postings the next frame may hold: at most `most` (None: no limit), after the first `skip`."""

    most: int | None
    skip: int = 0


class PoisonSearch:
    """Which postings are suspects, and what the next frame may hold. Instants are µs of the sender's timer."""

    def __init__(self, alone_seconds: float = ALONE_SECONDS) -> None:
        self._alone_micros = int(alone_seconds * SECOND_MICROS)
        self._cap: int | None = None
        self._suspects = 0  # how many of the next postings are suspects
        self._first: UUID | None = None  # the first posting of the last frame on which the connection died
        self._deaths = 0  # on frames that began with it, since the last halving
        self._died_first_at = 0
        self._accused: UUID | None = None
        self._witnessed = False
        self._calling_witness = False
        self._witnesses_dead = 0
        self._is_alone = True  # no posting is queued behind the accused

    @property
    def is_troubled(self) -> bool:
        """True while a connection has died on a frame or a posting is suspected."""
        return self._first is not None or self._suspects > 0 or self._accused is not None

    def window(self) -> Window:
        """What the next frame may hold."""
        if self._accused is not None:
            return Window(1, 1 + self._witnesses_dead) if self._calling_witness else Window(1)
        return Window(max(1, self._suspects // 2)) if self._suspects else Window(self._cap)

    def no_witness(self) -> None:
        """The window held no witness: try the accused again."""
        self._calling_witness = False
        self._is_alone = self._witnesses_dead == 0
        self._witnesses_dead = 0

    def passed(self, ids: Sequence[UUID], most: int) -> None:
        """A frame was answered; `most` is the server's limit per frame. The frame size doubles up to it."""
        if self._accused is not None and self._accused not in ids:
            self._witnessed, self._calling_witness = True, False
            return
        self._clear(len(ids))
        if not self._suspects and self._cap is not None:
            self._cap = self._cap * 2 if self._cap * 2 < most else None

    def refused(self, ids: Sequence[UUID]) -> UUID | None:
        """A frame was refused for its content; return the posting to park, once it is alone."""
        if len(ids) == 1:
            self._clear(1)
            return ids[0]
        self._suspect(len(ids))
        return None

    def died(self, ids: Sequence[UUID], now: int) -> UUID | None:
        """The connection died on a frame; return the posting to park, once it is known to be the cause."""
        if self._calling_witness and self._accused in ids:
            self._clear(0)  # it is no longer the first: another posting is to be sent again before it
            return None
        if self._accused is not None and self._accused not in ids:
            self._witnesses_dead += 1
            self._calling_witness = self._is_alone = False
            return None
        if ids[0] != self._first:
            self._first, self._deaths, self._died_first_at = ids[0], 0, now
        self._deaths += 1
        if self._deaths < DEATHS_BEFORE_HALVING:
            return None
        if len(ids) > 1:
            self._suspect(len(ids))
            return None
        return self._try_alone(ids[0], now)

    def _try_alone(self, accused: UUID, now: int) -> UUID | None:
        alone_long_enough = self._is_alone and now - self._died_first_at >= self._alone_micros
        if self._deaths >= DEATHS_BEFORE_PARKING and (self._witnessed or alone_long_enough):
            self._clear(1)
            return accused
        self._accused = accused
        self._calling_witness = not self._witnessed
        return None

    def _suspect(self, count: int) -> None:
        self._suspects, self._cap = count, 1
        self._first, self._deaths = None, 0

    def _clear(self, count: int) -> None:
        self._suspects = max(0, self._suspects - count)
        self._first, self._deaths = None, 0
        self._accused, self._witnessed, self._calling_witness, self._witnesses_dead = None, False, False, 0
        self._is_alone = True
