"""`Watch`: follows the feed of changes on a connection of its own, and connects again where it is lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import msgspec
from msgspec import UNSET

from pos_client.protocol.address import Address
from pos_client.protocol.errors import ConnectionLost, FeedArchived, RequestError, TillwireError
from pos_client.protocol.feed import ChangedParams, LaggingParams, WatchParams, WatchResult
from pos_client.protocol.messages import HelloParams
from pos_client.transport.connection import Connection
from pos_client.transport.limits import (
    CONNECT_SECONDS,
    FEED_BACKOFF_FIRST_SECONDS,
    FEED_BACKOFF_MAX_SECONDS,
    FEED_SILENCE_SECONDS,
    REPLY_SECONDS,
)
from pos_client.transport.tls_stream import Tls


class Watch(Iterator[ChangedParams]):
    """What every posting did to stock, as it is committed: iterate over it, in a thread of its own.

    Each item has the `position` of a posting and its `items`, one `StockChange` for each stock level; every position
    that matches comes once, in order. An item without `items` only says how far the feed has come: at least every 1,000
    positions, or every 30 seconds. Store what you make of an item together with its position, and after a restart go on
    from there: `Watch("hq", terminal="screen", since=position)`. Without `since` it begins with what comes next.

    `locations` and `skus` narrow it. Give it a terminal of its own with the role reader: a hello as a till fences the
    till that is trading under this name, and shows its own location alone. A lost connection is made again and the feed
    goes on where it was. RequestError where HQ refuses, FeedArchived where what comes next is in the archive.
    `tls` encrypts: True trusts the system's certificate authorities, a path the authority in that PEM file alone.
    """

    def __init__(
        self,
        address: str,
        *,
        terminal: str,
        token: str | None = None,
        since: int | None = None,
        locations: Sequence[str] | None = None,
        skus: Sequence[str] | None = None,
        tls: Tls = False,
        app: str = "tillwire pos_client",
    ) -> None:
        for name, given in (("locations", locations), ("skus", skus)):
            if isinstance(given, str):
                raise TypeError(f"{name}: expected a list of texts, got the text {given!r}; write [{given!r}]")
        self._address = Address.parse(address)
        self._hello = HelloParams(terminal, token or UNSET, app=app)
        self._asked = WatchParams(
            locations=UNSET if locations is None else list(locations), skus=UNSET if skus is None else list(skus)
        )
        self._tls = tls
        self.position = since
        """Everything up to it has been told, or did not match; None before HQ has answered without `since`."""
        self.lost: TillwireError | None = None
        """Why there is no connection; None while there is one."""
        # Guards `_connection` against `close` by another thread.
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        # Held by the thread that waits: it alone reads, and closes what it reads from.
        self._waiting = threading.Lock()
        self._is_closed = threading.Event()
        self._rng = random.SystemRandom()
        self._pause = FEED_BACKOFF_FIRST_SECONDS
        self._heard_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the feed; a thread that waits for its next item sees its end. Any thread may call it."""
        self._is_closed.set()
        with self._lock:
            if self._connection is not None:
                self._connection.interrupt()
        if self._waiting.acquire(blocking=False):  # otherwise the waiting thread hangs up
            try:
                self._hang_up()
            finally:
                self._waiting.release()

    def __next__(self) -> ChangedParams:
        """The next item; waits for it as long as it takes."""
        while not self._is_closed.is_set():
            if (item := self.wait(FEED_SILENCE_SECONDS)) is not None:
                return item
        raise StopIteration

    def wait(self, timeout: float) -> ChangedParams | None:
        """The next item; None if none has come within `timeout` seconds, or the feed was closed."""
        with self._waiting:
            item = self._wait(time.monotonic() + timeout)
            if self._is_closed.is_set():
                self._hang_up()
            return item

    def _wait(self, deadline: float) -> ChangedParams | None:
        while not self._is_closed.is_set():
            left = max(0.0, deadline - time.monotonic())
            try:
                item = self._read(min(left, FEED_SILENCE_SECONDS))
            except (ConnectionLost, RequestError) as error:
                self._drop(error)
                self._is_closed.wait(min(self._rng.uniform(0, self._pause), left))
                self._pause = min(2 * self._pause, FEED_BACKOFF_MAX_SECONDS)
            else:
                if item is not None or not left:
                    return item
            if not left:
                return None
        return None

    def _read(self, seconds: float) -> ChangedParams | None:
        """The next item, None if none has come within so many seconds."""
        connection = self._connected()
        told = connection.notification(seconds)
        now = time.monotonic()
        if told is not None:
            self._heard_at, self._pause = now, FEED_BACKOFF_FIRST_SECONDS
        elif now - self._heard_at >= FEED_SILENCE_SECONDS:
            raise ConnectionLost(f"HQ at {self._address} has told nothing for {FEED_SILENCE_SECONDS:.0f} seconds.")
        if isinstance(told, LaggingParams):
            self._is_closed.set()
            self._hang_up()
            raise FeedArchived(told.resume_from)
        if isinstance(told, ChangedParams):
            self.position = told.position
            return told
        return None

    def _connected(self) -> Connection:
        """The connection, made anew where there is none."""
        if self._connection is not None:
            return self._connection
        connection = Connection.open(self._address, CONNECT_SECONDS, REPLY_SECONDS, self._tls)
        with self._lock:
            self._connection = connection
        if self._is_closed.is_set():
            connection.interrupt()
        connection.hello(self._hello)
        since = UNSET if self.position is None else self.position
        result = connection.request("watch", msgspec.structs.replace(self._asked, from_=since))
        assert isinstance(result, WatchResult)
        self.position, self.lost, self._heard_at = result.position, None, time.monotonic()
        return connection

    def _drop(self, error: TillwireError) -> None:
        """Hang up because of `error`; raise it if HQ refuses for good."""
        self._hang_up()
        self.lost = error
        if isinstance(error, RequestError) and not error.retryable:
            self._is_closed.set()
            raise error

    def _hang_up(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
