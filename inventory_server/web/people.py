"""Who sends a request: a signed-in person, a program with an API token, or a terminal with its own."""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from inventory_server.domain.people import FindKey, KeyHolder
from inventory_server.domain.roles import HEADQUARTERS, User
from inventory_server.web.door import Door
from inventory_server.web.limits import KEY_LENGTH_MAX, SESSION_SECONDS
from pos_client.protocol.errors import ErrorCode, RequestError

COOKIE = "tillwire_session"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class People(Protocol):
    """Recognises who sends a request; may ask the ledger, so it is called in threads alone."""

    def user_of(self, request: Request) -> User | None:
        """Who is signed in; None for nobody. RequestError `unauthenticated` for a token that is not valid."""


class LedgerPeople:
    """The users of the ledger behind `door`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def user_of(self, request: Request) -> User | None:
        """Who is signed in, by an API token or else by a session, whose changes must come from a page of ours."""
        authorization = request.headers.get("authorization")
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            holder = self._holder(token.strip(), "token") if scheme.lower() == "bearer" else None
            if holder is None:
                raise RequestError(
                    ErrorCode.unauthenticated, "This API token is not valid: ask for another one, or correct it."
                )
            return _user(holder, request)
        holder = self._holder(request.cookies.get(COOKIE, ""), "session")
        if holder is None:
            return None
        if request.method not in _SAFE:
            assert_same_origin(request)
            assert_csrf(request, request.headers.get(CSRF_HEADER))
        return _user(holder, request)

    def session_of(self, request: Request) -> KeyHolder | None:
        """The session of a request; None without one."""
        return self._holder(request.cookies.get(COOKIE, ""), "session")

    def _holder(self, key: str, purpose: str) -> KeyHolder | None:
        if not 0 < len(key) <= KEY_LENGTH_MAX:
            return None
        holder: KeyHolder | None = self._door.ask(FindKey(key_hash(key)), HEADQUARTERS)
        return holder if holder is not None and holder.purpose == purpose else None


def actor_of(request: Request) -> User:
    """Who sends `request`; RequestError `unauthenticated` where nobody is signed in."""
    people: People = request.app.state.people
    user = people.user_of(request)
    if user is None:
        raise RequestError(ErrorCode.unauthenticated, "Sign in, or send a token: Authorization: Bearer TOKEN.")
    return user


def peer_of(request: Request) -> str:
    """The address of whoever sends `request`."""
    return "local" if request.client is None else request.client.host


def key_hash(key: str) -> bytes:
    """What the ledger keeps of a key."""
    return hashlib.sha256(key.encode()).digest()


def csrf_of(request: Request) -> str:
    """The token that a form of this session sends back; empty without a session."""
    key = request.cookies.get(COOKIE, "")
    return csrf_of_key(key) if key else ""


def csrf_of_key(key: str) -> str:
    """The token of the session `key`; it does not tell the key."""
    return hashlib.sha256(b"csrf " + key.encode()).hexdigest()


def assert_csrf(request: Request, sent: str | None) -> None:
    """RequestError `forbidden` where `sent` is not the token of the session."""
    if sent is None or not hmac.compare_digest(sent.encode(), csrf_of(request).encode()):
        message = f"This session's changes need its token in {CSRF_HEADER}: load the page again."
        raise RequestError(ErrorCode.forbidden, message)


def assert_same_origin(request: Request) -> None:
    """RequestError `forbidden` where a browser says that another site has sent `request`.

    The scheme is left out: behind a proxy it differs.
    """
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    if origin is not None and origin.partition("://")[2] != host:
        raise RequestError(ErrorCode.forbidden, f"A page of {origin[:KEY_LENGTH_MAX]} may not change anything here.")
    if origin is None and request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise RequestError(ErrorCode.forbidden, "A page of another site may not change anything here.")


def keep_session(response: Response, request: Request, key: str) -> None:
    """Have the browser send the session `key` from now on."""
    is_secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, key, SESSION_SECONDS, httponly=True, secure=is_secure, samesite="lax", path="/")


def forget_session(response: Response) -> None:
    """Have the browser forget its session."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")


def _user(holder: KeyHolder, request: Request) -> User:
    return User(holder.user, holder.role, f"web {peer_of(request)}")
