"""Frames sent by hand: for what no well-behaved client would send."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec import Raw

from pos_client.protocol.framing import JSOCKET_MAGIC
from tests.support.waiting import HANG_SECONDS


class RawPeer:
    """A connection that sends what it is given. Answers are plain JSON values."""

    def __init__(self, address: tuple[str, int], timeout_seconds: float = HANG_SECONDS) -> None:
        self.socket = socket.create_connection(address, timeout_seconds)
        self._lines = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self.socket.close()

    def send(self, frame: bytes) -> None:
        """Send bytes, a line end included."""
        self.socket.sendall(frame)

    def answer(self) -> Any:
        """The next line, or jsocket frame; OSError where none comes."""
        first = self._lines.read(len(JSOCKET_MAGIC))
        if not first:
            raise ConnectionResetError("no answer")
        if first == JSOCKET_MAGIC:
            length, _ = struct.unpack("!II", self._lines.read(8))
            return msgspec.json.decode(self._lines.read(length))
        return msgspec.json.decode(first + self._lines.readline())

    def ask(self, method: str, **params: Any) -> Any:
        """One request and its answer."""
        self.send(msgspec.json.encode({"method": method, "id": 1, "params": params}) + b"\n")
        return self.answer()

    def hello(self, terminal: str, location: str, **more: Any) -> Any:
        """Say who speaks."""
        return self.ask("hello", terminal=terminal, location=location, **more)


def post_frame(postings: Iterable[tuple[str, bytes]]) -> bytes:
    """A `post` of bodies under ids, without sequence numbers and parent."""
    items = [{"id": posting_id, "body": Raw(body)} for posting_id, body in postings]
    return msgspec.json.encode({"method": "post", "id": 1, "params": {"postings": items}}) + b"\n"


class _Item(msgspec.Struct):
    id: str
    body: Raw


class _Params(msgspec.Struct):
    postings: list[_Item]


class _Frame(msgspec.Struct):
    params: _Params


def postings_of(frame: bytes) -> list[tuple[str, bytes]]:
    """The (id, body) pairs of a recorded `post` frame."""
    return [(item.id, bytes(item.body)) for item in msgspec.json.decode(frame, type=_Frame).params.postings]
