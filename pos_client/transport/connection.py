"""One connection to HQ over TCP or a Unix socket: requests in order, one at a time, each with a deadline."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from pos_client.protocol import wire
from pos_client.protocol.address import Address
from pos_client.protocol.errors import ConnectionLost, RequestError
from pos_client.protocol.framing import FrameTooLong, LineFramer
from pos_client.protocol.messages import METHODS, HelloParams, HelloResult, Message, Reply, Request

CONNECT_SECONDS = 10.0
"""How long a connection may take to stand."""
REPLY_SECONDS = 30.0
"""How long an answer may take; past it nobody knows what happened to the request."""
REPLY_BYTES_MAX = 64 << 20
"""Longest answer that is read: far above any page of stock levels, far below a till's memory."""

# Keepalive after 30 s of silence, then every 10 s; the third probe without an answer ends the connection.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
_TCP_OPTIONS = {getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)}
_READ_BYTES = 1 << 16
_NO_HELLO_NEEDED = ("hello", "ping", "bye", "rpc.discover")
_SCRIPT_TERMINAL = "script"
_exact_decoder = msgspec.json.Decoder(float_hook=Decimal)


class Connection:
    """A connection that stands. It is used by one thread at a time.

    Every socket error, every deadline and every answer that is not one raises ConnectionLost and closes it:
    what was asked may or may not have happened. A RequestError is HQ's own answer.
    """

    def __init__(self, peer: socket.socket, address: Address) -> None:
        self.address = address
        self._socket = peer
        self._framer = LineFramer(REPLY_BYTES_MAX)
        self._lines: list[bytes] = []
        self._last_id = 0

    @classmethod
    def open(
        cls, address: Address | str, timeout_seconds: float = CONNECT_SECONDS, reply_seconds: float = REPLY_SECONDS
    ) -> Connection:
        """Connect within `timeout_seconds`; bytes that HQ leaves unacknowledged for `reply_seconds` end it."""
        where = Address.parse(address) if isinstance(address, str) else address
        try:
            return cls(_connect(where, timeout_seconds, reply_seconds), where)
        except OSError as error:
            raise ConnectionLost(f"HQ at {where} cannot be reached: {error.strerror or error}.") from error

    def hello(self, params: HelloParams, timeout_seconds: float = REPLY_SECONDS) -> HelloResult:
        """Say who speaks."""
        result = self.request("hello", params, timeout_seconds)
        assert isinstance(result, HelloResult)
        return result

    def request(self, method: str, params: Message | None = None, timeout_seconds: float = REPLY_SECONDS) -> Any:
        """The typed result of a method of the protocol's table; plain data where the table names no type."""
        return self.ask(method, params, timeout_seconds)

    def ask(self, method: str, params: Any, timeout_seconds: float) -> Any:
        """As `request`, for params that may be plain data and methods that the table may not know."""
        raw: Raw | UnsetType = UNSET if params is None else Raw(msgspec.json.encode(params))
        reply = self._exchange(wire.encode(Request(method, raw, self._next_id(), "2.0")), timeout_seconds)
        kind = METHODS[method].result if method in METHODS else None
        try:
            if kind is not None:
                return wire.decode_result(reply, kind)
            return None if isinstance(reply.result, UnsetType) else _exact_decoder.decode(reply.result)
        except (RequestError, msgspec.DecodeError) as error:
            raise self._lost(error) from error

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _exchange(self, frame: bytes, timeout_seconds: float) -> Reply:
        deadline = time.monotonic() + timeout_seconds
        try:
            self._socket.settimeout(timeout_seconds)
            self._socket.sendall(frame)
            reply = self._reply(deadline)
        except (OSError, FrameTooLong, RequestError) as error:  # a RequestError of our own decoder: not HQ's reply
            raise self._lost(error) from error
        if not isinstance(reply.error, UnsetType):
            raise wire.from_error_object(reply.error)
        return reply

    def is_dropped(self) -> bool:
        """True where HQ has closed while nothing was asked; it does not wait."""
        try:
            self._socket.setblocking(False)
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def interrupt(self) -> None:
        """Make a request that waits in another thread fail now."""
        with contextlib.suppress(OSError):  # it is closed already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _reply(self, deadline: float) -> Reply:
        while True:
            reply = wire.decode_reply(self._line(deadline))
            if not isinstance(reply.method, UnsetType):
                continue  # a notification, which nobody here has asked for
            if reply.id != self._last_id and not (reply.id is None and reply.error is not UNSET):
                raise ConnectionResetError(f"HQ answered request {reply.id!r} instead of {self._last_id}")
            return reply

    def _line(self, deadline: float) -> bytes:
        while not self._lines:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer within the deadline")
            self._socket.settimeout(left)
            data = self._socket.recv(_READ_BYTES)
            if not data:
                raise ConnectionResetError("HQ closed the connection")
            self._lines.extend(self._framer.feed(data))
        return self._lines.pop(0)

    def _lost(self, error: Exception) -> ConnectionLost:
        self.close()
        if isinstance(error, RequestError | FrameTooLong | msgspec.DecodeError):
            return ConnectionLost(f"What answers at {self.address} does not speak the protocol: {error}")
        return ConnectionLost(f"The connection to HQ at {self.address} was lost: {error}.")


def request_once(
    address: str,
    method: str,
    params: Mapping[str, Any] | Message | None = None,
    timeout: float = REPLY_SECONDS,
    *,
    terminal: str | None = None,
    token: str | None = None,
) -> Any:
    """Connect, ask one thing, close, and return the result as plain Python data.

    Quantities come as `int` or `Decimal`, exactly; instants and ids as the strings of the protocol. `params`
    may hold Decimals, datetimes and UUIDs. Where the method needs a `hello`, or a `terminal` or `token` is
    given, it is said first. Give scripts a terminal of their own with the role reader or operator: a hello
    as a till fences the till that is trading under this name. Raises RequestError with HQ's refusal, and
    ConnectionLost where nobody knows what happened; `timeout` (seconds) is for the whole of it.
    """
    deadline = time.monotonic() + timeout
    connection = Connection.open(address, timeout)
    try:
        if terminal is not None or token is not None or method not in _NO_HELLO_NEEDED:
            hello = HelloParams(terminal or _SCRIPT_TERMINAL, token or UNSET)
            connection.hello(hello, max(0.0, deadline - time.monotonic()))
        result = connection.ask(method, params, max(0.0, deadline - time.monotonic()))
    finally:
        connection.close()
    return msgspec.to_builtins(result, builtin_types=(Decimal,), enc_hook=_body)


def _body(value: Any) -> Any:
    """The one thing in a result that is neither plain nor typed: a posting's body, as it was sent."""
    return _exact_decoder.decode(value)


def _connect(where: Address, timeout_seconds: float, reply_seconds: float) -> socket.socket:
    if where.path is not None:
        peer = socket.socket(socket.AF_UNIX)
        try:
            peer.settimeout(timeout_seconds)
            peer.connect(where.path)
        except OSError:
            peer.close()
            raise
        return peer
    peer = socket.create_connection((where.host, where.port), timeout_seconds)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _TCP_OPTIONS.items():
        peer.setsockopt(socket.IPPROTO_TCP, option, value)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(reply_seconds * 1_000))
    return peer
