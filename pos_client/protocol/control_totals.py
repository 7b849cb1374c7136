"""Control totals: the stock effect of postings, summed in the same way by till and HQ and compared at `bye`."""

from __future__ import annotations

from collections.abc import Sequence

from pos_client.protocol.fields import PostingType

STOCK_SIGN: dict[PostingType, int] = {
    "sale": -1,
    "return": 1,
    "receipt": 1,
    "adjustment": 1,
    "transfer_out": -1,
    "transfer_in": 1,
}
"""The effect of a line's quantity on `on_hand` at the posting's location; types that are not listed have none."""


def stock_effect(kind: PostingType, quantities: Sequence[int]) -> int:
    """The change of `on_hand` at the posting's location, over all lines (10⁻⁵); 0 for types without a sign."""
    return STOCK_SIGN.get(kind, 0) * sum(quantities)
