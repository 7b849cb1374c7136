"""One example of every message, made from the structs themselves: a morning at a small, made-up chain."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

from msgspec import Raw

from inventory_server.domain.lineage import FIRST_HEAD, next_head
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.feed import ChangedParams, LaggingParams, StockChange, WatchParams, WatchResult
from pos_client.protocol.framing import MAX_FRAME_BYTES
from pos_client.protocol.limits import MAX_LINES, MAX_POSTINGS
from pos_client.protocol.messages import (
    FEATURES,
    Body,
    ByeParams,
    ByeResult,
    Completeness,
    HelloParams,
    HelloResult,
    HistoryEntry,
    HistoryParams,
    HistoryResult,
    Hole,
    Limits,
    Line,
    Message,
    NoParams,
    OutboxReport,
    PingParams,
    PingResult,
    PostingParams,
    PostingResult,
    PostItem,
    PostParams,
    PostResult,
    SilentTill,
    StockItem,
    StockParams,
    StockResult,
    StoredPosting,
    Totals,
    UnknownItem,
)
from pos_client.protocol.tick import Tick
from pos_client.protocol.units import Quantity, micros
from pos_client.protocol.uuid7 import Uuid7
from pos_client.protocol.wire import encode_body, error_object

_ZONE = timezone(timedelta(hours=1))
TILL, STORE, BRANCH = "north-gate-1", "north-gate", "harbour"
ESPRESSO, APPLES, MILK = "ESPRESSO-1KG", "APPLES-KG", "MILK-1L"
_BARCODE = "4006381333931"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer; `result` is None where it is a document of its own (`rpc.discover`)."""

    params: Message
    result: Message | None


def at(clock: str) -> datetime:
    """That time of the example's day, at the shop: `"09:41"` or `"09:41:07.25"`."""
    return datetime.fromisoformat(f"2026-03-14T{clock}").replace(tzinfo=_ZONE)


def hq(clock: str) -> datetime:
    """That time on HQ's clock."""
    return at(clock).astimezone(UTC)


def _id(clock: str, seed: str) -> UUID:
    """The id made at that time: the same in every run, which is why its randomness has a seed."""
    return Uuid7(lambda: micros(at(clock)), random.Random(seed))()


LINEAGE = _id("07:55", "lineage")
BOOT = UUID("2f6c0c4e-9a3b-4d57-8f10-6f0a4c1d2e3b")


