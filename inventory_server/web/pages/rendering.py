"""From what a page shows to its HTML: the templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from inventory_server.web.pages.frame import Frame, texts_of_request

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


def rendered(template: str, frame: Frame, page: Any) -> Response:
    """The response that shows `page` by a template."""
    html = _templates.get_template(template).render(t=frame.texts, frame=frame, page=page)
    return HTMLResponse(html)


def rendered_alone(template: str, request: Request, page: Any, status: int = 200) -> Response:
    """The response that shows `page` by a template without the frame."""
    return HTMLResponse(_templates.get_template(template).render(t=texts_of_request(request), page=page), status)
