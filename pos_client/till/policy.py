"""The till's policy: every limit and delay of outbox and sender, and what each error asks of the sender.

The time-outs of a connection are in `transport/limits.py`, the limits shared with HQ in `protocol/limits.py`.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.framing import MAX_FRAME_BYTES
from pos_client.protocol.limits import ENVELOPE_BYTES

# ---------------------------------------------------------------------------------- the outbox

BODY_BYTES_MAX = MAX_FRAME_BYTES - 2 * ENVELOPE_BYTES
"""Longest posting body accepted, in bytes: it must fit into a frame of its own."""
OUTBOX_BUSY_SECONDS = 5.0
"""How long a sale waits for another process to finish its write before it fails: longer, and the queue notices."""
LOCK_POLL_SECONDS = 0.001
"""How often the write lock is tried meanwhile: a write takes a few milliseconds."""
KEEP_DONE = 10_000
"""Delivered postings kept for support, and to be sent again to an HQ that was restored from a backup."""
PRUNE_STEP = 1_000
"""Most delivered postings deleted in one transaction, and how many are settled between two prunings."""
RECOGNISE_BYTES_MAX = 1 << 24
"""Most bytes of pending postings read to recognise HQ's chain head: far above any frame."""

# ---------------------------------------------------------------------------------- the sender thread

POLL_SECONDS = 0.5
"""How soon an idle sender notices another process's sale, or that it may take over sending."""
ERROR_PAUSE_SECONDS = 5.0
"""Pause after an unexpected error, so that a defect does not fill the log."""
STOP_SECONDS = 2.0
"""How long closing waits for the sender thread; a thread that is still connecting is left behind."""
LINGER_SECONDS = 5.0
"""How long leaving a client's `with` block waits for the last postings while HQ answers."""
SETTLE_POLL_SECONDS = 0.05
"""How often `bye` and `close` look whether the outbox is empty."""
ASYNC_QUESTIONS_MAX = 4
"""Most questions to HQ that an `AsyncPosClient` makes at once, a thread each: they take turns on one connection."""
BYE_SECONDS_MIN = 0.1
"""What `bye` leaves for its own request if delivery has used up the time-out."""

# ---------------------------------------------------------------------------------- retries

RESTING_SECONDS = 60
"""How long a sender sleeps after a goodbye with nothing to send; a new sale wakes it."""
ADOPTION_POLL_SECONDS = 60
"""How often a till that holds another terminal's postings says hello again, to learn whether it may deliver them."""
RETRY_AFTER_MS = 1_000
"""Wait after `busy` or `draining` if HQ does not say how long."""
DEATHS_BEFORE_HALVING = 3
"""How often the connection must die on a frame before the frame is halved: fewer is everyday network trouble."""
DEATHS_BEFORE_PARKING = 6
"""How often the connection must die on a lone posting before it is parked; from half of that on, a witness is sent."""
ALONE_SECONDS = 600
"""How long a lone posting must have failed before it is parked without a witness: nothing waits behind it."""


class RetryPolicy(NamedTuple):
    """How long the sender waits before it tries again, in seconds; a wait is drawn evenly from a range."""

    backoff_first_seconds: float = 0.5
    """Upper end of the first back-off; doubled with each failure. Short, as most outages are."""
    backoff_max_seconds: float = 60.0
    """Upper end of the longest back-off: a thousand tills must not overrun an HQ that comes back."""
    fenced_seconds: tuple[float, float] = (30.0, 120.0)
    """After `fenced`: two devices with one terminal name should not fence each other all the time."""
    refused_seconds: tuple[float, float] = (30.0, 120.0)
    """After an error that only a person can fix, such as a revoked token."""
    alone_seconds: float = ALONE_SECONDS
    """See `ALONE_SECONDS`."""


class Identity(NamedTuple):
    """Who the till is at HQ; of `location` only a development server enrols it."""

    terminal: str
    token: str | None = None
    location: str | None = None
    app: str | None = None


class Meaning(enum.Enum):
    """What a protocol error asks of the sender."""

    wait = "the server is busy: retry when it says"
    again = "the server failed: back off; the postings may be the cause"
    fenced = "another device is connected as this till: stay away for a while"
    fork = "the outbox is a copy: begin a new lineage"
    frame = "the server can never accept this frame: find the posting that causes it"
    person = "someone has to change something: keep trying, slowly; nothing is lost or parked"


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


def blames_postings(error: RequestError) -> bool:
    """False if the error names a field of the frame outside its postings: then no posting is the cause."""
    return "postings" in str(error.data.get("path", "postings"))
