"""The JSON-RPC errors of the JSON server's own refusals: a frame too long, no hello, too many connections."""

from __future__ import annotations

import re
from collections.abc import Callable

from inventory_server.jsonserver import MemoryLimitReached, NewcomerEvicted, NotIdentified, ServerRefusal
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.framing import FrameTooLong, FramingError
from pos_client.protocol.wire import encode_error


def refusal_encoder(
    busy_retry_ms: int, on_refusal: Callable[[str], None] = lambda _: None
) -> Callable[[ServerRefusal], bytes]:
    """An encoder of refusals; `busy` tells the client to retry after `busy_retry_ms`.

    `on_refusal` is called with the reason of each, like `connection_limit_reached`.
    """

    def encode(refusal: ServerRefusal) -> bytes:
        on_refusal(_reason(refusal))
        return encode_error(None, _request_error(refusal, busy_retry_ms))

    return encode


def _reason(refusal: ServerRefusal) -> str:
    """The name of a kind of refusal: the words of its class."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(refusal).__name__).lower()


def _request_error(refusal: ServerRefusal, busy_retry_ms: int) -> RequestError:
    if isinstance(refusal, FrameTooLong):
        limit = refusal.limit_bytes
        message = f"A line may have at most {limit} bytes; send fewer postings per frame."
        return RequestError(ErrorCode.too_large, message, limit=limit)
    if isinstance(refusal, FramingError):
        return RequestError(ErrorCode.parse_error, f"The connection cannot be read further: {refusal}.")
    if isinstance(refusal, NotIdentified):
        message = f"Say hello first, in one short line, soon after connecting: {refusal}."
        return RequestError(ErrorCode.unauthenticated, message, expected="hello")
    message = "All connections are taken; try again later."
    if isinstance(refusal, NewcomerEvicted):
        message = "Too many clients connect without a hello; say hello at once, or try again later."
    elif isinstance(refusal, MemoryLimitReached):
        message = "Too many long frames arrive at the same time; try again later."
    return RequestError(ErrorCode.busy, message, retry_after_ms=busy_retry_ms)
