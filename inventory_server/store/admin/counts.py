"""Counts that HQ posts itself: opening stock and stock-takes from a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from inventory_server.domain.changes import ImportedCount
from pos_client.protocol.messages import Body, Line, PostingResult
from pos_client.protocol.units import instant, unscaled

PostWithIds = Callable[[Sequence[tuple[UUID, Body]]], list[PostingResult]]
"""Enters bodies into the ledger as HQ's own postings, under these ids, in the transaction at hand."""


def import_counts(post: PostWithIds, counts: Sequence[ImportedCount]) -> list[PostingResult]:
    """Enter counts into the ledger; the result of each."""
    return post([(each.id, _body(each)) for each in counts])


def _body(counted: ImportedCount) -> Body:
    lines = [Line(unscaled(quantity), sku) for sku, quantity in counted.lines]
    return Body("count", instant(counted.counted_at), lines=lines, location=counted.location)
