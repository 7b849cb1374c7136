"""Control totals: what a posting does to stock, summed up alike by a till and by HQ and compared at `bye`."""

from __future__ import annotations

from collections.abc import Sequence

from pos_client.protocol.messages import PostingType

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
    """What a posting does to `on_hand` at its location, summed over its lines (10⁻⁵); 0 for types without a sign."""
    return STOCK_SIGN.get(kind, 0) * sum(quantities)
