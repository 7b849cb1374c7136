"""Forms: what a browser sends without a script, by whom, and from which page."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from inventory_server.domain.people import KeyHolder
from inventory_server.domain.roles import User
from inventory_server.web.bodies import body_of
from inventory_server.web.limits import FORM_FIELDS_MAX, SIGN_IN_BYTES_MAX
from inventory_server.web.people import CSRF_FIELD, LedgerPeople, assert_csrf, assert_same_origin, peer_of
from pos_client.protocol.errors import ErrorCode, RequestError


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form; RequestError where the body is none."""
    body = await body_of(request, SIGN_IN_BYTES_MAX)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX))
    except ValueError as error:
        message = f"Expected a form of at most {FORM_FIELDS_MAX} fields, got something else: load the page again."
        raise RequestError(ErrorCode.invalid_request, message) from error


def assert_form_of_ours(request: Request, form: Mapping[str, str]) -> None:
    """RequestError `forbidden` where a form was sent by another site, or not from a page of this session."""
    assert_same_origin(request)
    assert_csrf(request, form.get(CSRF_FIELD))


def session_of_form(request: Request) -> KeyHolder | None:
    """The session whose form it is; None without one. Asks the ledger."""
    people = request.app.state.people
    return people.session_of(request) if isinstance(people, LedgerPeople) else None


def user_of_form(request: Request) -> User:
    """Who sends a form; RequestError `unauthenticated` where nobody is signed in any more. Asks the ledger."""
    holder = session_of_form(request)
    if holder is None:
        raise RequestError(ErrorCode.unauthenticated, "You are not signed in any more: sign in and send it again.")
    return User(holder.user, holder.role, f"web {peer_of(request)}")
