"""Errors over HTTP: problem details (RFC 9457) with the names of the wire's error table."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from pos_client.protocol.errors import ErrorCode, RequestError

MEDIA_TYPE = "application/problem+json"
_STATUS: dict[ErrorCode, int] = {
    ErrorCode.parse_error: 400,
    ErrorCode.invalid_request: 400,
    ErrorCode.method_not_found: 404,
    ErrorCode.invalid_params: 400,
    ErrorCode.internal: 500,
    ErrorCode.unauthenticated: 401,
    ErrorCode.forbidden: 403,
    ErrorCode.fenced: 409,
    ErrorCode.fork: 409,
    ErrorCode.busy: 503,
    ErrorCode.draining: 503,
    ErrorCode.too_large: 413,
    ErrorCode.not_found: 404,
    ErrorCode.unsupported_protocol: 400,
}


class ProblemDetails(msgspec.Struct, frozen=True):
    """The body of a response with an error; what the wire says in `data` of this error stands beside these fields."""

    type: str
    title: str
    status: int
    detail: str
    name: str
    retryable: bool


def status_of(error: RequestError) -> int:
    """The HTTP status of an error: `data` may name one of its own for what only HTTP knows."""
    status: int = error.data.get("status", _STATUS[error.code])
    return status


def problem(error: RequestError, headers: dict[str, str] | None = None) -> Response:
    """The response to a request that failed with `error`."""
    status = status_of(error)
    details = ProblemDetails(
        f"urn:tillwire:error:{error.code.name}",
        error.code.name.replace("_", " "),
        status,
        error.message,
        error.code.name,
        error.retryable,
    )
    body: dict[str, Any] = {**error.data, **msgspec.structs.asdict(details)}
    sent = dict(headers or {})
    if (wait_ms := error.data.get("retry_after_ms")) is not None:
        sent["Retry-After"] = str(-(-wait_ms // 1_000))
    if status == 401:
        sent["WWW-Authenticate"] = 'Bearer realm="tillwire"'
    return Response(msgspec.json.encode(body), status, sent, MEDIA_TYPE)