def _tick(clock: str) -> Tick:
    """The tick clock of a till that was switched on at seven."""
    return Tick(BOOT, (micros(at(clock)) - micros(at("07:00"))) // 1_000)


SALE, _RETURN, RESERVE, TRANSFER = (_id(clock, "posting") for clock in ("09:41:07.25", "09:52:30", "10:05", "11:20"))

COUNT, LATE_SALE = (_id(clock, "posting") for clock in ("07:45", "07:40"))


def _line(sku: str, quantity: Quantity, price: str | None = None) -> Line:
    if price is None:
        return Line(quantity, sku=sku)
    return Line(quantity, sku=sku, unit_price=Decimal(price), currency="EUR")


BODIES: dict[str, Body] = {
    "sale": Body(
        "sale",
        at("09:41:07.25"),
        [_line(ESPRESSO, 2, "18.90"), _line(APPLES, Decimal("1.365"), "2.99")],
        reference="R-2026-000417",
        ext=Raw(b'{"cashier":"mira","payment":"card"}'),
    ),
    "return": Body(
        "return",
        at("09:52:30"),
        [Line(1, sku=ESPRESSO, unit_price=Decimal("18.90"), currency="EUR", reason="wrong roast")],
        reference="R-2026-000418",
        returns=SALE,
    ),
    "receipt": Body(
        "receipt",
        at("06:30"),
        [_line(ESPRESSO, 24), Line(48, gtin=_BARCODE), _line(APPLES, Decimal("62.5"))],
        reference="DN-88213",
    ),
    "adjustment": Body("adjustment", at("08:10"), [Line(-3, sku=MILK, reason="broken in the fridge")]),
    "count": Body("count", at("07:45"), [_line(ESPRESSO, 12), _line(MILK, 0)], reference="COUNT-MARCH"),
    "transfer_out": Body("transfer_out", at("11:20"), [_line(ESPRESSO, 6)], other_location=BRANCH, reference="T-0093"),
    "transfer_in": Body(
        "transfer_in", at("12:05"), [_line(ESPRESSO, 5)], location=BRANCH, transfer=TRANSFER, reference="T-0093"
    ),
    "transfer_close": Body(
        "transfer_close", at("12:10"), [_line(ESPRESSO, 1)], location=BRANCH, transfer=TRANSFER, reason="lost"
    ),
    "reserve": Body("reserve", at("10:05"), [_line(ESPRESSO, 1)], reference="WEB-5521", expires_at=at("18:00")),
    "release": Body("release", at("10:40"), [_line(ESPRESSO, 1)], reservation=RESERVE),
    "void": Body("void", at("09:43"), voids=SALE, reference="R-2026-000417"),
    "merge": Body("merge", at("18:30"), merge=f"gtin:0{_BARCODE}", into=ESPRESSO),
}
"""One body of every posting type."""

_POSTED = [(SALE, 1, BODIES["sale"]), (_RETURN, 2, BODIES["return"])]


def digest(body: Body) -> bytes:
    """SHA-256 over the canonical bytes of `body`."""
    return hashlib.sha256(encode_body(body)).digest()


def _chain_head() -> str:
    head = FIRST_HEAD
    for posting_id, _, body in _POSTED:
        head = next_head(head, posting_id.bytes, digest(body))
    return head.hex()


_POST = Exchange(
    PostParams(
        [
            PostItem(key, Raw(encode_body(body)), seq, *_tick(f"{body.occurred_at:%H:%M:%S.%f}"))
            for key, seq, body in _POSTED
        ],
        FIRST_HEAD.hex(),
        *_tick("09:52:31.1"),
    ),
    PostResult(
        [
            PostingResult(SALE, "posted", position=5, recorded_at=hq("09:52:31.118")),
            PostingResult(_RETURN, "posted", position=6, recorded_at=hq("09:52:31.118001")),
        ],
        parent=_chain_head(),
        position=6,
        holes=[],
    ),
)
_STOCK = Exchange(
    StockParams(
        skus=[ESPRESSO, APPLES, "ESPRESO-1KG"],
        location=STORE,
        below=Raw(b'"reorder_point"'),
        as_of=at("10:30").isoformat(),
    ),
    StockResult(
        [
            StockItem(
                ESPRESSO,
                STORE,
                on_hand=11,
                reserved=1,
                available=10,
                in_transit=0,
                reorder_point=12,
                counted_at=hq("07:45"),
                last_movement_at=hq("09:52:30"),
            ),
            StockItem(
                APPLES,
                STORE,
                on_hand=Decimal("61.135"),
                reserved=0,
                available=Decimal("61.135"),
                in_transit=0,
                reorder_point=75,
                last_movement_at=hq("09:41:07.25"),
            ),
        ],
        position=8,
        completeness={
            STORE: Completeness(
                complete_to=hq("10:05"),
                tills=2,
                silent=[SilentTill("north-gate-2", since=hq("10:06:12"))],
                holes=[Hole("north-gate-2", 31, 33)],
                pending=4,
            )
        },
        unknown=[UnknownItem(sku="ESPRESO-1KG")],
    ),
)
_HISTORY = Exchange(
    HistoryParams(ESPRESSO, location=STORE, from_=at("09:00"), limit=1),
    HistoryResult(
        [
            HistoryEntry(
                position=5,
                id=SALE,
                terminal=TILL,
                type="sale",
                occurred_at=at("09:41:07.25"),
                recorded_at=hq("09:52:31.118"),
                location=STORE,
                sku=ESPRESSO,
                quantity=-2,
                flags=(),
                reference="R-2026-000417",
                on_hand_after=10,
            )
        ],
        cursor="5.0",
    ),
)
STORED = Exchange(
    PostingParams(SALE),
    StoredPosting(
        SALE,
        "posted",
        digest(BODIES["sale"]).hex(),
        TILL,
        recorded_at=hq("09:52:31.118"),
        body=Raw(encode_body(BODIES["sale"])),
        position=5,
        location=STORE,
        lineage=LINEAGE,
        seq=1,
    ),
)
_HELLO = Exchange(
    HelloParams(
        TILL,
        token="tw_made-up-for-this-example",  # noqa: S106
        lineage=LINEAGE,
        app="ShopTill 4.2",
        protocol=(1, 1),
        outbox=OutboxReport(2, 0, at("09:41:07.25"), _tick("09:41:07.25").ms),
        now=at("09:52:30.9"),
        boot=BOOT,
        tick_ms=_tick("09:52:30.9").ms,
    ),
    HelloResult(
        server="tillwire 0.1.0",
        protocol=1,
        terminal=TILL,
        role="till",
        location=STORE,
        epoch=3,
        parent=FIRST_HEAD.hex(),
        acked_seq=0,
        server_time=hq("09:52:31"),
        heartbeat_s=30,
        limits=Limits(MAX_FRAME_BYTES, MAX_POSTINGS, MAX_LINES, max_connections=1000),
        features=FEATURES,
    ),
)

EXCHANGES: dict[str, Exchange] = {
    "hello": _HELLO,
    "post": _POST,
    "stock": _STOCK,
    "history": _HISTORY,
    "posting": STORED,
    "watch": Exchange(WatchParams(4, locations=[STORE]), WatchResult(4)),
    "unwatch": Exchange(NoParams(), NoParams()),
    "ping": Exchange(PingParams(OutboxReport(0), at("10:15:04"), *_tick("10:15:04")), PingResult(hq("10:15:04.02"))),
    "bye": Exchange(
        # +2 espresso and 1.365 apples sold, 1 espresso returned: −2 − 1.365 + 1
        ByeParams(LINEAGE, last_seq=2, count=2, quantity=Decimal("-2.365"), pending=0, dead=0),
        ByeResult("balanced", [], Totals(2, 2, Decimal("-2.365"))),
    ),
    "rpc.discover": Exchange(NoParams(), None),
}
"""One request of every method, with its answer."""

NOTIFIED: dict[str, Message] = {
    "changed": ChangedParams(
        5, [StockChange(STORE, ESPRESSO, -2, 10, 1, 24, "sale", at("09:41:07.25"), at("09:41:07.25"), at("18:00:00"))]
    ),
    "lagging": LaggingParams(5),
}
"""One of every notification the server sends."""

ERROR = error_object(
    RequestError(ErrorCode.busy, "The writer has as much as it can hold; try again in 500 ms.", retry_after_ms=500)
)
"""An error of the protocol."""
