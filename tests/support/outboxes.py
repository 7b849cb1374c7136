"""Numbered postings for an outbox."""

from __future__ import annotations

from uuid import UUID

from pos_client.till.outbox_records import NewPosting

NOON = 1_750_000_000_000_000
"""Some instant, in µs since 1970."""


def posting_id(number: int) -> UUID:
    return UUID(int=0x0192_0000_0000_7000_8000_0000_0000_0000 + number)


def posting(number: int) -> NewPosting:
    """A sale of one piece."""
    body = b'{"type":"sale","occurred_at":"2025-06-15T15:06:40Z","lines":[{"quantity":1,"sku":"s%d"}]}' % number
    return NewPosting(posting_id(number), body, NOON + number, -100_000, f"R-{number}")
