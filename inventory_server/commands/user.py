"""`inventory-server user`: the people who sign in, and the programs that call the API."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import click

from inventory_server.clock import now_microseconds
from inventory_server.commands.options import checked, db_option, json_option, office_of, told, when
from inventory_server.commands.token_file import issued
from inventory_server.config import TOKEN_BYTES
from inventory_server.domain.limits import LINK_SECONDS
from inventory_server.domain.people import (
    AddToken,
    AddUser,
    Label,
    ListUsers,
    RemoveToken,
    RemoveUser,
    ResetUser,
    SetUserRole,
    UserName,
    UserRole,
    UserRow,
)
from pos_client.commands import console
from pos_client.protocol.units import SECOND_MICROS, instant

_COLUMNS = {"user": False, "role": False, "password": False, "sessions": True, "API tokens": False, "since": False}
_roles = click.Choice(["reader", "operator", "admin"])


@click.group("user")
def user() -> None:
    """Add, list and remove the people who sign in at headquarters, and the programs that call its API."""


@user.command("add")
@click.argument("name")
@click.option(
    "--role",
    type=_roles,
    default="reader",
    show_default=True,
    help="A reader asks, an operator changes what HQ keeps, an admin also manages terminals and users.",
)
@db_option
@json_option
def add(name: str, role: UserRole, db: str, as_json: bool) -> int:
    """Add user NAME and print the link, valid once and for a day, at which the user sets a password."""
    checked(name, UserName, "a user name of 1 to 64 letters, digits, dots, dashes, underscores or @")
    link, expires_at = invite(db, name, role)
    _say_link(as_json, f"Added the {role} {name}.", name, link, expires_at)
    return console.OK


def invite(db: str, name: str, role: UserRole) -> tuple[str, int]:
    """Add a user; the secret of the link at which a password is set, and until when it is valid (microseconds)."""
    link, key, expires_at = _new_link()
    with office_of(db) as office:
        office.change(AddUser(name, role, key, expires_at))
    return link, expires_at


@user.command("reset")
@click.argument("name")
@db_option
@json_option
def reset(name: str, db: str, as_json: bool) -> int:
    """Take the password and the sessions of user NAME away, and print a link for a new one. API tokens stay."""
    link, key, expires_at = _new_link()
    with office_of(db) as office:
        office.change(ResetUser(name, key, expires_at))
    _say_link(as_json, f"The password of {name} is no longer valid.", name, link, expires_at)
    return console.OK


@user.command("role")
@click.argument("name")
@click.argument("role", type=_roles)
@db_option
@json_option
def set_role(name: str, role: UserRole, db: str, as_json: bool) -> int:
    """Change what user NAME may do, with open sessions and API tokens, too."""
    with office_of(db) as office:
        office.change(SetUserRole(name, role))
    console.say_or_json(as_json, f"User {name} has the role {role} now.", user=name, role=role)
    return console.OK


@user.command("remove")
@click.argument("name")
@db_option
@json_option
def remove(name: str, db: str, as_json: bool) -> int:
    """Remove user NAME, all sessions and API tokens. What the user did stays in the audit trail."""
    with office_of(db) as office:
        office.change(RemoveUser(name))
    console.say_or_json(as_json, f"User {name} is removed.", user=name, removed=True)
    return console.OK


@user.command("token")
@click.argument("name")
@click.argument("label")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the token to this file instead of NAME-LABEL.token in the current folder.",
)
@click.option("--revoke", is_flag=True, help="Refuse the token with this label from now on instead.")
@db_option
@json_option
def token(name: str, label: str, token_file: Path | None, revoke: bool, db: str, as_json: bool) -> int:
    """Write a token for the HTTP API, with which a program may do what user NAME may; LABEL tells it from others."""
    checked(label, Label, "a label of 1 to 64 letters, digits, spaces, dots, dashes or underscores")
    if revoke:
        with office_of(db) as office:
            office.change(RemoveToken(name, label))
        console.say_or_json(as_json, f"The token {label} of {name} is revoked.", user=name, label=label, revoked=True)
        return console.OK
    made, path = secrets.token_urlsafe(TOKEN_BYTES), token_file or Path(f"{name}-{label}.token")
    with office_of(db) as office, issued(path, made):
        office.change(AddToken(name, label, _hash(made)))
    sentence = f"The token {label} of {name} is in {path}."
    console.say_or_json(as_json, sentence, user=name, label=label, token_file=str(path))
    return console.OK


@user.command("list")
@db_option
@json_option
def listing(db: str, as_json: bool) -> int:
    """Show all users."""
    with office_of(db) as office:
        rows: list[UserRow] = office.ask(ListUsers())
    if as_json:
        console.print_json([told(row) for row in rows])
        return console.OK
    console.print_table(
        _COLUMNS,
        [
            [
                row.user,
                row.role,
                "set" if row.has_password else "not set",
                str(row.sessions),
                ", ".join(row.tokens),
                when(row.created_at),
            ]
            for row in rows
        ],
    )
    return console.OK


def _new_link() -> tuple[str, bytes, int]:
    """A link's secret, its hash and until when it is valid, in microseconds."""
    link = secrets.token_urlsafe(TOKEN_BYTES)
    return link, _hash(link), now_microseconds() + LINK_SECONDS * SECOND_MICROS


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _say_link(as_json: bool, sentence: str, name: str, link: str, expires_at: int) -> None:
    path = f"/welcome#{link}"
    said = f"{sentence} A password is set once, until {when(expires_at)}, at http://HOST:PORT{path}"
    console.say_or_json(as_json, said, user=name, path=path, expires_at=instant(expires_at))
