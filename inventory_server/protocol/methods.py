"""The protocol's methods: from decoded params to a request of the store, and from its outcome to a result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from inventory_server.domain.business_day import FIRST_DAY, LAST_DAY, Period
from inventory_server.domain.completeness import OutboxState
from inventory_server.domain.limits import EXCEPTIONS_MAX
from inventory_server.domain.requests import (
    REQUESTS,
    Bye,
    FindPosting,
    Hello,
    History,
    Item,
    ListChanges,
    ListCounts,
    ListExceptions,
    ListPostings,
    ListReservations,
    ListSales,
    ListTransfers,
    Ping,
    Post,
    Stock,
    StoreRequest,
    Welcome,
)
from inventory_server.domain.roles import Speaker
from inventory_server.protocol.binding import MethodBinding, Ready, SessionContext, actor_of, given, refused
from pos_client.protocol.errors import BodyError, ErrorCode, RequestError
from pos_client.protocol.fields import AS_OF_EXPECTED, BOUND_EXPECTED, Instant
from pos_client.protocol.limits import VALUE_LENGTH_MAX
from pos_client.protocol.lists import ChangesParams, ExceptionsParams, ListParams, PlaceParams
from pos_client.protocol.messages import (
    FEATURES,
    PROTOCOL_VERSION,
    ByeParams,
    ByeResult,
    HelloParams,
    HelloResult,
    HistoryParams,
    Limits,
    OutboxReport,
    PingParams,
    PingResult,
    PostingParams,
    PostItem,
    PostParams,
    StockParams,
)
from pos_client.protocol.tick import Tick, tick_of
from pos_client.protocol.units import QUANTITY_EXPECTED, QUANTITY_MAX, TOTAL_MAX, Quantity, instant, micros, scaled
from pos_client.protocol.wire import check_body, decode_body

_SUPPORTED = [PROTOCOL_VERSION, PROTOCOL_VERSION]
_quantity_decoder: msgspec.json.Decoder[Quantity] = msgspec.json.Decoder(Quantity)


def _speaker(talk: SessionContext) -> Speaker:
    """The connection's terminal; roles admit only terminals to the methods that use it."""
    actor = actor_of(talk)
    assert isinstance(actor, Speaker)
    return actor


# ---------------------------------------------------------------------------------- hello, ping, bye


def _hello(talk: SessionContext, params: HelloParams) -> StoreRequest:
    if not isinstance(params.protocol, UnsetType):
        lowest, highest = params.protocol
        if not lowest <= PROTOCOL_VERSION <= highest:
            message = f"This server speaks protocol {PROTOCOL_VERSION}, not {lowest} to {highest}: update either."
            raise RequestError(ErrorCode.unsupported_protocol, message, supported=_SUPPORTED)
    tick = _tick(params)
    talk.app = given(params.app)
    return Hello(
        terminal=params.terminal,
        token=given(params.token),
        trusted=talk.trusted,
        enrol=(given(params.location) or params.terminal) if talk.trusted else None,
        lineage=given(params.lineage),
        outbox=_outbox(params.outbox, tick),
        now=_wall_clock(params.now),
        source=talk.peer,
        tick=tick,
        backdated=params.backdated is True,
        location=given(params.location),
        received_at=talk.clock(),
    )


def _tick(params: HelloParams | PingParams | PostParams | PostItem, path: str = "$") -> Tick | None:
    """The tick of a message; half of one is refused, since a typo must not switch the tick clock off."""
    if isinstance(params.boot, UnsetType) != isinstance(params.tick_ms, UnsetType):
        lacking = "boot" if isinstance(params.boot, UnsetType) else "tick_ms"
        raise refused(f"{path}.{lacking}", "boot and tick_ms together", "nothing")
    return tick_of(params.boot, params.tick_ms)


def _wall_clock(now: datetime | UnsetType) -> int | None:
    return None if isinstance(now, UnsetType) else micros(now)


def _outbox(report: OutboxReport | UnsetType, tick: Tick | None) -> OutboxState | None:
    """What a message sent at `tick` says of the outbox: its oldest posting's tick is of the same boot."""
    if isinstance(report, UnsetType):
        return None
    oldest_at, oldest_ms = report.oldest_occurred_at, report.oldest_tick_ms
    return OutboxState(
        report.pending,
        report.dead,
        None if oldest_at is None else micros(oldest_at),
        None if tick is None or oldest_ms is None else Tick(tick.boot, oldest_ms),
    )


