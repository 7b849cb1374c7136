"""The types of the fields of messages: names, numbers and enumerations, with their limits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from pos_client.protocol.limits import (
    NAME_LENGTH_MAX,
    POSTINGS_COUNT_MAX,
    REQUEST_ID_LENGTH_MAX,
    TEXT_LENGTH_MAX,
    TICK_MS_MAX,
)

Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339 with offset")]
AS_OF_EXPECTED = "RFC 3339 with offset, or a date: the end of each location's business day"
_DATE_OR_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].+)?$(?!\n)"
AsOf = Annotated[str, Meta(pattern=_DATE_OR_INSTANT, description=AS_OF_EXPECTED)]
BOUND_EXPECTED = "RFC 3339 with offset, or a date: that business day at each location"
Bound = Annotated[str, Meta(pattern=_DATE_OR_INSTANT, description=BOUND_EXPECTED)]
"""The first or the last moment of a period."""
# In Python, `$` alone would accept a trailing line feed; the look-ahead is valid in ECMA patterns too.
TerminalName = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9._-]{{1,{NAME_LENGTH_MAX}}}$(?!\n)")]
ASKING_TERMINAL = "stock-query"
"""Who asks on the command line unless told otherwise; a development server enrols it as a reader, not as a till."""
_CODE = rf"^[^\x00-\x1f\x7f-\x9f]{{1,{NAME_LENGTH_MAX}}}$(?!\n)"
Sku = Annotated[str, Meta(pattern=_CODE, description="byte-exact: no case folding, no trimming")]
Location = Annotated[str, Meta(pattern=_CODE)]
Gtin = Annotated[str, Meta(pattern=r"^[0-9]{8,14}$(?!\n)")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)", description="ISO 4217")]
Text = Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Sequence = Annotated[int, Meta(ge=1, le=2**63 - 1)]
NonNegative = Annotated[int, Meta(ge=0, le=2**63 - 1)]
PostingCount = Annotated[int, Meta(ge=0, le=POSTINGS_COUNT_MAX)]
TickMs = Annotated[int, Meta(ge=0, le=TICK_MS_MAX, description="milliseconds since the machine booted")]
RequestText = Annotated[str, Meta(max_length=REQUEST_ID_LENGTH_MAX, pattern=r"^[^\x00]*$(?!\n)")]
RequestId = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | RequestText
"""The client's id of a request, repeated in the reply."""
Range = tuple[int, int]
"""A closed range of sequence numbers, `[from, to]`."""

PostingType = Literal[
    "sale",
    "return",
    "receipt",
    "adjustment",
    "count",
    "transfer_out",
    "transfer_in",
    "transfer_close",
    "reserve",
    "release",
    "void",
    "merge",
]
Role = Literal["till", "reader", "operator"]
PostingStatus = Literal["posted", "duplicate", "conflict", "rejected"]
Flag = Literal[
    "unlisted_product",
    "negative_stock",
    "clock_suspect",
    "clock_corrected",
    "before_count",
    "recounted",
    "orphan",
    "over_returned",
    "over_received",
    "other_destination",
    "unknown_location",
    "nothing_reserved",
    "repeated_document",
]
CloseReason = Literal["lost", "refused", "mistake"]
