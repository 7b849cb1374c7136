"""Errors that several modules of the web process raise."""

from __future__ import annotations

from inventory_server.web.limits import BUSY_RETRY_MS
from pos_client.protocol.errors import ErrorCode, RequestError


def busy(message: str) -> RequestError:
    """The error of what may be asked again soon."""
    return RequestError(ErrorCode.busy, message, retry_after_ms=BUSY_RETRY_MS)


def invalid(path: str, expected: str, came: str) -> RequestError:
    """The error of one value."""
    message = f"{path}: expected {expected}, got {came}."
    return RequestError(ErrorCode.invalid_params, message, path=path, expected=expected, came=came)
