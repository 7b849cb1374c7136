"""`Tick`: a moment by a machine's tick clock, which nobody can set."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from msgspec import UnsetType


class Tick(NamedTuple):
    """`ms` milliseconds after the machine began the boot `boot`."""

    boot: UUID
    ms: int


def tick_of(boot: UUID | UnsetType, tick_ms: int | UnsetType) -> Tick | None:
    """The tick of a message's two fields; None unless both are given."""
    if isinstance(boot, UnsetType) or isinstance(tick_ms, UnsetType):
        return None
    return Tick(boot, tick_ms)
