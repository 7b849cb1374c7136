"""What a connection receives: bytes, cut into frames by the framing that the first of them show."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from inventory_server.jsonserver.first_bytes import choose_framer, shows_framing
from inventory_server.jsonserver.limits import NetworkLimits
from pos_client.protocol.framing import Framer, FramingError, JsocketFramer


class Incoming:
    """The receiving side of a connection; it holds one read and one frame that is not complete, at most."""

    __slots__ = ("_feed", "_first", "_framer", "_limits", "_refusal", "is_at_end", "received_bytes")

    def __init__(self, limits: NetworkLimits) -> None:
        self._limits = limits
        self._first = b""
        self._framer: Framer | None = None
        self._feed: Iterator[bytes] | None = None
        self._refusal: FramingError | None = None
        self.received_bytes = 0
        self.is_at_end = False

    @property
    def is_known(self) -> bool:
        """True once the framing is known."""
        return self._framer is not None

    def whole(self, data: bytes) -> bytes | None:
        """The frame, if `data` that was read is exactly one, as nearly always; otherwise `feed` takes it."""
        if self._framer is None or (frame := self._framer.whole(data)) is None:
            return None
        self.received_bytes += len(data)
        return frame

    @property
    def uses_jsocket(self) -> bool:
        """True where the client sends jsocket frames."""
        return isinstance(self._framer, JsocketFramer)

    @property
    def has_more(self) -> bool:
        """True where `take` may return more frames, or there is a refusal, or the end."""
        return self._feed is not None or self.is_at_end or self._refusal is not None

    @property
    def pending_bytes(self) -> int:
        """How many bytes of an incomplete frame are held."""
        return len(self._first) if self._framer is None else self._framer.pending_bytes

    @property
    def refusal(self) -> FramingError | None:
        """Why there is no next frame, behind those that `take` returns."""
        return self._refusal

    def feed(self, data: bytes) -> None:
        """Add what was read; nothing is the end of the stream. All frames have been taken by then.

        What comes behind a refusal is dropped: the stream cannot be read further.
        """
        self.received_bytes += len(data)
        if not data:
            self.is_at_end = True
        if self._refusal is not None:
            return
        try:
            if self._framer is None:
                data = self._first = self._first + data
                if not (shows_framing(data) or not self._limits.jsocket_frames or self.is_at_end):
                    return
                self._framer, self._first = choose_framer(data, self._limits), b""
            self._feed = self._framer.feed(data)
        except FramingError as error:
            self._refusal = error

    def take(self, most: int) -> list[bytes]:
        """The next frames, at most so many."""
        frames: list[bytes] = []
        if self._feed is None:
            return frames
        try:
            for frame in islice(self._feed, most):
                frames.append(frame)  # noqa: PERF402 (those before an error count)
        except FramingError as error:
            self._refusal, self._feed = error, None
            return frames
        if len(frames) < most:
            self._feed = None
        return frames

    def drop(self) -> None:
        """Drop what is held: nothing more is taken."""
        self._framer = self._feed = None
        self._first = b""

    def end(self) -> None:
        """The stream ends here: a jsocket frame that is cut off is refused."""
        if self._framer is not None and self._refusal is None:
            try:
                self._framer.end()
            except FramingError as error:
                self._refusal = error
