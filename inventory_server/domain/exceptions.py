"""Exceptions: flags that wait for a person, one entry for each cause, with the action that settles it. Pure.

A cause is (flag, subject, location). Its subject is a SKU where the product is what has to be looked into, else the
terminal that posted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from inventory_server.domain.inventory import FLAGS
from pos_client.protocol.fields import Flag, PostingType
from pos_client.protocol.messages import Body

ACTIONS: Mapping[Flag, str] = MappingProxyType(
    {
        "unlisted_product": "list it in the catalogue",
        "negative_stock": "count it, or enter the delivery that is missing",
        "clock_suspect": "set the clock of that machine; void what is misdated and post it again",
        "orphan": "find out whether what it names is still to come; else settle it",
        "over_returned": "check the returns with the sale; void those that were not",
        "over_received": "compare with what was sent; void what was entered twice, or count it",
        "other_destination": "send the goods on with a transfer, or settle it if they may stay",
        "unknown_location": "enrol a terminal there; if the name is mistyped, void the posting and post it again",
        "nothing_reserved": "look for the reservation that was meant and release it by name",
        "repeated_document": "void one of the two if the document was entered twice",
    }
)
"""The flags that wait for a person, each with the action that settles it. All others only inform."""
WAITING = sum(1 << FLAGS.index(flag) for flag in ACTIONS)
"""The bits of those flags."""
OF_PRODUCTS: frozenset[Flag] = frozenset(("unlisted_product", "negative_stock", "over_received"))
"""The flags whose subject is a SKU."""
OPENED_BY: Mapping[PostingType, PostingType] = MappingProxyType(
    {
        "return": "sale",
        "transfer_in": "transfer_out",
        "transfer_close": "transfer_out",
        "release": "reserve",
        "sale": "reserve",
    }
)
"""The type of what a posting of each type names; a void may name any."""


class FlaggedPosting(NamedTuple):
    """One posting of a cause, in the order of the columns of `flagged`; `names` is the id that an orphan names."""

    flag: int
    location: str
    subject: str
    position: int
    effective_at: int
    names: bytes | None = None


def waiting_flags(bits: int) -> Iterator[tuple[int, Flag]]:
    """The flags in `bits` that wait for a person, each with the number of its bit."""
    return ((number, flag) for number, flag in enumerate(FLAGS) if flag in ACTIONS and bits >> number & 1)


def named_by(body: Body) -> bytes | None:
    """The id of the posting that a posting names."""
    for named in (body.voids, body.returns, body.transfer, body.reservation):
        if isinstance(named, UUID):
            return named.bytes
    return None
