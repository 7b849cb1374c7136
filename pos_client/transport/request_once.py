"""One request on a connection of its own, for scripts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET

from pos_client.protocol.messages import HelloParams, Message, needs_hello
from pos_client.transport.connection import Connection, exact_decoder
from pos_client.transport.limits import REPLY_SECONDS

_SCRIPT_TERMINAL = "script"


def request_once(
    address: str,
    method: str,
    params: Mapping[str, Any] | Message | None = None,
    timeout: float = REPLY_SECONDS,
    *,
    terminal: str | None = None,
    token: str | None = None,
) -> Any:
    """Connect, send one request, close, and return the result as plain Python data.

    Quantities are exact, `int` or `Decimal`; instants and ids are strings as in the protocol. `params` may hold
    Decimals, datetimes and UUIDs. `hello` is sent first where the method needs it, or a `terminal` or `token` is
    given. Give scripts a terminal of their own with the role reader or operator: a hello as a till fences the till
    that is trading under this name. Raises RequestError for the server's error reply, and ConnectionLost where the
    outcome is unknown; `timeout` is in seconds, for all of it.
    """
    deadline = time.monotonic() + timeout
    connection = Connection.open(address, timeout)
    try:
        if terminal is not None or token is not None or needs_hello(method):
            hello = HelloParams(terminal or _SCRIPT_TERMINAL, token or UNSET)
            connection.hello(hello, max(0.0, deadline - time.monotonic()))
        result = connection.ask(method, params, max(0.0, deadline - time.monotonic()))
    finally:
        connection.close()
    return msgspec.to_builtins(result, builtin_types=(Decimal,), enc_hook=_body)


def _body(value: Any) -> Any:
    """A posting's body, the only raw JSON in a result, as plain data."""
    return exact_decoder.decode(value)
