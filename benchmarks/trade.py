"""The common workload: 20 locations, 5,000 SKUs, sales of 3 lines.

The load generator produces the same sales.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pos_client.protocol.uuid7 import RANDOM_BITS, uuid7

LOCATIONS = [f"store-{number:02}" for number in range(1, 21)]
SKUS = [f"SKU-{number:05}" for number in range(5_000)]
LINES = 3
OPENING_STOCK = 1_000_000
SCALE = 100_000
"""Quantities are stored in 10⁻⁵, like Tillwire's."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Sale(NamedTuple):
    """One basket: the stored values, and the bytes that a till would send."""

    id: bytes
    location: str
    occurred_at: int
    lines: list[tuple[str, int]]
    body: bytes


def sale_id(microseconds: int, rng: random.Random) -> bytes:
    """An id as tills make them: ordered by time, then random."""
    return uuid7(microseconds // 1_000, rng.getrandbits(RANDOM_BITS)).bytes


def sales(first_at: int, step: int, rng: random.Random) -> Iterator[Sale]:
    """Endless sales, `step` microseconds apart, at random locations, like the load generator's."""
    at = first_at
    while True:
        at += step
        lines = [(SKUS[rng.randrange(len(SKUS))], 1 + rng.randrange(3)) for _ in range(LINES)]
        yield Sale(sale_id(at, rng), LOCATIONS[rng.randrange(len(LOCATIONS))], at, lines, _body("sale", at, lines))


def receipt_body(occurred_at: int, skus: list[str], quantity: int) -> bytes:
    """The opening delivery."""
    return _body("receipt", occurred_at, [(sku, quantity) for sku in skus])


def _body(kind: str, occurred_at: int, lines: list[tuple[str, int]]) -> bytes:
    at = (_EPOCH + timedelta(microseconds=occurred_at)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    rows = ",".join(f'{{"quantity":{quantity},"sku":"{sku}"}}' for sku, quantity in lines)
    reference = f"R-{occurred_at % 100_000_000:08}"
    return f'{{"type":"{kind}","occurred_at":"{at}","lines":[{rows}],"reference":"{reference}"}}'.encode()
