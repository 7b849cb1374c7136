"""What passes between the server and a handler of one connection, and what a handler is."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pos_client.protocol.errors import TillwireError
from pos_client.protocol.framing import FrameTooLong


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


class EndReason(enum.StrEnum):
    """Why a connection ended."""

    client_closed = enum.auto()
    """The client closed it."""
    handler_closed = enum.auto()
    """A reply of the handler ended it, as after a goodbye."""
    server_stopped = enum.auto()
    """The server stopped, and everything that had arrived was answered."""
    closed_by_force = enum.auto()
    """The server stopped, and its deadline passed before everything was answered."""
    timed_out = enum.auto()
    """The client sent nothing, took no reply or did not complete a frame in time."""
    connection_lost = enum.auto()
    """The network or the client's machine broke it."""
    frame_too_long = enum.auto()
    """The client sent a frame beyond the limit."""
    connection_limit_reached = enum.auto()
    """It was one connection too many, and refused."""
    thread_start_failed = enum.auto()
    """The machine had no thread for it."""
    handler_failed = enum.auto()
    """The handler raised an exception, which is logged."""


Answer = Callable[[Reply | None], None]
"""Takes the reply to one frame, None where there is none. Called once, by whichever thread has it."""


class Handler(Protocol):
    """Whoever answers the frames of one connection: one at a time, each given on that connection's thread."""

    def handle(self, frame: bytes, answer: Answer) -> None:
        """Call `answer` once with the reply to `frame`: at once, or later from another thread."""

    def close(self, reason: EndReason) -> None:
        """The connection has ended; called once, on its thread."""


class ConnectionLimitReached(TillwireError):
    """The server has as many connections as it may have."""


Refusal = FrameTooLong | ConnectionLimitReached
"""Why the server itself, before or instead of a handler, ends a connection with a last line."""


def encode_refusal(refusal: Refusal) -> bytes:
    """The last line sent for `refusal` where the protocol above has no form of its own: an object with `error`."""
    return json.dumps({"error": str(refusal)}).encode() + b"\n"
