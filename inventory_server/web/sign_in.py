"""Sign-in over HTTP: sessions, passwords and links; what a page or a program sends and gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from inventory_server.domain.people import UserName, UserRole
from inventory_server.domain.roles import ADMINS, User
from inventory_server.web.accounts import Accounts, PasswordLink
from inventory_server.web.bodies import body_of, decoded
from inventory_server.web.limits import KEY_LENGTH_MAX, SIGN_IN_BYTES_MAX
from inventory_server.web.people import (
    COOKIE,
    LedgerPeople,
    actor_of,
    assert_same_origin,
    csrf_of,
    csrf_of_key,
    forget_session,
    keep_session,
    peer_of,
)
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.units import instant

T = TypeVar("T")
PREFIX = "/api/v1"


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody signs in with."""

    user: str
    password: str


class NewPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The present password and the new one."""

    password: str
    new_password: str


class LinkPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came behind `#` of a link, and the password that it sets."""

    link: Annotated[str, Meta(max_length=KEY_LENGTH_MAX)]
    password: str


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user to add; without a role, one whose password is to be set anew."""

    user: UserName
    role: UserRole | None = None


class InvitationLink(msgspec.Struct, frozen=True):
    """Where the user sets a password, until when; the path holds the secret behind `#`, so no log has it."""

    user: str
    path: str
    expires_at: datetime


class SessionFacts(msgspec.Struct, frozen=True):
    """Who is signed in, until when (None: by a token that does not expire), and the token for changes."""

    user: str
    role: str
    expires_at: datetime | None
    csrf: str


class Redeemer(msgspec.Struct, frozen=True):
    """Whose password was set."""

    user: str


def routes() -> list[BaseRoute]:
    """The routes of sign-in."""
    return [
        Route(f"{PREFIX}/session", _session, methods=["GET"]),
        Route(f"{PREFIX}/session", _with(Credentials, _sign_in), methods=["POST"]),
        Route(f"{PREFIX}/session", _sign_out, methods=["DELETE"]),
        Route(f"{PREFIX}/password", _with(NewPassword, _set_password), methods=["POST"]),
        Route(f"{PREFIX}/link", _with(LinkPassword, _redeem), methods=["POST"]),
        Route(f"{PREFIX}/invite", _with(Invitation, _invite), methods=["POST"]),
    ]


def _with(kind: type[T], handle: Callable[[Request, T], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        sent = decoded(await body_of(request, SIGN_IN_BYTES_MAX), kind)
        return await run_in_threadpool(handle, request, sent)

    return endpoint


def _accounts(request: Request) -> Accounts:
    accounts: Accounts = request.app.state.accounts
    return accounts


def _session(request: Request) -> Response:
    user = actor_of(request)
    people = request.app.state.people
    held = people.session_of(request) if isinstance(people, LedgerPeople) else None
    until = None if held is None or held.expires_at is None else instant(held.expires_at)
    return _json(SessionFacts(user.name, user.role, until, csrf_of(request)))


def _sign_in(request: Request, sent: Credentials) -> Response:
    assert_same_origin(request)
    opened = _accounts(request).sign_in(sent.user, sent.password, peer_of(request))
    facts = SessionFacts(opened.user, opened.role, instant(opened.expires_at), csrf_of_key(opened.key))
    response = _json(facts)
    keep_session(response, request, opened.key)
    return response


def _sign_out(request: Request) -> Response:
    user = actor_of(request)
    if key := request.cookies.get(COOKIE):
        _accounts(request).sign_out(key, user)
    response = Response(status_code=204)
    forget_session(response)
    return response


def _set_password(request: Request, sent: NewPassword) -> Response:
    _accounts(request).set_password(actor_of(request), sent.password, sent.new_password, peer_of(request))
    response = Response(status_code=204)
    forget_session(response)
    return response


def _redeem(request: Request, sent: LinkPassword) -> Response:
    assert_same_origin(request)
    return _json(Redeemer(_accounts(request).redeem(sent.link, sent.password, peer_of(request))))


def _invite(request: Request, sent: Invitation) -> Response:
    actor = actor_of(request)
    _assert_admin(actor)
    accounts = _accounts(request)
    made = accounts.reset(sent.user, actor) if sent.role is None else accounts.invite(sent.user, sent.role, actor)
    return _json(InvitationLink(made.user, link_path(made), instant(made.expires_at)))


def link_path(made: PasswordLink) -> str:
    """Where a user sets a password: behind `#`, which no browser sends and no log has."""
    return f"/welcome#{made.link}"


def _assert_admin(actor: User) -> None:
    if actor.role not in ADMINS:
        message = f"The role {actor.role} may not invite users: use another role."
        raise RequestError(ErrorCode.forbidden, message, role=actor.role)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
