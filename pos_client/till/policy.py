"""Who the till is, how long the sender waits between attempts, and what each error asks of it."""

from __future__ import annotations

import enum
from typing import NamedTuple

from pos_client.protocol.errors import ErrorCode
from pos_client.till.poison import ALONE_SECONDS


class Identity(NamedTuple):
    """Who the till is; `location` is only heard by a server in development mode."""

    terminal: str
    token: str | None = None
    location: str | None = None
    app: str | None = None


class RetryPolicy(NamedTuple):
    """How patient the sender is. All in seconds; ranges are drawn from evenly."""

    backoff_first_seconds: float = 0.5
    backoff_max_seconds: float = 60.0
    fenced_seconds: tuple[float, float] = (30.0, 120.0)
    refused_seconds: tuple[float, float] = (30.0, 120.0)
    alone_seconds: float = ALONE_SECONDS


class Meaning(enum.Enum):
    """What an error of the protocol asks of the sender."""

    wait = "the server is busy: ask again when it says"
    again = "the server had an accident: back off, the postings may be to blame"
    fenced = "another device speaks as this till: leave it time"
    fork = "the outbox is a copy: a new lineage"
    frame = "the frame can never be taken: find the posting that is to blame"
    person = "a person has to change something: keep trying, slowly; nothing is lost or parked"


MEANINGS = {
    ErrorCode.busy: Meaning.wait,
    ErrorCode.draining: Meaning.wait,
    ErrorCode.internal: Meaning.again,
    ErrorCode.fenced: Meaning.fenced,
    ErrorCode.fork: Meaning.fork,
    ErrorCode.invalid_params: Meaning.frame,
    ErrorCode.invalid_request: Meaning.frame,
    ErrorCode.parse_error: Meaning.frame,
    ErrorCode.too_large: Meaning.frame,
    ErrorCode.unauthenticated: Meaning.person,
    ErrorCode.forbidden: Meaning.person,
    ErrorCode.method_not_found: Meaning.person,
    ErrorCode.not_found: Meaning.person,
    ErrorCode.unsupported_protocol: Meaning.person,
}
