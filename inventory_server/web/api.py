"""The HTTP API under `/api/v1`: what the table of requests offers, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from inventory_server.clock import now_microseconds
from inventory_server.domain.requests import Administrative, Question
from inventory_server.web.bodies import body_of
from inventory_server.web.calls import CALLS, Call, is_change, talk_of
from inventory_server.web.limits import BODY_BYTES_MAX
from inventory_server.web.people import actor_of
from inventory_server.web.postings import posting_routes

PREFIX = "/api/v1"
JSON = "application/json"


def routes() -> list[BaseRoute]:
    """The routes of the API."""
    return [*posting_routes(PREFIX), *(_route(call) for call in CALLS.values())]


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
