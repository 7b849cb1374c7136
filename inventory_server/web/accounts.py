"""Signing in and out, passwords and the links by which they are set: rules without HTTP."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from inventory_server.clock import Clock
from inventory_server.domain.limits import LINK_SECONDS
from inventory_server.domain.people import (
    AddUser,
    CloseSession,
    FindKey,
    FindUser,
    KeyHolder,
    OpenSession,
    RedeemLink,
    ResetUser,
    Secret,
    SetPassword,
    UserRole,
)
from inventory_server.domain.roles import HEADQUARTERS, User
from inventory_server.web.door import Door
from inventory_server.web.limits import KEY_BYTES, SESSION_SECONDS
from inventory_server.web.passwords import Attempts, Passwords
from inventory_server.web.people import key_hash
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.units import SECOND_MICROS


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session that was opened: its `key` for the cookie; `expires_at` in microseconds."""

    key: str
    user: str
    role: UserRole
    expires_at: int


@dataclass(frozen=True, slots=True)
class PasswordLink:
    """A link by which `user` sets a password: what comes behind `/welcome#`; `expires_at` in microseconds."""

    link: str
    user: str
    expires_at: int


class Accounts:
    """The accounts of the ledger behind `door`; each method may be called by any thread, and waits."""

    def __init__(self, door: Door, clock: Clock, passwords: Passwords | None = None) -> None:
        self._door = door
        self._clock = clock
        self._passwords = passwords or Passwords()
        self._attempts = Attempts()

    def sign_in(self, user: str, password: str, peer: str) -> OpenedSession:
        """Open a session; RequestError `unauthenticated` for a wrong name or password, `busy` after too many."""
        held = self._verified(user, password, peer)
        now = self._clock()
        key, expires_at = secrets.token_urlsafe(KEY_BYTES), now + SESSION_SECONDS * SECOND_MICROS
        change = OpenSession(held.password or "", key_hash(key), expires_at)
        if not self._door.change(change, User(user, held.role, f"web {peer}")):
            raise _wrong()
        return OpenedSession(key, user, held.role, expires_at)

    def sign_out(self, key: str, actor: User) -> None:
        """End the session `key` of `actor`."""
        self._door.change(CloseSession(key_hash(key)), actor)

    def set_password(self, actor: User, password: str, new: str, peer: str) -> None:
        """Replace the password of `actor`, who knows it, and end all sessions of `actor`."""
        hashed = self._passwords.hash(new)
        held = self._verified(actor.name, password, peer)
        if not self._door.change(SetPassword(held.password or "", hashed), actor):
            raise _wrong()

    def invite(self, user: str, role: UserRole, actor: User) -> PasswordLink:
        """Add a user, and the link by which a password is set."""
        link, expires_at = self._new_link()
        self._door.change(AddUser(user, role, key_hash(link), expires_at), actor)
        return PasswordLink(link, user, expires_at)

    def reset(self, user: str, actor: User) -> PasswordLink:
        """Take a user's password and sessions away; a new password is set by the link."""
        link, expires_at = self._new_link()
        self._door.change(ResetUser(user, key_hash(link), expires_at), actor)
        return PasswordLink(link, user, expires_at)

    def redeem(self, link: str, password: str, peer: str) -> str:
        """Set a password by a link; who it is. RequestError `unauthenticated` if it is used or expired."""
        key = key_hash(link)
        holder: KeyHolder | None = self._door.ask(FindKey(key), HEADQUARTERS)
        user: str | None = None
        if holder is not None and holder.purpose == "link":  # else anybody could have passwords hashed
            hashed = self._passwords.hash(password)
            user = self._door.change(RedeemLink(key, hashed), User("nobody", "nobody", f"web {peer}"))
        if user is None:
            message = "This link is used, expired or mistyped: ask an administrator for a new one."
            raise RequestError(ErrorCode.unauthenticated, message)
        return user

    def _verified(self, user: str, password: str, peer: str) -> Secret:
        self._attempts.begin(user, peer, self._clock())
        held: Secret | None = self._door.ask(FindUser(user), HEADQUARTERS)
        if not self._passwords.matches(None if held is None else held.password, password) or held is None:
            raise _wrong()
        self._attempts.succeeded(user, peer)
        return held

    def _new_link(self) -> tuple[str, int]:
        return secrets.token_urlsafe(KEY_BYTES), self._clock() + LINK_SECONDS * SECOND_MICROS


def _wrong() -> RequestError:
    return RequestError(ErrorCode.unauthenticated, "The name or the password is wrong.")