def _welcome(talk: SessionContext, welcome: Welcome) -> HelloResult:
    talk.actor = speaker = welcome.speaker
    limits = talk.settings
    return HelloResult(
        server=talk.server,
        protocol=PROTOCOL_VERSION,
        terminal=speaker.terminal,
        role=speaker.role,
        location=speaker.location,
        epoch=speaker.epoch,
        parent=welcome.parent,
        acked_seq=welcome.acked_seq,
        server_time=instant(talk.clock()),
        heartbeat_s=limits.heartbeat_seconds,
        limits=Limits(limits.max_frame_bytes, limits.max_postings, limits.max_lines, limits.max_connections),
        features=FEATURES,
        adopted=welcome.adopted,
    )


def _ping(talk: SessionContext, params: PingParams) -> StoreRequest | Ready:
    if not isinstance(talk.actor, Speaker):
        return Ready(_pong(talk, None))
    tick = _tick(params)
    return Ping(talk.actor, _outbox(params.outbox, tick), _wall_clock(params.now), tick, talk.clock())


def _pong(talk: SessionContext, _: None) -> PingResult:
    return PingResult(instant(talk.clock()))


def _bye(talk: SessionContext, params: ByeParams) -> StoreRequest | Ready:
    if not isinstance(params.quantity, UnsetType):
        _exact(params.quantity, "$.quantity", TOTAL_MAX)
    if not isinstance(talk.actor, Speaker):
        return Ready(_close(talk, ByeResult("closed", [])))
    return Bye(talk.actor, params)


def _close(talk: SessionContext, result: ByeResult) -> ByeResult:
    talk.closing = True
    return result


# ---------------------------------------------------------------------------------- posting


def _post(talk: SessionContext, params: PostParams) -> StoreRequest:
    return post_of(talk, _speaker(talk), params)


def post_of(talk: SessionContext, speaker: Speaker, params: PostParams) -> Post:
    """The request of a frame of postings by `speaker`; RequestError where there are too many or none."""
    if talk.draining():
        message = "The server is shutting down; send the same postings again."
        raise RequestError(ErrorCode.draining, message, retry_after_ms=talk.settings.busy_retry_ms)
    most = talk.settings.max_postings
    if not 1 <= len(params.postings) <= most:
        raise refused("$.postings", f"1 to {most} postings", str(len(params.postings)))
    max_lines = talk.settings.max_lines
    quantity_max = talk.settings.till_quantity_max if speaker.role == "till" else QUANTITY_MAX
    items = [_item(posting, max_lines, quantity_max, nth) for nth, posting in enumerate(params.postings)]
    return Post(speaker, items, given(params.parent), _tick(params), talk.clock())


def _item(posting: PostItem, max_lines: int, quantity_max: int, nth: int) -> Item:
    raw = bytes(posting.body)
    digest = hashlib.sha256(raw).digest()
    seq = None if isinstance(posting.seq, UnsetType) else posting.seq
    tick = None if posting.boot is UNSET and posting.tick_ms is UNSET else _tick(posting, f"$.postings[{nth}]")
    try:
        body = decode_body(raw)
        quantities = check_body(body, max_lines, quantity_max)
    except BodyError as error:
        return Item(posting.id, seq, raw, digest, None, [], error, tick)
    return Item(posting.id, seq, raw, digest, body, quantities, None, tick)


# ---------------------------------------------------------------------------------- queries


def _stock(talk: SessionContext, params: StockParams) -> StoreRequest:
    _check_limit(params.limit, talk.settings.stock_items_max)
    _check_one_of(params, "skus", "sku", "gtin", "search")
    _check_one_of(params, "locations", "location")
    _check_number(params, "skus", talk.settings.stock_items_max)
    _check_number(params, "locations", talk.settings.stock_items_max)
    below = None if isinstance(params.below, UnsetType) else _below(params.below)
    as_of = None if isinstance(params.as_of, UnsetType) else _moment(params.as_of, "$.as_of", AS_OF_EXPECTED)
    return Stock(params, below, as_of, actor=actor_of(talk))


def _moment(text: str, path: str, expected: str) -> int | date:
    try:
        if len(text) > len("2026-10-31"):
            return micros(msgspec.convert(text, Instant))
        if FIRST_DAY <= (day := date.fromisoformat(text)) <= LAST_DAY:
            return day
    except (ValueError, msgspec.ValidationError):
        raise refused(path, expected, ascii(text[:VALUE_LENGTH_MAX])) from None
    raise refused(path, f"a date from {FIRST_DAY} to {LAST_DAY}", text)


