"""The addresses of the pages."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from inventory_server.web.limits import LANGUAGE_COOKIE_SECONDS
from inventory_server.web.pages.actions import action_routes
from inventory_server.web.pages.address import STOCK_PATH
from inventory_server.web.pages.counts import counts_page
from inventory_server.web.pages.exceptions import exceptions_page
from inventory_server.web.pages.frame import LANGUAGE_COOKIE, Visit, visit_of
from inventory_server.web.pages.level_counts import LevelCounts
from inventory_server.web.pages.order import order_page
from inventory_server.web.pages.order_kept import KeptOrder
from inventory_server.web.pages.product import product_page
from inventory_server.web.pages.rendering import STATIC_FOLDER, rendered
from inventory_server.web.pages.setup import setup_page
from inventory_server.web.pages.signing_in import sign_in_routes
from inventory_server.web.pages.stock import stock_page
from inventory_server.web.pages.texts import LANGUAGES
from inventory_server.web.pages.tills import tills_page
from pos_client.protocol.errors import ErrorCode, RequestError

_PAGES: tuple[tuple[str, str, Callable[[Visit], Any]], ...] = (
    ("/product/{sku:path}", "product.html", product_page),
    ("/counts", "counts.html", counts_page),
    ("/tills", "tills.html", tills_page),
    ("/exceptions", "exceptions.html", exceptions_page),
    ("/setup", "setup.html", setup_page),
)
"""Each page: its address, its template, and what it shows; those that keep something are in `page_routes`."""


def page_routes() -> list[BaseRoute]:
    """The routes of all pages, and of the files that they need."""
    counts, kept = LevelCounts(time.monotonic), KeptOrder(time.monotonic)
    return [
        Route("/", _start),
        Route(STOCK_PATH, _endpoint("stock.html", lambda visit: stock_page(visit, counts))),
        Route("/order", _endpoint("order.html", lambda visit: order_page(visit, kept))),
        *sign_in_routes(),
        *action_routes(kept.forget),
        Route("/language/{code}", _choose_language),
        Mount("/static", StaticFiles(directory=STATIC_FOLDER), name="static"),
        *(Route(path, _endpoint(template, show)) for path, template, show in _PAGES),
    ]


def _endpoint(template: str, show: Callable[[Visit], Any]) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        page = show(visit_of(request))
        return rendered(template, page.frame, page)

    endpoint.__name__ = template.removesuffix(".html")
    return endpoint


def _start(_: Request) -> Response:
    return RedirectResponse(STOCK_PATH)


def _choose_language(request: Request) -> Response:
    """Keep a language, and go back to the page that was shown."""
    code = request.path_params["code"]
    if code not in LANGUAGES:
        expected = ", ".join(LANGUAGES)
        raise RequestError(ErrorCode.not_found, f"Language: expected one of {expected}, got {code[:20]!r}.")
    response = RedirectResponse(_back(request))
    response.set_cookie(LANGUAGE_COOKIE, code, max_age=LANGUAGE_COOKIE_SECONDS, httponly=True, samesite="lax")
    return response


def _back(request: Request) -> str:
    """The page of this site that a request comes from."""
    site, came = str(request.base_url), request.headers.get("referer", "")
    return came.removeprefix(site.rstrip("/")) if came.startswith(site) else STOCK_PATH
