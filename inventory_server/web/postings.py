"""Posting over HTTP: the body of a request is the posting's body, byte for byte, with the wire's ids and semantics."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, UnsetType
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from inventory_server.admin.methods import ForwardedPosting, ForwardedPostings
from inventory_server.domain.requests import FindSpeaker, Hello
from inventory_server.domain.roles import HEADQUARTERS, POSTERS, Speaker
from inventory_server.web.bodies import body_of
from inventory_server.web.door import Door
from inventory_server.web.limits import BODY_BYTES_MAX, FENCED_ATTEMPTS_MAX
from inventory_server.web.people import peer_of
from inventory_server.web.queries import params_of_query
from inventory_server.web.refusals import busy, invalid
from pos_client.protocol.decode_errors import request_error
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.fields import Range, Sequence, TickMs
from pos_client.protocol.messages import PostingResult, PostItem, PostParams, PostResult
from pos_client.protocol.messages import Request as WireRequest
from pos_client.protocol.wire import JSON_WHITE_SPACE, decode_params_with

_STATUS = {"posted": 201, "duplicate": 200, "conflict": 409, "rejected": 422}
_batch: msgspec.json.Decoder[PostParams] = msgspec.json.Decoder(PostParams)


class PostingQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands beside the body of one posting: its sequence number in a lineage, and the tick of the sale."""

    seq: Sequence | UnsetType = UNSET
    lineage: UUID | UnsetType = UNSET
    boot: UUID | UnsetType = UNSET
    tick_ms: TickMs | UnsetType = UNSET


class BatchQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands beside a batch: the lineage of its sequence numbers."""

    lineage: UUID | UnsetType = UNSET


class BatchResult(msgspec.Struct, frozen=True):
    """The results of a batch in its order, the ledger's position, and the first of `holes_total` of the lineage."""

    results: list[PostingResult]
    position: int
    holes: list[Range]
    holes_total: int


def posting_routes(prefix: str) -> list[BaseRoute]:
    """The routes that post."""
    return [
        Route(f"{prefix}/postings/{{id}}", _with_body(_put), methods=["PUT"]),
        Route(f"{prefix}/postings", _with_body(_post_batch), methods=["POST"]),
    ]


def _with_body(handle: Callable[[Request, bytes], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(handle, request, await body_of(request, BODY_BYTES_MAX))

    return endpoint


def _put(request: Request, body: bytes) -> Response:
    terminal, token = _credentials(request)
    id_ = _uuid(request.path_params["id"])
    query = params_of_query(PostingQuery, request.query_params.multi_items())
    if query.seq is not UNSET and query.lineage is UNSET:
        raise invalid("$.lineage", "the lineage that seq counts in", "none")
    posting = ForwardedPosting(id_, _one_value(body), query.seq, query.boot, query.tick_ms)
    [result] = _posted(request, terminal, token, query.lineage, [posting]).results
    return _json(result, _STATUS[result.status])


def _post_batch(request: Request, body: bytes) -> Response:
    terminal, token = _credentials(request)
    query = params_of_query(BatchQuery, request.query_params.multi_items())
    batch = decode_params_with(_batch, WireRequest("post", Raw(_one_value(body))))
    if batch.parent is not UNSET:
        raise invalid("$.parent", "no parent: over HTTP there is no chain", str(batch.parent))
    if query.lineage is UNSET and any(each.seq is not UNSET for each in batch.postings):
        raise invalid("$.lineage", "the lineage that seq counts in, as a query parameter", "none")
    result = _posted(request, terminal, token, query.lineage, [_forwarded(each) for each in batch.postings], batch)
    return _json(BatchResult(result.results, result.position, result.holes, result.holes_total), 200)


def _forwarded(item: PostItem) -> ForwardedPosting:
    return ForwardedPosting(item.id, bytes(item.body), item.seq, item.boot, item.tick_ms)


def _posted(
    request: Request,
    terminal: str,
    token: str,
    lineage: UUID | UnsetType,
    postings: list[ForwardedPosting],
    sent: PostParams | None = None,
) -> PostResult:
    """Post as the terminal stands; where it says hello elsewhere meanwhile, as it stands then."""
    door: Door = request.app.state.door
    of_lineage = None if isinstance(lineage, UnsetType) else lineage
    hello = Hello(terminal, token, False, None, of_lineage, None, None, f"web {peer_of(request)}")
    for _ in range(FENCED_ATTEMPTS_MAX):
        speaker: Speaker = door.ask(FindSpeaker(hello), HEADQUARTERS)
        if speaker.role not in POSTERS:
            message = f"The role {speaker.role} may not call post: use another role."
            raise RequestError(ErrorCode.forbidden, message, role=speaker.role)
        ticks: dict[str, Any] = {} if sent is None else {"boot": sent.boot, "tick_ms": sent.tick_ms}
        forwarded = ForwardedPostings(speaker.location, speaker.epoch, postings, of_lineage, **ticks)
        try:
            return door.post(speaker, forwarded)
        except RequestError as error:
            if error.code is not ErrorCode.fenced:
                raise
    raise busy(f"Terminal {terminal} says hello again and again: give programs that use HTTP a terminal of their own.")


def _credentials(request: Request) -> tuple[str, str]:
    """The terminal and its token; RequestError `unauthenticated` without them: users do not post."""
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            terminal, colon, token = base64.b64decode(sent.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            colon = ""
        if colon:
            return terminal, token
    raise RequestError(
        ErrorCode.unauthenticated,
        "Postings are those of a terminal: send its name and token (Authorization: Basic TERMINAL:TOKEN in base64).",
    )


def _uuid(text: str) -> UUID:
    try:
        return msgspec.convert(text, UUID)
    except msgspec.ValidationError as error:
        raise invalid("$.id", "a UUID", ascii(text[:50])) from error


def _one_value(body: bytes) -> bytes:
    """The one JSON value in `body`, without what surrounds it; RequestError `parse_error` where it is none."""
    value = body.strip(JSON_WHITE_SPACE)
    try:
        value.decode()
        msgspec.json.decode(value, type=Any)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise request_error(error, ErrorCode.parse_error, value) from error
    return value


def _json(value: object, status: int) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
