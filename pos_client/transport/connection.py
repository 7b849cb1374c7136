"""One connection to a server, over TCP or a Unix socket: requests in order, one at a time, each with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from pos_client.protocol import wire
from pos_client.protocol.address import Address
from pos_client.protocol.errors import ConnectionLost, ErrorCode, HqRefused, RequestError
from pos_client.protocol.framing import FrameTooLong, LineFramer
from pos_client.protocol.messages import HelloParams, HelloResult, Message, Reply, Request
from pos_client.protocol.methods import METHODS, NOTIFICATIONS
from pos_client.transport.limits import CONNECT_SECONDS, REPLY_BYTES_MAX, REPLY_SECONDS
from pos_client.transport.stream import ClientStream
from pos_client.transport.tls_stream import Tls, connect_stream, tls_refusal

exact_decoder = msgspec.json.Decoder(float_hook=Decimal)
"""Decodes JSON whose fractions are exact."""


def assert_not_refused(error: Exception, where: Address) -> None:
    """HqRefused where `error` says that the server has refused the client's TLS certificate, or that it has none."""
    if (reason := tls_refusal(error)) is not None:
        message = (
            f"HQ at {where} accepts no connection with this till's TLS certificate ({reason}): "
            "check the certificate and its days, or ask the operator for a new one."
        )
        raise HqRefused(ErrorCode.unauthenticated, message) from error


class Connection:
    """An open connection, used by one thread at a time, but for `interrupt`.

    A socket error, a missed deadline or an invalid reply closes it and raises ConnectionLost: the outcome of the
    request is unknown. A RequestError is an error reply of the server; the connection stays open, but after HqRefused,
    which is the server's word in TLS.
    """

    def __init__(self, stream: ClientStream, address: Address) -> None:
        self.address = address
        self._stream = stream
        self._framer = LineFramer(REPLY_BYTES_MAX)
        self._lines: list[bytes] = []
        self._last_id = 0

    @classmethod
    def open(
        cls,
        address: Address | str,
        timeout_seconds: float = CONNECT_SECONDS,
        reply_seconds: float = REPLY_SECONDS,
        tls: Tls = False,
    ) -> Connection:
        """Connect within `timeout_seconds`; sent bytes that stay unacknowledged for `reply_seconds` end it.

        `tls` is True, or a file with the only certificate authority to trust, where the server is to prove itself.
        HqRefused where it refuses the certificate in `tls`, or that there is none.
        """
        where = Address.parse(address) if isinstance(address, str) else address
        try:
            return cls(connect_stream(where, timeout_seconds, reply_seconds, tls), where)
        except OSError as error:
            assert_not_refused(error, where)
            raise ConnectionLost(f"HQ at {where} cannot be reached: {error.strerror or error}.") from error

    def hello(self, params: HelloParams, timeout_seconds: float = REPLY_SECONDS) -> HelloResult:
        """Identify the terminal."""
        result = self.request("hello", params, timeout_seconds)
        assert isinstance(result, HelloResult)
        return result

    def request(self, method: str, params: Message | None = None, timeout_seconds: float = REPLY_SECONDS) -> Any:
        """The typed result of a method in the protocol's table; plain data where the table names no type."""
        return self.ask(method, params, timeout_seconds)

    def ask(
        self, method: str, params: Any, timeout_seconds: float, notified: Callable[[Reply], None] = lambda _: None
    ) -> Any:
        """As `request`, but params may be plain data, and the method need not be in the table.

        `notified` is called with each notification that comes before the reply.
        """
        raw: Raw | UnsetType = UNSET if params is None else Raw(msgspec.json.encode(params))
        reply = self._exchange(wire.encode(Request(method, raw, self._next_id(), "2.0")), timeout_seconds, notified)
        kind = METHODS[method].result if method in METHODS else None
        try:
            if kind is not None:
                return wire.decode_result(reply, kind)
            return None if isinstance(reply.result, UnsetType) else exact_decoder.decode(reply.result)
        except (RequestError, msgspec.DecodeError) as error:
            raise self._lost(error) from error

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _exchange(self, frame: bytes, timeout_seconds: float, notified: Callable[[Reply], None]) -> Reply:
        deadline = time.monotonic() + timeout_seconds
        try:
            self._stream.write(frame, deadline)
            reply = self._reply(deadline, notified)
        except (OSError, FrameTooLong, RequestError) as error:  # a RequestError of our own decoder: not HQ's reply
            if tls_refusal(error) is not None:
                self.close()
            assert_not_refused(error, self.address)
            raise self._lost(error) from error
        if not isinstance(reply.error, UnsetType):
            raise wire.from_error_object(reply.error)
        return reply

    def notification(self, timeout_seconds: float) -> Message | None:
        """The params of the next notification; None if none has come by then, or it is none of this edition.

        ConnectionLost where none can come any more.
        """
        try:
            reply = wire.decode_reply(self._line(time.monotonic() + timeout_seconds))
            if isinstance(reply.method, UnsetType):
                raise ConnectionResetError(f"HQ answered request {reply.id!r}, which was not asked")
            kind = NOTIFICATIONS.get(reply.method)
            return None if kind is None else wire.decode_notification(reply, kind)
        except TimeoutError:
            return None
        except (OSError, FrameTooLong, RequestError) as error:
            raise self._lost(error) from error

    def is_dropped(self) -> bool:
        """True where the server has closed while nothing was asked; it does not wait."""
        return self._stream.is_closed_by_server()

    def interrupt(self) -> None:
        """Make a request that waits in another thread fail now."""
        self._stream.shutdown()

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def _reply(self, deadline: float, notified: Callable[[Reply], None]) -> Reply:
        while True:
            reply = wire.decode_reply(self._line(deadline))
            if not isinstance(reply.method, UnsetType):
                notified(reply)
                continue
            if reply.id != self._last_id and not (reply.id is None and reply.error is not UNSET):
                raise ConnectionResetError(f"HQ answered request {reply.id!r} instead of {self._last_id}")
            return reply

    def _line(self, deadline: float) -> bytes:
        while not self._lines:
            data = self._stream.read(deadline)
            if not data:
                raise ConnectionResetError("HQ closed the connection")
            self._lines.extend(self._framer.feed(data))
        return self._lines.pop(0)

    def _lost(self, error: Exception) -> ConnectionLost:
        self.close()
        if isinstance(error, RequestError | FrameTooLong | msgspec.DecodeError):
            return ConnectionLost(f"What answers at {self.address} does not speak the protocol: {error}")
        return ConnectionLost(f"The connection to HQ at {self.address} was lost: {error}.")
