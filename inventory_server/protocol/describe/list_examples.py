"""One example of every list, from the same morning as the other examples."""

from __future__ import annotations

from decimal import Decimal

from inventory_server.protocol.describe.examples import (
    APPLES,
    ESPRESSO,
    SALE,
    STORE,
    TILL,
    Exchange,
    at,
    hq,
)
from pos_client.protocol.lists import ListedLine, ListedPosting, PostingsParams, PostingsResult

_POSTINGS = Exchange(
    PostingsParams(reference="R-2026-000417", type="sale"),
    PostingsResult(
        postings=[
            ListedPosting(
                position=5,
                id=SALE,
                terminal=TILL,
                type="sale",
                location=STORE,
                occurred_at=at("09:41:07.25"),
                recorded_at=hq("09:52:31.118"),
                flags=(),
                reference="R-2026-000417",
                lines=[
                    ListedLine(2, sku=ESPRESSO, unit_price=Decimal("18.90"), currency="EUR"),
                    ListedLine(Decimal("1.365"), sku=APPLES, unit_price=Decimal("2.99"), currency="EUR"),
                ],
                voided_position=7,
            )
        ],
        position=8,
    ),
)

LISTS: dict[str, Exchange] = {"postings": _POSTINGS}
"""One request of every list, with its answer."""