def _below(raw: Raw) -> str | Quantity:
    text = bytes(raw)
    if text == b'"reorder_point"':
        return "reorder_point"
    try:
        quantity = _quantity_decoder.decode(text)
    except msgspec.DecodeError as error:
        raise refused("$.below", '"reorder_point" or a quantity', ascii(text[:VALUE_LENGTH_MAX].decode())) from error
    _exact(quantity, "$.below")
    return quantity


def _history(talk: SessionContext, params: HistoryParams) -> StoreRequest:
    _check_limit(params.limit, talk.settings.stock_items_max)
    return History(params, actor=actor_of(talk))


def _posting(talk: SessionContext, params: PostingParams) -> StoreRequest:
    return FindPosting(params, actor=actor_of(talk))


LISTS: tuple[type, ...] = (ListPostings, ListCounts, ListTransfers, ListReservations, ListSales)
"""The requests that are lists of a period."""


def _listing(request: Callable[..., StoreRequest]) -> Callable[[SessionContext, Any], StoreRequest]:
    """How the params of a list become `request`."""

    def ask(talk: SessionContext, params: Any) -> StoreRequest:
        _check_list(talk, params)
        return request(params, _period(params), actor=actor_of(talk))

    return ask


def _changes(talk: SessionContext, params: ChangesParams) -> StoreRequest:
    _check_list(talk, params)
    return ListChanges(params, actor=actor_of(talk))


def _exceptions(talk: SessionContext, params: ExceptionsParams) -> StoreRequest:
    _check_limit(params.limit, EXCEPTIONS_MAX)
    _check_one_of(params, "locations", "location")
    _check_number(params, "locations", talk.settings.stock_items_max)
    return ListExceptions(params, actor=actor_of(talk))


def _check_list(talk: SessionContext, params: PlaceParams) -> None:
    most = talk.settings.stock_items_max
    _check_limit(params.limit, most)
    for many, one in (("locations", "location"), ("skus", "sku")):
        if hasattr(params, many):
            _check_one_of(params, many, one)
            _check_number(params, many, most)


def _period(params: ListParams) -> Period:
    since = None if isinstance(params.from_, UnsetType) else _moment(params.from_, "$.from", BOUND_EXPECTED)
    until = None if isinstance(params.to, UnsetType) else _moment(params.to, "$.to", BOUND_EXPECTED)
    return Period(since, until)


def _check_limit(limit: int | UnsetType, most: int) -> None:
    if not isinstance(limit, UnsetType) and limit > most:
        raise refused("$.limit", f"1 to {most}", str(limit))


def _check_number(params: StockParams | PlaceParams | ExceptionsParams, name: str, most: int) -> None:
    """Refuse a longer list than a page can show; the database limits the number of parameters too."""
    named = getattr(params, name)
    if named is not UNSET and len(named) > most:
        raise refused(f"$.{name}", f"at most {most} {name}", str(len(named)))


def _check_one_of(params: StockParams | PlaceParams | ExceptionsParams, *names: str) -> None:
    present = [name for name in names if getattr(params, name) is not UNSET]
    if len(present) > 1:
        raise refused(f"$.{present[1]}", f"only one of {', '.join(names)}", " and ".join(present))


def _exact(quantity: Quantity, path: str, maximum: int = QUANTITY_MAX) -> None:
    try:
        scaled(quantity, maximum)
    except ValueError as error:
        raise refused(path, QUANTITY_EXPECTED, str(quantity)[:VALUE_LENGTH_MAX]) from error


QUESTIONS: dict[str, MethodBinding] = {
    "stock": MethodBinding(Stock, _stock),
    "history": MethodBinding(History, _history),
    "posting": MethodBinding(FindPosting, _posting),
    **{REQUESTS[each].name: MethodBinding(each, _listing(each)) for each in LISTS},
    "changes": MethodBinding(ListChanges, _changes),
    "exceptions": MethodBinding(ListExceptions, _exceptions),
    "ping": MethodBinding(Ping, _ping, _pong),
    "bye": MethodBinding(Bye, _bye, _close),
}
"""Methods for every client, terminal or not."""

SPEAKING: dict[str, MethodBinding] = {
    "hello": MethodBinding(Hello, _hello, _welcome),
    "post": MethodBinding(Post, _post),
}
"""Methods of terminals alone."""
