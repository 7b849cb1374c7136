"""The exceptions of the package, and the protocol's error table, used in both directions.

The server encodes a `RequestError` as a JSON-RPC error object; the client decodes that object into the same
exception. This table alone says whether a request may be retried.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any


class ErrorCode(enum.Enum):
    """The protocol's error codes: JSON-RPC number, and whether a retry can succeed."""

    parse_error = (-32700, False)
    invalid_request = (-32600, False)
    method_not_found = (-32601, False)
    invalid_params = (-32602, False)
    internal = (-32603, True)
    unauthenticated = (-32001, False)
    forbidden = (-32002, False)
    fenced = (-32003, True)
    fork = (-32004, True)
    busy = (-32005, True)
    draining = (-32006, True)
    too_large = (-32007, False)
    not_found = (-32008, False)
    unsupported_protocol = (-32009, False)

    @property
    def number(self) -> int:
        """The JSON-RPC error code."""
        return self.value[0]

    @property
    def retryable(self) -> bool:
        """True if the same request may succeed later."""
        return self.value[1]


BY_NUMBER: Mapping[int, ErrorCode] = {code.number: code for code in ErrorCode}


class TillwireError(Exception):
    """Base class of the errors this package raises."""


class RequestError(TillwireError):
    """HQ answered a request with a protocol error.

    `data` holds the fields that the error table lists for the code (`path`, `expected`, `retry_after_ms`, …).
    """

    def __init__(self, code: ErrorCode, message: str, /, **data: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    @property
    def retryable(self) -> bool:
        """True if the same request may succeed later."""
        return self.code.retryable


class HqRefused(RequestError):
    """HQ refuses this till: its token, name or location. A person has to act; its postings stay pending meanwhile.

    The message says why and what to do; `code` and `data` are HQ's.
    """

    @classmethod
    def of(cls, error: RequestError) -> HqRefused:
        """The refusal that HQ expressed with `error`."""
        return cls(error.code, error.message, **error.data)

    def __str__(self) -> str:
        return f"HQ refused: {self.message}"


class BodyError(TillwireError):
    """A posting body that can never be posted: the path, what was expected, what came."""

    def __init__(self, path: str, expected: str, came: str) -> None:
        super().__init__(f"{path}: expected {expected}, got {came}")
        self.path = path
        self.expected = expected
        self.came = came


class BasketSold(TillwireError):
    """A basket was changed after it was sold; the earlier sale counts."""


class ConnectionLost(TillwireError):
    """The connection was lost or timed out: the request may or may not have been executed."""


class FeedArchived(TillwireError):
    """What a feed would tell next is in HQ's archive; it can be followed from the position `resume_from` on."""

    def __init__(self, resume_from: int) -> None:
        super().__init__(
            f"HQ has archived what comes next in the feed: read the stock anew, then follow it from {resume_from}."
        )
        self.resume_from = resume_from


class OutboxError(TillwireError):
    """The till's outbox cannot be read or written; the message says what to do."""


class OutboxInUse(OutboxError):
    """Another process is sending from this outbox."""
