"""Framing: cuts a byte stream into frames: JSON lines, or the frames of the package jsocket (`JSN1`).

A JSON line ends with LF (CRLF is tolerated). A jsocket frame is the magic `JSN1`, the length of its payload and the
CRC-32 of its payload, each an unsigned 32-bit integer in network byte order, and the payload: one JSON text.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Protocol

from pos_client.protocol.errors import TillwireError

MAX_FRAME_BYTES = 1 << 20
"""Longest frame that is accepted unless configured otherwise, in bytes, the line end included: 500 ordinary baskets."""
BLANK_BYTES_MAX = 4_096
"""Most bytes of blank lines between two frames: they are dropped, and earn neither a reply nor more time."""
JSOCKET_MAGIC = b"JSN1"
"""The first bytes of a jsocket frame; no JSON text begins with them."""
_HEADER = struct.Struct("!4sII")
_SPACE = 0x20
_BLANK_LINES = re.compile(rb"(?:[ \t\r]*+\n)++")


class FramingError(TillwireError):
    """The bytes on a connection are no valid frames; the stream cannot be read further."""


class FrameTooLong(FramingError):
    """A frame exceeds `limit_bytes`, whether or not its end has arrived."""

    def __init__(self, limit_bytes: int, came: str = "a line") -> None:
        super().__init__(f"{came} exceeds {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class TooManyBlankLines(FramingError):
    """More than `BLANK_BYTES_MAX` of blank lines came between two frames."""


class FrameHeaderInvalid(FramingError):
    """A jsocket frame does not begin with `JSN1`, or has no payload."""


class FrameChecksumWrong(FramingError):
    """The payload of a jsocket frame does not have the CRC-32 that its header announces."""


class FrameTruncated(FramingError):
    """The stream ended inside a jsocket frame."""


class Framer(Protocol):
    """Splits a byte stream into frames; buffers at most one frame plus one read."""

    def whole(self, data: bytes) -> bytes | None:
        """The frame, without its framing, if `data` is exactly one and nothing is buffered; else `feed` it."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the complete frames, without their framing; FramingError where there is no next one."""

    @property
    def pending_bytes(self) -> int:
        """How many bytes of an incomplete frame are buffered."""

    def end(self) -> None:
        """The stream has ended: FramingError where that cuts off a frame."""


class LineFramer:
    """Splits a byte stream into lines, blank ones left out; buffers at most one frame plus one read."""

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._blank_bytes = 0

    def whole(self, data: bytes) -> bytes | None:
        """The line, without its end, if `data` is exactly one, which is not blank, and nothing is buffered."""
        if self._buffer or not 0 < data.find(b"\n") + 1 == len(data) <= self._max_frame_bytes or data[0] <= _SPACE:
            return None
        self._blank_bytes = 0
        return data.rstrip(b"\r\n")

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the complete lines, without their ends; FramingError past a limit."""
        if (line := self.whole(data)) is not None:
            yield line
            return
        self._buffer += data
        while True:
            if not self._searched:
                self._drop_blank_lines()
            if (end := self._buffer.find(b"\n", self._searched)) < 0:
                break
            self._check(end + 1)
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            self._searched = 0
            if not line.strip(b" \t\r"):
                continue  # its beginning came before its end: it is dropped now
            del self._buffer[: end + 1]
            self._blank_bytes = 0
            yield line
        self._searched = len(self._buffer)
        self._check(self._searched)

    @property
    def pending_bytes(self) -> int:
        """How many bytes of an incomplete frame are buffered."""
        return len(self._buffer)

    def end(self) -> None:
        """The stream has ended: a line without its end is dropped, as from a client that was cut off."""
        self._buffer.clear()

    def _drop_blank_lines(self) -> None:
        blank = _BLANK_LINES.match(self._buffer)
        if blank is None:
            return
        self._blank_bytes += blank.end()
        del self._buffer[: blank.end()]
        self._searched = 0
        if self._blank_bytes > BLANK_BYTES_MAX:
            raise TooManyBlankLines(f"more than {BLANK_BYTES_MAX} bytes of blank lines between two frames")

    def _check(self, size: int) -> None:
        if size > self._max_frame_bytes:
            raise FrameTooLong(self._max_frame_bytes)


class JsocketFramer:
    """Splits a byte stream into the payloads of jsocket frames; a length is checked before its payload is buffered."""

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._buffer = bytearray()

    def whole(self, data: bytes) -> bytes | None:  # noqa: ARG002 (of LineFramer too)
        """None: a payload is checked in `feed`."""
        return None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the complete payloads; FramingError for a bad header, a payload beyond the limit or a wrong CRC."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            magic, size, checksum = _HEADER.unpack_from(self._buffer)
            self._check(magic, size)
            end = _HEADER.size + size
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            if (actual := zlib.crc32(payload)) != checksum:
                raise FrameChecksumWrong(f"a jsocket frame has CRC-32 {actual:08x}, its header says {checksum:08x}")
            yield payload

    @property
    def pending_bytes(self) -> int:
        """How many bytes of an incomplete frame are buffered."""
        return len(self._buffer)

    def end(self) -> None:
        """The stream has ended; FrameTruncated where that cuts off a frame."""
        if self._buffer:
            raise FrameTruncated(f"the stream ended {len(self._buffer)} bytes into a jsocket frame")

    def _check(self, magic: bytes, size: int) -> None:
        if magic != JSOCKET_MAGIC:
            raise FrameHeaderInvalid(f"expected a jsocket frame, which begins with {JSOCKET_MAGIC!r}, got {magic!r}")
        if size == 0:
            raise FrameHeaderInvalid("expected a JSON text, got a jsocket frame of length 0")
        if size > self._max_frame_bytes:
            raise FrameTooLong(self._max_frame_bytes, f"a jsocket frame of {size} bytes")


def may_become_jsocket(first: bytes) -> bool:
    """True where a stream that begins with `first` does not yet show whether it consists of jsocket frames."""
    return len(first) < len(JSOCKET_MAGIC) and JSOCKET_MAGIC.startswith(first)


def is_jsocket(first: bytes) -> bool:
    """True where a stream that begins with `first` consists of jsocket frames."""
    return first.startswith(JSOCKET_MAGIC)


def jsocket_frame(text: bytes) -> bytes:
    """The jsocket frame of a JSON text; a line end behind it is left out."""
    payload = text.rstrip(b"\r\n")
    return _HEADER.pack(JSOCKET_MAGIC, len(payload), zlib.crc32(payload)) + payload
