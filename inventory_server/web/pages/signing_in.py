"""The pages on which people sign in and out, and set a password by a link; reading needs no script."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from inventory_server.domain.roles import User
from inventory_server.web.accounts import Accounts
from inventory_server.web.pages.address import STOCK_PATH
from inventory_server.web.pages.forms import assert_form_of_ours, form_of, session_of_form
from inventory_server.web.pages.rendering import rendered_alone
from inventory_server.web.people import COOKIE, assert_same_origin, forget_session, keep_session, peer_of
from inventory_server.web.problems import status_of
from pos_client.protocol.errors import ErrorCode, RequestError

SIGN_IN_PATH = "/sign-in"
_SEE_OTHER = 303


@dataclass(frozen=True, slots=True)
class SignInPage:
    """The form: who tried to sign in, where to go on, and why it failed ("": it has not been tried)."""

    user: str
    onward: str
    failed: str


def sign_in_routes() -> list[BaseRoute]:
    """The routes of signing in and out."""
    return [
        Route(SIGN_IN_PATH, _ask, methods=["GET"]),
        Route(SIGN_IN_PATH, _sign_in, methods=["POST"]),
        Route("/sign-out", _sign_out, methods=["POST"]),
        Route("/welcome", _welcome, methods=["GET"]),
    ]


def sign_in_url(request: Request) -> str:
    """Where to sign in, to come back to what was asked for."""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{SIGN_IN_PATH}?next={quote(request.url.path + query, safe='')}"


def _ask(request: Request) -> Response:
    page = SignInPage("", _onward(request.query_params.get("next", "")), "")
    return rendered_alone("sign_in.html", request, page)


def _welcome(request: Request) -> Response:
    return rendered_alone("welcome.html", request, None)


async def _sign_in(request: Request) -> Response:
    assert_same_origin(request)
    form = await form_of(request)
    return await run_in_threadpool(_try, request, form)


def _try(request: Request, form: dict[str, str]) -> Response:
    """Sign in, or say why not on the same page."""
    user, onward = form.get("user", ""), _onward(form.get("next", ""))
    accounts: Accounts = request.app.state.accounts
    try:
        opened = accounts.sign_in(user, form.get("password", ""), peer_of(request))
    except RequestError as error:
        if error.code not in (ErrorCode.unauthenticated, ErrorCode.busy):
            raise
        page = SignInPage(user, onward, error.message)
        return rendered_alone("sign_in.html", request, page, status_of(error))
    response = RedirectResponse(onward, _SEE_OTHER)
    keep_session(response, request, opened.key)
    return response


async def _sign_out(request: Request) -> Response:
    form = await form_of(request)
    assert_form_of_ours(request, form)
    await run_in_threadpool(_end, request)
    response = RedirectResponse(SIGN_IN_PATH, _SEE_OTHER)
    forget_session(response)
    return response


def _end(request: Request) -> None:
    holder = session_of_form(request)
    if holder is not None:
        accounts: Accounts = request.app.state.accounts
        accounts.sign_out(request.cookies[COOKIE], User(holder.user, holder.role, f"web {peer_of(request)}"))


def _onward(path: str) -> str:
    """A page of this site: another one is nowhere to be sent after signing in."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\", SIGN_IN_PATH)) and path.isprintable()
    return path if is_ours else STOCK_PATH
