"""Users, their passwords, sessions, API tokens and links."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from inventory_server.domain.limits import KEYS_MAX, USERS_MAX
from inventory_server.domain.people import (
    AddToken,
    AddUser,
    CloseSession,
    KeyHolder,
    OpenSession,
    Purpose,
    RedeemLink,
    RemoveToken,
    ResetUser,
    Secret,
    SetPassword,
    SetUserRole,
    UserRow,
)
from inventory_server.store.admin.near import did_you_mean
from inventory_server.store.database.base import StoreError
from inventory_server.store.ledger import tables as t

_person, _key = t.person.c, t.person_key.c


def list_users(connection: Connection, now: int) -> list[UserRow]:
    """All users by name, with what is valid of theirs now."""
    sessions: dict[str, int] = defaultdict(int)
    tokens: dict[str, list[str]] = defaultdict(list)
    valid = _key.expires_at.is_(None) | (_key.expires_at > now)
    for name, purpose, label in connection.execute(
        select(_key.person, _key.purpose, _key.label).where(valid).order_by(_key.label)
    ):
        if purpose == "session":
            sessions[name] += 1
        elif purpose == "token":
            tokens[name].append(label)
    rows = connection.execute(select(t.person).order_by(_person.person))
    return [
        UserRow(
            row.person, row.role, row.created_at, row.password is not None, sessions[row.person], tokens[row.person]
        )
        for row in rows
    ]


def find_user(connection: Connection, user: str) -> Secret | None:
    """What a user signs in with; None if there is no such user."""
    row = connection.execute(select(_person.person, _person.role, _person.password).where(_is(user))).first()
    return None if row is None else Secret(*row)


def find_key(connection: Connection, key: bytes, now: int) -> KeyHolder | None:
    """Whose a key is; None if there is none that is valid."""
    row = connection.execute(
        select(_person.person, _person.role, _key.purpose, _key.label, _key.expires_at)
        .join_from(t.person_key, t.person)
        .where(_key.key == key, _key.expires_at.is_(None) | (_key.expires_at > now))
    ).first()
    return None if row is None else KeyHolder(*row)


def add_user(connection: Connection, change: AddUser, now: int) -> None:
    """Add a user with a link; StoreError if the name is taken, or there are too many."""
    if find_user(connection, change.user) is not None:
        raise StoreError(f"User {change.user} exists already; give a new link with: user reset {change.user}")
    if connection.execute(select(func.count()).select_from(t.person)).scalar_one() >= USERS_MAX:
        raise StoreError(f"There are {USERS_MAX} users already: remove some with: user remove NAME")
    connection.execute(insert(t.person).values(person=change.user, role=change.role, created_at=now))
    _add_key(connection, change.key, change.user, "link", "", change.expires_at, now)


def reset_user(connection: Connection, change: ResetUser, now: int) -> None:
    """Take away password, sessions and links, and add a new link; API tokens stay."""
    _update(connection, change.user, password=None)
    _end(connection, change.user, "session", "link")
    _add_key(connection, change.key, change.user, "link", "", change.expires_at, now)


def set_user_role(connection: Connection, change: SetUserRole) -> None:
    """Change a user's role."""
    _update(connection, change.user, role=change.role)


def remove_user(connection: Connection, user: str) -> None:
    """Remove a user and all keys; StoreError if there is none."""
    connection.execute(delete(t.person_key).where(_key.person == user))
    if not connection.execute(delete(t.person).where(_is(user))).rowcount:
        raise _unknown(connection, user)


def redeem_link(connection: Connection, change: RedeemLink, now: int) -> str | None:
    """Set a password by a link, which is used up; who it is, None if it is not valid."""
    holder = find_key(connection, change.key, now)
    if holder is None or holder.purpose != "link":
        return None
    _update(connection, holder.user, password=change.password)
    _end(connection, holder.user, "session", "link")
    return holder.user


def set_password(connection: Connection, change: SetPassword) -> bool:
    """Replace the actor's password and end the sessions; False if it is another one by now."""
    if not _is_verified(connection, change.actor.name, change.verified):
        return False
    _update(connection, change.actor.name, password=change.password)
    _end(connection, change.actor.name, "session", "link")
    return True


def open_session(connection: Connection, change: OpenSession, now: int) -> bool:
    """Add a session of the actor; False if the password is another one by now. The oldest gives way."""
    name = change.actor.name
    if not _is_verified(connection, name, change.verified):
        return False
    connection.execute(delete(t.person_key).where(_key.expires_at <= now))
    _make_room(connection, name)
    _add_key(connection, change.key, name, "session", "", change.expires_at, now)
    return True


def close_session(connection: Connection, change: CloseSession) -> None:
    """End a session of the actor; one that is not there is ended already."""
    named = (_key.key == change.key, _key.person == change.actor.name, _key.purpose == "session")
    connection.execute(delete(t.person_key).where(*named))


def add_token(connection: Connection, change: AddToken, now: int) -> None:
    """Add an API token; StoreError if the user has one of that label, or too many, or is unknown."""
    if find_user(connection, change.user) is None:
        raise _unknown(connection, change.user)
    labels = _tokens_of(connection, change.user)
    if change.label in labels:
        raise StoreError(
            f"User {change.user} has a token {change.label!r} already; remove it first, or choose another label."
        )
    if len(labels) >= KEYS_MAX:
        raise StoreError(f"User {change.user} has {KEYS_MAX} tokens already; remove some.")
    _add_key(connection, change.key, change.user, "token", change.label, change.expires_at, now)


def remove_token(connection: Connection, change: RemoveToken) -> None:
    """Remove an API token; StoreError if there is none."""
    named = (_key.person == change.user, _key.purpose == "token", _key.label == change.label)
    if not connection.execute(delete(t.person_key).where(*named)).rowcount:
        has = ", ".join(map(repr, _tokens_of(connection, change.user))) or "none"
        raise StoreError(f"User {change.user} has no token {change.label!r}; there is: {has}.")


def _tokens_of(connection: Connection, user: str) -> list[str]:
    named = (_key.person == user, _key.purpose == "token")
    return list(connection.execute(select(_key.label).where(*named).order_by(_key.label)).scalars())


def _make_room(connection: Connection, user: str) -> None:
    named = (_key.person == user, _key.purpose == "session")
    newest = select(_key.key).where(*named).order_by(_key.created_at.desc(), _key.key).limit(KEYS_MAX - 1)
    kept = list(connection.execute(newest).scalars())
    connection.execute(delete(t.person_key).where(*named, _key.key.not_in(kept)))


def _add_key(
    connection: Connection, key: bytes, user: str, purpose: Purpose, label: str, expires_at: int | None, now: int
) -> None:
    values = {"key": key, "person": user, "purpose": purpose, "label": label, "expires_at": expires_at}
    connection.execute(insert(t.person_key).values(created_at=now, **values))


def _is_verified(connection: Connection, user: str, verified: str) -> bool:
    held = find_user(connection, user)
    return held is not None and held.password == verified


def _end(connection: Connection, user: str, *purposes: Purpose) -> None:
    connection.execute(delete(t.person_key).where(_key.person == user, _key.purpose.in_(purposes)))


def _update(connection: Connection, user: str, **values: object) -> None:
    if not connection.execute(update(t.person).where(_is(user)).values(**values)).rowcount:
        raise _unknown(connection, user)


def _unknown(connection: Connection, user: str) -> StoreError:
    near = did_you_mean(connection, _person.person, user)
    return StoreError(f"There is no user {user}; {near}see: inventory-server user list")


def _is(user: str) -> ColumnElement[bool]:
    return _person.person == user
