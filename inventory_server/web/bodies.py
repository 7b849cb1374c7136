"""Bodies of requests: read whole, up to a limit and within a deadline."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from inventory_server.web.limits import BODY_SECONDS
from pos_client.protocol.decode_errors import request_error
from pos_client.protocol.errors import ErrorCode, RequestError

T = TypeVar("T")


async def body_of(request: Request, most_bytes: int) -> bytes:
    """The body of `request`; RequestError `too_large` beyond `most_bytes`, which is told before it is read."""
    said = request.headers.get("content-length", "0")
    if said.isascii() and said.isdigit() and int(said) > most_bytes:
        raise _too_large(most_bytes)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(request, most_bytes)
    except TimeoutError as error:
        message = f"The body did not arrive within {BODY_SECONDS:.0f} s: send it faster, or less at once."
        raise RequestError(ErrorCode.invalid_request, message, status=408) from error
    except ClientDisconnect as error:
        raise RequestError(ErrorCode.invalid_request, "The body ended before its end.") from error


async def _read(request: Request, most_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise _too_large(most_bytes)
    return bytes(body)


def decoded(body: bytes, kind: type[T]) -> T:
    """A body of JSON as `kind`; RequestError `invalid_params` or `parse_error` where it is none."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise request_error(error, ErrorCode.invalid_params, body) from error


def _too_large(most_bytes: int) -> RequestError:
    return RequestError(ErrorCode.too_large, f"A body may have at most {most_bytes} bytes here.", limit=most_bytes)
