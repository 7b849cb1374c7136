"""The feed as server-sent events: each position is an event whose id is the position."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.types import Message, Receive, Scope, Send

from inventory_server.config import FEED_READERS
from inventory_server.domain.answers import FeedStart
from inventory_server.domain.door import Outcome
from inventory_server.domain.requests import Question
from inventory_server.domain.roles import User
from inventory_server.feed.feed import Feed
from inventory_server.web.limits import (
    BUSY_RETRY_MS,
    FEED_PIECE_BYTES,
    FEED_RETRY_MS,
    FEED_SECONDS,
    FEED_UNSENT_BYTES_MAX,
    FEEDS_MAX,
    FEEDS_OF_USER_MAX,
)
from inventory_server.web.refusals import busy
from pos_client.protocol.errors import ErrorCode, RequestError

_BEGINNING = b"retry: %d\n\n" % FEED_RETRY_MS
_CHANGED = b'{"jsonrpc":"2.0","method":"changed","params":'
_LAGGING = b'{"jsonrpc":"2.0","method":"lagging","params":'
_POSITION = b'{"position":'
_LAGGING_EVENT = b"event: lagging\n"
_HEADERS = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
"""The latter has nginx pass events on as they come."""


def event_of(line: bytes) -> bytes:
    """A notification of the feed as an event."""
    if line.startswith(_LAGGING):
        return b"%sdata: %s\n\n" % (_LAGGING_EVENT, line[len(_LAGGING) : -1])
    assert line.startswith(_CHANGED), line
    data = line[len(_CHANGED) : -1]
    return b"id: %s\nevent: changed\ndata: %s\n\n" % (data[len(_POSITION) :].partition(b",")[0], data)


def end_of(reason: str) -> bytes:
    """The last event of a stream: what comes next, a reader gets by opening it again."""
    return b'event: end\ndata: {"reason":"%s"}\n\n' % reason.encode()


class Streams:
    """All open feeds of the process; `ask` asks the ledger for the feed. Used on the loop, but for `Feed`'s threads."""

    def __init__(self, ask: Callable[[Question], Outcome]) -> None:
        self._readers = ThreadPoolExecutor(FEED_READERS, "tillwire-feed-reader")
        self.feed = Feed(ask, self._run)
        self._open: dict[Stream, None] = {}
        self._of_user: Counter[str] = Counter()
        self._is_stopping = False
        self.unsent_bytes = 0

    @property
    def is_full(self) -> bool:
        """True while so much waits for readers that nobody who waits gets more."""
        return self.unsent_bytes >= FEED_UNSENT_BYTES_MAX

    def enter(self, stream: Stream) -> None:
        """Take a place; RequestError where none is free, or the process is stopping."""
        if self._is_stopping:
            message = "The web process is stopping; ask its successor."
            raise RequestError(ErrorCode.draining, message, retry_after_ms=BUSY_RETRY_MS)
        if len(self._open) >= FEEDS_MAX:
            raise busy(f"{FEEDS_MAX} feeds are open; close some, or try again later.")
        if self._of_user[stream.user.name] >= FEEDS_OF_USER_MAX:
            raise busy(f"User {stream.user.name} has {FEEDS_OF_USER_MAX} feeds open; close some.")
        self._open[stream] = None
        self._of_user[stream.user.name] += 1

    def leave(self, stream: Stream) -> None:
        """Give the place back."""
        self.feed.unwatch(stream)
        del self._open[stream]
        self._of_user -= Counter((stream.user.name,))

    def end_all(self) -> None:
        """End each feed with a mark; no new one is opened."""
        self._is_stopping = True
        for stream in self._open:
            stream.end("stopping")

    def close(self) -> None:
        """End the threads."""
        self.feed.close()
        self._readers.shutdown()

    def _run(self, read: Callable[[], None]) -> bool:
        self._readers.submit(read)
        return True


class Stream:
    """One open feed, an ASGI response: what `start` says, as `user`."""

    def __init__(self, streams: Streams, start: FeedStart, user: User) -> None:
        self.user = user
        self._streams = streams
        self._start = start
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._waiting: deque[bytes] = deque()
        # Set by the feed's threads before they hand lines over, cleared by the loop once these are sent.
        self._has_lines = False
        self._reason: str | None = None

    # ------------------------------------------------------------------------------ called by the feed's threads

    def push(self, lines: bytes) -> bool:
        """Take whole lines."""
        self._has_lines = True
        try:
            self._loop.call_soon_threadsafe(self._take, lines)
        except RuntimeError:  # the loop has ended
            return False
        return True

    def takes_more(self) -> bool:
        """True where everything has been sent, and there is room for more."""
        return not self._has_lines and not self._streams.is_full

    def end_watch(self) -> None:
        """Nothing more comes: the actor may watch no longer, or the ledger does not answer."""
        self._loop.call_soon_threadsafe(self.end, "over")

    # ------------------------------------------------------------------------------ on the loop

    def end(self, reason: str) -> None:
        """Have the stream end with a mark; what waits is for whoever opens it again."""
        self._reason = self._reason or reason
        self._news.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI)
        """Send the feed until the reader or this process ends it."""
        self._streams.enter(self)
        listening = asyncio.create_task(self._listen(receive))
        try:
            await self._send_all(send)
        finally:
            listening.cancel()
            self._streams.unsent_bytes -= sum(map(len, self._waiting))
            self._streams.leave(self)

    async def _send_all(self, send: Send) -> None:
        until = self._loop.time() + FEED_SECONDS
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send(_part(_BEGINNING))
        self._streams.feed.watch(self, self._start, self.user)
        while (piece := await self._next(until)) is not None:
            await send(_part(piece))
        await send(_part(end_of(self._reason or "over"), more=False))

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            continue
        self.end("gone")

    def _take(self, lines: bytes) -> None:
        """Keep whole events, some together."""
        piece = bytearray()
        for line in lines.splitlines():
            piece += event_of(line)
            if len(piece) >= FEED_PIECE_BYTES:
                self._keep(piece)
                piece = bytearray()
        self._keep(piece)
        self._news.set()

    def _keep(self, piece: bytearray) -> None:
        if piece:
            self._streams.unsent_bytes += len(piece)
            self._waiting.append(bytes(piece))

    async def _next(self, until: float) -> bytes | None:
        """What is to be sent next; None where the stream ends. `until` is when it is to be opened anew."""
        while self._reason is None:
            if self._waiting:
                piece = self._waiting.popleft()
                self._streams.unsent_bytes -= len(piece)
                if piece.startswith(_LAGGING_EVENT):
                    self.end("lagging")
                return piece
            self._has_lines = False
            self._news.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self._news.wait()
            except TimeoutError:
                self.end("renew")
        return None


def _part(body: bytes, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}
