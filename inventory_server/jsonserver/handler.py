"""What passes between the line server and whoever answers its frames. Plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection: where it is, for the log, and whether it is on this machine."""

    address: str
    loopback: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """The bytes to send, line end included and empty where there is nothing to say; `close` ends the connection."""

    data: bytes
    close: bool


Answer = Callable[[Reply | None], None]
"""Takes the reply to one frame, None where there is none. Called once, by whichever thread has it."""
