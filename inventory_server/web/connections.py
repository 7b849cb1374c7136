"""What is done to a connection as such: who is too slow, or one too many, is hung up on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextvars import ContextVar

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from inventory_server.web.limits import CONNECTIONS_MAX, HEAD_SECONDS, STALL_SECONDS, WATCH_SECONDS

_connection: ContextVar[GuardedProtocol | None] = ContextVar("connection", default=None)
"""The connection that the running task answers."""


class GuardedProtocol(H11Protocol):
    """Uvicorn's HTTP, which waits neither for ever for a request nor for ever for a reader."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A new connection: if there are too many, one that has not asked anything gives way, or else this one."""
        super().connection_made(transport)
        self._waiting_since = self._taken_at = self.loop.time()
        self._unsent_bytes = 0
        self._watch = self.loop.call_later(WATCH_SECONDS, self._look)
        if len(self.connections) > CONNECTIONS_MAX:
            _oldest_waiting(self.connections, self).abort()  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes: a task that answers them knows its connection."""
        token = _connection.set(self)
        try:
            super().data_received(data)
        finally:
            _connection.reset(token)

    def on_response_complete(self) -> None:
        """The next request may come."""
        self._waiting_since = self._taken_at = self.loop.time()
        super().on_response_complete()

    @property
    def is_waiting(self) -> bool:
        """True while no request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete

    @property
    def waiting_since(self) -> float:
        """Since when no request is being answered, by the clock of the loop."""
        return self._waiting_since

    @property
    def unsent_bytes(self) -> int:
        """Bytes of answers that the reader has not taken."""
        return self.transport.get_write_buffer_size()

    def abort(self) -> None:
        """Hang up now, with what was not taken."""
        self.transport.abort()

    def _look(self) -> None:
        now, unsent = self.loop.time(), self.unsent_bytes
        if not unsent or unsent < self._unsent_bytes or not self.is_waiting:
            self._taken_at = now
        self._unsent_bytes = unsent
        is_idle = self.is_waiting and not unsent and now - self._waiting_since > HEAD_SECONDS
        if is_idle or now - self._taken_at > STALL_SECONDS:
            self.abort()
        else:
            self._watch = self.loop.call_later(WATCH_SECONDS, self._look)


def _oldest_waiting(connections: Iterable[GuardedProtocol], new: GuardedProtocol) -> GuardedProtocol:
    """The connection that has waited longest for a request; `new` if all others are being answered."""
    waiting = [each for each in connections if each is not new and each.is_waiting and not each.transport.is_closing()]
    return min(waiting, key=lambda each: each.waiting_since, default=new)


def unsent_bytes() -> int:
    """Bytes of answers that wait for the readers of all connections of this process's server."""
    connection = _connection.get()
    if connection is None:
        return 0
    return sum(each.transport.get_write_buffer_size() for each in connection.connections)


def abort_connection() -> None:
    """Hang up on the connection that the running task answers."""
    connection = _connection.get()
    if connection is not None:
        connection.abort()
