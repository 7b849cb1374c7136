"""Framing: cuts a byte stream into JSON lines, each one frame ended by LF (CRLF is tolerated)."""

from __future__ import annotations

from collections.abc import Iterator

from pos_client.protocol.errors import TillwireError

MAX_FRAME_BYTES = 1 << 20
"""Longest line that is accepted unless configured otherwise, in bytes, the line end included: 500 ordinary baskets."""


class FrameTooLong(TillwireError):
    """A frame exceeds `limit_bytes`, whether or not its end has arrived; the stream cannot be read further."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"a line exceeds {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class LineFramer:
    """Splits a byte stream into lines; buffers at most one frame plus one read."""

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the complete lines, without their ends; FrameTooLong past the limit."""
        if not self._buffer and 0 < data.find(b"\n") + 1 == len(data):
            self._check(len(data))  # fast path: one read is exactly one frame
            yield data.rstrip(b"\r\n")
            return
        self._buffer += data
        while (end := self._buffer.find(b"\n", self._searched)) >= 0:
            self._check(end + 1)
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            self._searched = 0
            yield line
        self._searched = len(self._buffer)
        self._check(self._searched)

    @property
    def pending_bytes(self) -> int:
        """How many bytes of an incomplete frame are buffered."""
        return len(self._buffer)

    def _check(self, size: int) -> None:
        if size > self._max_frame_bytes:
            raise FrameTooLong(self._max_frame_bytes)
