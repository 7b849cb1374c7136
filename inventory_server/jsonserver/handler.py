"""The interface between the server and the handler of a connection."""

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
    """The client's end of a connection: its address, for the log, and whether it is on this machine."""

    address: str
    loopback: bool


@dataclass(frozen=True, slots=True)
class EncodedReply:
    """The bytes to send, line end included, possibly none; `close` ends the connection after them."""

    data: bytes
    close: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """Bytes to send before the reply to a frame, line end included: how far the work on it is."""

    data: bytes


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
    """It was refused, as all connections were taken."""
    thread_start_failed = enum.auto()
    """The machine had no thread left for it."""
    handler_failed = enum.auto()
    """The handler raised an exception, which is logged."""


SendReply = Callable[[EncodedReply | Notice | None], None]
"""Takes the reply to one frame, or None for no reply: exactly once, from any thread. Before that it takes notices, from
the thread of the connection only; one that cannot be sent ends the connection, but does not raise."""


class Handler(Protocol):
    """Answers the frames of one connection, one at a time; each is passed in on the connection's thread."""

    def handle(self, frame: bytes, answer: SendReply) -> None:
        """Call `answer` exactly once with the reply to `frame`: before returning, or later from another thread."""

    def close(self, reason: EndReason) -> None:
        """The connection has ended; called once, on its thread."""


class ConnectionLimitReached(TillwireError):
    """All connections are taken; the client may try again later."""


ServerRefusal = FrameTooLong | ConnectionLimitReached
"""Why the server ends a connection itself, with a last line that is not the handler's."""


def encode_refusal(refusal: ServerRefusal) -> bytes:
    """The default last line for `refusal`: a JSON object with `error`."""
    return json.dumps({"error": str(refusal)}).encode() + b"\n"
