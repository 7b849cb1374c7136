"""The page for an error: what was expected, what came, and a way back."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from inventory_server.web.pages.frame import texts_of_request
from inventory_server.web.pages.rendering import rendered_alone
from inventory_server.web.pages.signing_in import sign_in_url
from inventory_server.web.problems import status_of
from pos_client.protocol.errors import ErrorCode, RequestError

_TITLES = {
    ErrorCode.not_found: "error.not_found",
    ErrorCode.forbidden: "error.forbidden",
    ErrorCode.invalid_params: "error.invalid",
    ErrorCode.busy: "error.busy",
}


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """What went wrong."""

    title: str
    message: str


def show_error(request: Request, error: RequestError) -> Response:
    """The page for an error; who has to sign in first is sent there."""
    if error.code is ErrorCode.unauthenticated and request.method == "GET":
        return RedirectResponse(sign_in_url(request), 303)
    texts = texts_of_request(request)
    page = ErrorPage(texts(_TITLES.get(error.code, "error.failed")), error.message)
    return rendered_alone("error.html", request, page, status_of(error))
