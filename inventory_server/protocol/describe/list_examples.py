"""One example of every list, from the same morning as the other examples."""

from __future__ import annotations

from decimal import Decimal

from inventory_server.domain.exceptions import ACTIONS
from inventory_server.protocol.describe.examples import (
    APPLES,
    BRANCH,
    COUNT,
    ESPRESSO,
    LATE_SALE,
    RESERVE,
    SALE,
    STORE,
    TILL,
    TRANSFER,
    Exchange,
    at,
    hq,
)
from pos_client.protocol.completeness import Completeness
from pos_client.protocol.lists import (
    ChangesParams,
    ChangesResult,
    CountChange,
    CountsParams,
    CountsResult,
    ExceptionsParams,
    ExceptionsResult,
    ListedChange,
    ListedCount,
    ListedException,
    ListedLine,
    ListedPosting,
    ListedReservation,
    ListedSales,
    ListedTransfer,
    PostingsParams,
    PostingsResult,
    ReservationsParams,
    ReservationsResult,
    SalesParams,
    SalesResult,
    SalesValue,
    TransfersParams,
    TransfersResult,
)

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

_COUNTS = Exchange(
    CountsParams(location=STORE, from_="2026-03-14", to="2026-03-14", off=True),
    CountsResult(
        counts=[
            ListedCount(
                position=3,
                id=COUNT,
                terminal=TILL,
                location=STORE,
                sku=ESPRESSO,
                occurred_at=at("07:45"),
                recorded_at=hq("07:45:20"),
                flags=(),
                reference="COUNT-MARCH",
                counted=12,
                variance_then=-3,
                variance_now=-1,
                changes=[CountChange(8, LATE_SALE, "north-gate-2", "sale", hq("07:40"), hq("10:06:12"), "R-2-88", 2)],
                changes_total=1,
            )
        ],
        position=8,
    ),
)

_TRANSFERS = Exchange(
    TransfersParams(location=BRANCH),
    TransfersResult(
        transfers=[
            ListedTransfer(
                id=TRANSFER,
                position=9,
                terminal=TILL,
                reference="T-0093",
                sku=ESPRESSO,
                from_=STORE,
                to=BRANCH,
                sent_at=hq("11:20"),
                sent=6,
                received=4,
                closed=0,
                left=2,
            )
        ],
        position=10,
    ),
)
_RESERVATIONS = Exchange(
    ReservationsParams(sku=ESPRESSO, location=STORE),
    ReservationsResult(
        reservations=[
            ListedReservation(
                id=RESERVE,
                position=7,
                terminal=TILL,
                reference="WEB-5521",
                sku=ESPRESSO,
                location=STORE,
                reserved_at=hq("10:05"),
                expires_at=hq("18:00"),
                reserved=1,
                left=1,
            )
        ],
        position=10,
    ),
)
_COMPLETENESS = {STORE: Completeness(hq("10:05"), tills=2, silent=[], holes=[], pending=1)}
_SALES = Exchange(
    SalesParams(sku=ESPRESSO, location=STORE, from_="2026-03-14", to="2026-03-14"),
    SalesResult(
        sales=[
            ListedSales(
                location=STORE,
                sku=ESPRESSO,
                day=at("09:00").date(),
                quantity=1,
                returned=1,
                values=[SalesValue(Decimal("18.90"), "EUR")],
                unpriced=0,
            )
        ],
        position=10,
        completeness=_COMPLETENESS,
    ),
)
_CHANGES = Exchange(
    ChangesParams(hq("09:00"), location=STORE, limit=1),
    ChangesResult(
        changes=[ListedChange(STORE, ESPRESSO, 12, 11, -1, {"return": 1, "sale": -2})],
        since=4,
        position=10,
        cursor="WzQsMTAsIm5vcnRoLWdhdGUiLCJFU1BSRVNTTy0xS0ciXQ",
        completeness=_COMPLETENESS,
    ),
)
_EXCEPTIONS = Exchange(
    ExceptionsParams(location=STORE),
    ExceptionsResult(
        position=10,
        total=1,
        causes=[
            ListedException(
                flag="negative_stock",
                subject=APPLES,
                location=STORE,
                count=3,
                first_at=hq("09:41:07.25"),
                last_at=hq("10:02"),
                position=8,
                action=ACTIONS["negative_stock"],
            )
        ],
    ),
)

LISTS: dict[str, Exchange] = {
    "postings": _POSTINGS,
    "counts": _COUNTS,
    "transfers": _TRANSFERS,
    "reservations": _RESERVATIONS,
    "sales": _SALES,
    "changes": _CHANGES,
    "exceptions": _EXCEPTIONS,
}
"""One request of every list, with its answer."""
