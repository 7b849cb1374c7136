"""From what a page shows to its HTML: the templates, and the page for an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from inventory_server.web.pages.frame import Frame, texts_of_request
from inventory_server.web.problems import status_of
from pos_client.protocol.errors import ErrorCode, RequestError

_WEB = Path(__file__).resolve().parents[1]
STATIC_FOLDER = _WEB / "static"
TEMPLATES_FOLDER = _WEB / "templates"
_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES_FOLDER),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    auto_reload=False,
)
_TITLES = {
    ErrorCode.not_found: "error.not_found",
    ErrorCode.forbidden: "error.forbidden",
    ErrorCode.invalid_params: "error.invalid",
    ErrorCode.busy: "error.busy",
}


def rendered(template: str, frame: Frame, page: Any) -> Response:
    """The response that shows `page` by a template."""
    html = _templates.get_template(template).render(t=frame.texts, frame=frame, page=page)
    return HTMLResponse(html)


def show_error(request: Request, error: RequestError) -> Response:
    """The page for an error: what was expected, what came, and a way back."""
    texts = texts_of_request(request)
    title = texts(_TITLES.get(error.code, "error.failed"))
    html = _templates.get_template("error.html").render(t=texts, title=title, message=error.message)
    return HTMLResponse(html, status_of(error))
