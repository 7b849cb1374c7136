"""`PostingMethods`: the methods of `PosClient` that record what happened, one for each type of posting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Unpack
from uuid import UUID

from pos_client.protocol.fields import CloseReason, PostingType
from pos_client.till.arguments import given, named, with_reason
from pos_client.till.basket_lines import LineLike
from pos_client.till.posting import Posting
from pos_client.till.posting_details import Details

METHOD_NAMES: dict[PostingType, str] = {
    "return": "return_",
    "receipt": "receive",
    "adjustment": "adjust",
    "sale": "sell",
    "transfer_close": "close_transfer",
}
"""The methods that are not named after the type that they post."""


class PostingMethods(ABC):
    """A method for each type of posting. All take the optional arguments in `Details`, and no others.

    Each returns once the posting is durable, and raises OutboxError if it could not be stored, BodyError if it can
    never be posted, TypeError for a float or an unknown argument.
    """

    @abstractmethod
    def _post(self, kind: PostingType, lines: Iterable[LineLike] | None, details: Details, **fields: Any) -> Posting:
        """Store a posting of a type, with fields that only this type has."""

    def sell(
        self, lines: Iterable[LineLike], *, reservation: UUID | Posting | None = None, **details: Unpack[Details]
    ) -> Posting:
        """Record a sale; a negative quantity is goods returned in the same basket."""
        return self._post("sale", lines, details, reservation=named(reservation))

    def return_(
        self, lines: Iterable[LineLike], *, returns: UUID | Posting | None = None, **details: Unpack[Details]
    ) -> Posting:
        """Record goods that came back, of the sale `returns` if it is known. To undo a sale never made, void it."""
        return self._post("return", lines, details, returns=named(returns))

    def receive(self, lines: Iterable[LineLike], **details: Unpack[Details]) -> Posting:
        """Record a delivery from outside."""
        return self._post("receipt", lines, details)

    def adjust(self, lines: Iterable[LineLike], *, reason: str | None = None, **details: Unpack[Details]) -> Posting:
        """Correct stock for another reason (broken, stolen, found), with signed quantities."""
        return self._post("adjustment", with_reason(lines, reason), details)

    def count(self, lines: Iterable[LineLike], **details: Unpack[Details]) -> Posting:
        """Record a stock count: the quantities on hand at `occurred_at`."""
        return self._post("count", lines, details)

    def transfer_out(self, lines: Iterable[LineLike], *, to: str, **details: Unpack[Details]) -> Posting:
        """Record goods sent to another location."""
        return self._post("transfer_out", lines, details, other_location=to)

    def transfer_in(
        self,
        lines: Iterable[LineLike],
        *,
        from_: str | None = None,
        transfer: UUID | Posting | None = None,
        **details: Unpack[Details],
    ) -> Posting:
        """Record goods received from another location, of a `transfer` (its `transfer_out`) or the oldest on the road.

        One of `from_` and `transfer` is needed.
        """
        return self._post("transfer_in", lines, details, other_location=given(from_), transfer=named(transfer))

    def close_transfer(
        self,
        transfer: UUID | Posting,
        reason: CloseReason,
        lines: Iterable[LineLike] | None = None,
        **details: Unpack[Details],
    ) -> Posting:
        """End a transfer short: `lines` of it (default: all that is left) will not arrive. Moves no stock."""
        return self._post("transfer_close", lines, details, transfer=named(transfer), reason=reason)

    def reserve(
        self, lines: Iterable[LineLike], *, expires_at: datetime | None = None, **details: Unpack[Details]
    ) -> Posting:
        """Reserve goods; the posting's id is the id of the reservation."""
        return self._post("reserve", lines, details, expires_at=given(expires_at))

    def release(
        self, lines: Iterable[LineLike], *, reservation: UUID | Posting | None = None, **details: Unpack[Details]
    ) -> Posting:
        """Release reserved goods."""
        return self._post("release", lines, details, reservation=named(reservation))

    def void(self, posting: UUID | Posting, **details: Unpack[Details]) -> Posting:
        """Undo a whole posting that should never have been made: all is as if it had not been."""
        return self._post("void", None, details, voids=named(posting))

    def merge(self, sku: str, *, into: str, **details: Unpack[Details]) -> Posting:
        """End the product `sku`: what is on hand of it becomes `into`'s, at every location. For operators."""
        return self._post("merge", None, details, merge=sku, into=into)
