"""The requests of people at headquarters: users, what they sign in with, and what they are recognised by.

Passwords arrive hashed, keys as SHA-256: neither the ledger nor its backups hold what opens a door.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from inventory_server.domain.roles import ActorRequest

UserName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._@-]{1,64}$(?!\n)")]
"""Letters, digits, dots, dashes, underscores and @: a mail address will do."""
UserRole = Literal["reader", "operator", "admin"]
Purpose = Literal["session", "token", "link"]
"""What a key is for: to stay signed in, to call the API, or to set a password once."""
Label = Annotated[str, Meta(pattern=r"^[A-Za-z0-9 ._-]{1,64}$(?!\n)")]


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user as HQ lists it. `tokens` are the labels of its API tokens."""

    user: str
    role: str
    created_at: int
    has_password: bool
    sessions: int
    tokens: list[str]


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whose a key is; it is valid until `expires_at`, None: until it is removed."""

    user: str
    role: UserRole
    purpose: Purpose
    label: str
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class Secret:
    """What a user signs in with: the hash of the password, None if none was set."""

    user: str
    role: UserRole
    password: str | None


class ListUsers(ActorRequest, frozen=True):
    """All users, by name."""


class FindUser(ActorRequest, frozen=True):
    """What a user signs in with. Outcome: None if there is no such user."""

    user: str


class FindKey(ActorRequest, frozen=True):
    """Whose the key with the hash `key` is. Outcome: None if there is none that is valid."""

    key: bytes


class AddUser(ActorRequest, frozen=True):
    """Add a user, who sets a password by the link with the hash `key`, valid until `expires_at` (microseconds)."""

    user: UserName
    role: UserRole
    key: bytes
    expires_at: int


class ResetUser(ActorRequest, frozen=True):
    """Take a user's password and sessions away, and have a new one set by the link with the hash `key`."""

    user: UserName
    key: bytes
    expires_at: int


class SetUserRole(ActorRequest, frozen=True):
    """Change what a user may do, from the next request on."""

    user: UserName
    role: UserRole


class RemoveUser(ActorRequest, frozen=True):
    """Remove a user with all sessions and tokens; what the user did stays in the audit trail."""

    user: UserName


class RedeemLink(ActorRequest, frozen=True):
    """Set the password of the user whose link has the hash `key`. Outcome: the user; None if it is not valid."""

    key: bytes
    password: str


class SetPassword(ActorRequest, frozen=True):
    """Replace the actor's own password hash `verified` and end all of the actor's sessions.

    Outcome: False if it has been replaced meanwhile.
    """

    verified: str
    password: str


class OpenSession(ActorRequest, frozen=True):
    """Sign in the actor, whose password hash `verified` was found to match. Outcome: False if it is another by now."""

    verified: str
    key: bytes
    expires_at: int


class CloseSession(ActorRequest, frozen=True):
    """Sign out: end the session with the hash `key`, if it is the actor's."""

    key: bytes


class AddToken(ActorRequest, frozen=True):
    """Give a user an API token, by its hash `key`; it does what the user may. The label tells it from others."""

    user: UserName
    label: Label
    key: bytes
    expires_at: int | None = None


class RemoveToken(ActorRequest, frozen=True):
    """Refuse an API token of a user from now on."""

    user: UserName
    label: Label
