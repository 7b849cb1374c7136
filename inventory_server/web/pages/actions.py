"""What an operator changes on a page: each form is one request of the table, made by the server and audited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from inventory_server.clock import now_microseconds
from inventory_server.domain.requests import (
    REQUESTS,
    Administrative,
    MarkOrdered,
    MergeProducts,
    ReopenPosting,
    RevokeTerminal,
    SettleException,
)
from inventory_server.protocol.binding import SessionContext
from inventory_server.web.calls import CALLS, talk_of
from inventory_server.web.door import Door
from inventory_server.web.pages.forms import assert_form_of_ours, form_of, user_of_form

_SEE_OTHER = 303


class FormAction(NamedTuple):
    """A form: the request that it makes, the fields that it has, and the page that it is on.

    `after` makes a second request of the form and the outcome of the first.
    """

    request: type[Any]
    fields: tuple[str, ...]
    back: str
    after: Callable[[Mapping[str, str], Any], Administrative] | None = None


def _settle_mapped(form: Mapping[str, str], position: int) -> Administrative:
    """What was sold by a barcode waits for nobody once it is mapped to a product."""
    return SettleException("unlisted_product", position, subject=form["merge"].strip())


ACTIONS: Mapping[str, FormAction] = MappingProxyType(
    {
        "settle": FormAction(SettleException, ("flag", "position", "subject", "location"), "/exceptions"),
        "merge": FormAction(MergeProducts, ("merge", "into"), "/exceptions", _settle_mapped),
        "reopen": FormAction(ReopenPosting, ("id",), "/exceptions?group=rejected"),
        "revoke": FormAction(RevokeTerminal, ("terminal",), "/setup?tab=terminals"),
        "mark-ordered": FormAction(MarkOrdered, ("location", "sku", "quantity", "expected"), "/order"),
    }
)
"""The forms of the pages, by the last part of their address."""


def action_routes(changed: Callable[[], None]) -> list[BaseRoute]:
    """The routes of the forms; `changed` is called after each change."""
    return [Route(f"/do/{name}", _endpoint(action, changed), methods=["POST"]) for name, action in ACTIONS.items()]


def _endpoint(action: FormAction, changed: Callable[[], None]) -> Any:
    async def endpoint(request: Request) -> Response:
        form = await form_of(request)
        assert_form_of_ours(request, form)
        await run_in_threadpool(_carry_out, request, action, form)
        changed()
        return RedirectResponse(action.back, _SEE_OTHER)

    return endpoint


def _carry_out(request: Request, action: FormAction, form: Mapping[str, str]) -> None:
    user = user_of_form(request)
    talk = talk_of(user, request.app.state.settings, now_microseconds())
    door: Door = request.app.state.door
    outcome = door.change(requested(action, form, talk), user)
    if action.after is not None:
        door.change(action.after(form, outcome), user)


def requested(action: FormAction, form: Mapping[str, str], talk: SessionContext) -> Administrative:
    """The request that a form makes, as the API's call; RequestError `invalid_params` names the field that is wrong."""
    given = [(name, form[name].strip()) for name in action.fields if form.get(name, "").strip()]
    change: Administrative = CALLS[REQUESTS[action.request].name].of_query(given, talk)  # type: ignore[assignment]
    return change
