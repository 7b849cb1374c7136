"""One request on a connection of its own, for scripts: text, JSON, or a method of headquarters."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, overload

import msgspec
from msgspec import UNSET

from pos_client.protocol.address import Address, AddressLike, address_of_server
from pos_client.protocol.errors import ConnectionLost
from pos_client.protocol.framing import FramingError, LineFramer
from pos_client.protocol.json_messages import decode_message, encode_message
from pos_client.protocol.messages import HelloParams, Message
from pos_client.protocol.methods import needs_hello
from pos_client.transport.connection import Connection, exact_decoder
from pos_client.transport.limits import REPLY_BYTES_MAX, REPLY_SECONDS
from pos_client.transport.tls_stream import Tls, connect_stream

_SCRIPT_TERMINAL = "script"


@overload
def request_once(address: AddressLike, request: str, *, timeout: float = REPLY_SECONDS, tls: Tls = False) -> str: ...


@overload
def request_once(
    address: AddressLike,
    request: str,
    params: Mapping[str, Any] | Message | None = None,
    timeout: float = REPLY_SECONDS,
    *,
    terminal: str | None = None,
    token: str | None = None,
    tls: Tls = False,
) -> Any: ...


@overload
def request_once(address: AddressLike, request: Any, *, timeout: float = REPLY_SECONDS, tls: Tls = False) -> Any: ...


def request_once(
    address: AddressLike,
    request: Any,
    params: Mapping[str, Any] | Message | None = None,
    timeout: float = REPLY_SECONDS,
    *,
    terminal: str | None = None,
    token: str | None = None,
    tls: Tls = False,
) -> Any:
    """Connect, send one request in a line, read one line of reply, close, and return the reply.

    `request` alone is for any server of lines, such as a RequestServer: a `str` is sent as text, and the reply is text;
    an object or a list is sent as JSON, and the reply is its data.

    With `params` (`{}` for none), `terminal` or `token`, `request` names a method of headquarters, and the result is
    plain data: quantities are exact, `int` or `Decimal`; instants and ids are strings as in the protocol. `params` may
    hold Decimals, datetimes and UUIDs. `hello` is sent first where the method needs it, or a `terminal` or `token` is
    given. Give scripts a terminal of their own with the role reader or operator: a hello as a till fences the till that
    is trading under this name. Raises RequestError for the server's error reply.

    `tls` encrypts: True trusts the system's certificate authorities, a path the authority in that PEM file alone.
    ConnectionLost where the outcome is unknown; `timeout` is in seconds, for all of it.
    """
    if params is not None and not isinstance(params, Mapping | msgspec.Struct):
        raise TypeError(f"params: expected a mapping or a message, got {params!r}; a timeout is given as timeout=")
    deadline = time.monotonic() + timeout
    where = address_of_server(address)
    if params is not None or terminal is not None or token is not None:
        return _ask_headquarters(where, tls, request, params, deadline, terminal, token)
    if isinstance(request, str):
        return _exchange(where, tls, _line_of(request), deadline).decode()
    text = encode_message(request)
    if text[:1] not in (b"{", b"["):
        raise TypeError(f"request: expected text, an object or a list, got {request!r}")
    return decode_message(_exchange(where, tls, text, deadline))


def _ask_headquarters(
    where: Address,
    tls: Tls,
    method: str,
    params: Mapping[str, Any] | Message | None,
    deadline: float,
    terminal: str | None,
    token: str | None,
) -> Any:
    connection = Connection.open(where, _left(deadline), tls=tls)
    try:
        if terminal is not None or token is not None or needs_hello(method):
            hello = HelloParams(terminal or _SCRIPT_TERMINAL, token or UNSET)
            connection.hello(hello, _left(deadline))
        result = connection.ask(method, params, _left(deadline))
    finally:
        connection.close()
    return msgspec.to_builtins(result, builtin_types=(Decimal,), enc_hook=_body)


def _line_of(text: str) -> bytes:
    if not text.strip() or len(text.splitlines()) != 1:
        raise ValueError(f"request: expected one line of text, got {text!r}")
    return text.encode()


def _exchange(where: Address, tls: Tls, line: bytes, deadline: float) -> bytes:
    """The line that answers `line`, without its end."""
    framer = LineFramer(REPLY_BYTES_MAX)
    try:
        stream = connect_stream(where, _left(deadline), _left(deadline), tls)
        try:
            stream.write(line + b"\n", deadline)
            while data := stream.read(deadline):
                for reply in framer.feed(data):
                    return reply
        finally:
            stream.close()
    except (OSError, FramingError) as error:
        raise ConnectionLost(f"The request to {where} failed: {error}.") from error
    raise ConnectionLost(f"The server at {where} closed the connection without a complete reply.")


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _body(value: Any) -> Any:
    """A posting's body, the only raw JSON in a result, as plain data."""
    return exact_decoder.decode(value)
