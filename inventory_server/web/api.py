"""The HTTP API under `/api/v1`: what the table of requests offers, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from inventory_server.clock import now_microseconds
from inventory_server.domain.answers import FeedStart
from inventory_server.domain.requests import Administrative, Question, StartFeed
from inventory_server.domain.roles import User
from inventory_server.resources import schema_path
from inventory_server.web.bodies import body_of
from inventory_server.web.calls import CALLS, Call, is_change, talk_of
from inventory_server.web.limits import BODY_BYTES_MAX, POSITION_DIGITS
from inventory_server.web.people import actor_of
from inventory_server.web.postings import posting_routes
from inventory_server.web.queries import params_of_query
from inventory_server.web.refusals import invalid
from inventory_server.web.streams import Stream
from pos_client.protocol.feed import WatchParams
from pos_client.protocol.limits import VALUE_LENGTH_MAX

PREFIX = "/api/v1"
JSON = "application/json"


def routes() -> list[BaseRoute]:
    """The routes of the API."""
    feed = Route(f"{PREFIX}/feed", _feed, methods=["GET"])
    description = Route("/api/openapi.json", _describe, methods=["GET"])
    return [description, feed, *posting_routes(PREFIX), *(_route(call) for call in CALLS.values())]


def _describe(_: Request) -> Response:
    return FileResponse(schema_path("openapi.json"), media_type=JSON)


def _route(call: Call) -> Route:
    path = f"{PREFIX}/{call.name}"
    if is_change(call.name):
        return Route(path, _with_body(call), methods=["POST"])
    return Route(path, partial(_ask, call), methods=["GET"])


def _ask(call: Call, request: Request) -> Response:
    user = actor_of(request)
    talk = talk_of(user, request.app.state.settings, now_microseconds())
    question: Question = call.of_query(request.query_params.multi_items(), talk)  # type: ignore[assignment]
    return Response(call.tell(talk, request.app.state.door.ask(question, user)), media_type=JSON)


def _with_body(call: Call) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(_change, call, request, await body_of(request, BODY_BYTES_MAX))

    return endpoint


def _change(call: Call, request: Request, body: bytes) -> Response:
    user = actor_of(request)
    talk = talk_of(user, request.app.state.settings, now_microseconds())
    change: Administrative = call.of_body(body, talk)  # type: ignore[assignment]
    return Response(call.tell(talk, request.app.state.door.change(change, user)), media_type=JSON)


async def _feed(request: Request) -> Stream:
    start, user = await run_in_threadpool(_feed_start, request)
    return Stream(request.app.state.streams, start, user)


def _feed_start(request: Request) -> tuple[FeedStart, User]:
    """Where a feed begins: after the last event that the reader got, else after `from`, else now."""
    user = actor_of(request)
    params = params_of_query(WatchParams, request.query_params.multi_items())
    if (last := request.headers.get("last-event-id")) is not None:
        if not (last.isascii() and last.isdigit() and len(last) <= POSITION_DIGITS):
            raise invalid("Last-Event-ID", "a position of the ledger", ascii(last[:VALUE_LENGTH_MAX]))
        params = msgspec.structs.replace(params, from_=int(last))
    start: FeedStart = request.app.state.door.ask(StartFeed(params), user)
    return start, user
