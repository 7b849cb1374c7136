"""The web application: routes, errors and headers, put together."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from inventory_server.clock import now_microseconds
from inventory_server.config import Settings
from inventory_server.web import api, metrics, sign_in
from inventory_server.web.accounts import Accounts
from inventory_server.web.admission import Admission
from inventory_server.web.door import Door
from inventory_server.web.headers import SecurityHeaders
from inventory_server.web.limits import CORS_SECONDS, WEB_THREADS
from inventory_server.web.people import People
from inventory_server.web.problems import problem
from inventory_server.web.streams import Streams
from pos_client.protocol.errors import ErrorCode, RequestError

log = logging.getLogger("tillwire.web")

ShowError = Callable[[Request, RequestError], Response]
"""Shows an error to a person; called where the request is not one of the API."""


def make_application(
    door: Door,
    people: People,
    settings: Settings,
    *,
    accounts: Accounts | None = None,
    origins: Sequence[str] = (),
    pages: Sequence[BaseRoute] = (),
    show_error: ShowError | None = None,
) -> Starlette:
    """The application: the API under `/api/v1`, `/metrics`, and `pages`.

    Routes find `door`, `people`, `accounts` and `settings` in `request.app.state`. `show_error` shows what goes wrong
    outside the API and the metrics; without it that is answered as in the API.
    """

    def answer(request: Request, error: RequestError) -> Response:
        if show_error is None or request.url.path.startswith(("/api/", "/metrics")):
            return problem(error)
        return show_error(request, error)

    def on_request_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestError)
        return answer(request, error)

    def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _with_headers(answer(request, _of_http(request, error)), error)

    def on_incident(request: Request, error: Exception) -> Response:
        incident = secrets.token_hex(6)
        log.error("event=incident incident=%s path=%s", incident, request.url.path, exc_info=error)
        message = f"The server failed to answer; its log tells more under incident {incident}."
        return answer(request, RequestError(ErrorCode.internal, message, incident=incident))

    application = Starlette(
        routes=[*sign_in.routes(), *api.routes(), *metrics.routes(), *pages],
        middleware=[Middleware(SecurityHeaders), *_for_origins(origins), Middleware(Admission)],
        exception_handlers={
            RequestError: on_request_error,
            HTTPException: on_http_error,
            Exception: on_incident,
        },
        lifespan=_lifespan,
    )
    application.state.streams = Streams(door.follow)
    application.state.door = door
    application.state.people = people
    application.state.accounts = accounts or Accounts(door, now_microseconds)
    application.state.settings = settings
    return application


def _for_origins(origins: Sequence[str]) -> list[Middleware]:
    """CORS: pages of these origins may call the API with a token; a session's cookie is not sent along."""
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
            max_age=CORS_SECONDS,
        )
    ]


@asynccontextmanager
async def _lifespan(application: Starlette) -> AsyncIterator[None]:
    """`def` routes run in threads: no more of them than there is work for."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = WEB_THREADS
    yield
    application.state.streams.close()


def _of_http(request: Request, error: HTTPException) -> RequestError:
    """What Starlette refuses itself, as an error of the table."""
    path = request.url.path
    if error.status_code == 404:
        return RequestError(ErrorCode.not_found, f"There is nothing at {path!r}; see /api/openapi.json.")
    if error.status_code == 405:
        message = f"{request.method} is not offered at {path!r}; see /api/openapi.json."
        return RequestError(ErrorCode.method_not_found, message, status=405)
    return RequestError(ErrorCode.invalid_request, error.detail, status=error.status_code)


def _with_headers(response: Response, error: HTTPException) -> Response:
    response.headers.update(error.headers or {})
    return response
