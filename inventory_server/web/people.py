"""Who sends a request: a signed-in person, or a program with a token."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request

from inventory_server.domain.roles import User
from pos_client.protocol.errors import ErrorCode, RequestError


class People(Protocol):
    """Recognises who sends a request; may ask the ledger, so it is called by `def` routes alone."""

    def user_of(self, request: Request) -> User | None:
        """Who is signed in; None for nobody. RequestError `unauthenticated` for a token that is not valid."""


def actor_of(request: Request) -> User:
    """Who sends `request`; RequestError `unauthenticated` where nobody is signed in."""
    people: People = request.app.state.people
    user = people.user_of(request)
    if user is None:
        raise RequestError(ErrorCode.unauthenticated, "Sign in, or send a token: Authorization: Bearer TOKEN.")
    return user
