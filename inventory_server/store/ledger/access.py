"""Access checks: whether the terminal of a connection may still ask, and which locations are its own."""

from __future__ import annotations

import hashlib
import hmac
import shlex
from collections.abc import Iterable
from typing import Any

from msgspec import UnsetType
from sqlalchemy import CompoundSelect, Connection, bindparam, cast, null, select, union_all

from inventory_server.domain.requests import Hello
from inventory_server.domain.roles import RESERVED_TERMINAL, Actor, Speaker
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.records import Rights
from inventory_server.store.ledger.sql import Lookup, Statement
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.lists import ExceptionsParams, PlaceParams

_standing = Statement(
    select(t.terminal.c.revoked_at, t.terminal.c.epoch).where(t.terminal.c.terminal == bindparam("terminal"))
)


def _places() -> CompoundSelect[Any]:
    """Where each terminal was before, and each place, past or present, of a terminal that it `adopted`."""
    former, adoption, adopted = t.former_location.c, t.adoption.c, t.terminal.c
    of_adopted = (
        select(adoption.terminal, place.location, adoption.adopted).join_from(
            t.adoption, table, place.terminal == adoption.adopted
        )
        for table, place in ((t.terminal, adopted), (t.former_location, former))
    )
    own = select(former.terminal, former.location, cast(null(), t.TEXT).label("adopted"))
    return union_all(own, *of_adopted)


_by_terminal = _places().subquery()
_places_of = Lookup(_by_terminal, [_by_terminal.c.terminal])


def rights_of(connection: Connection, terminals: Iterable[str]) -> dict[str, Rights]:
    """Where else than at its present location each of `terminals` may post, and which terminals it adopted."""
    names = list(terminals)
    rows = _places_of(connection, [(name,) for name in names])
    found = {}
    for name in names:
        own = [row[1:] for row in rows if row[0] == name]
        adopted = sorted({other for _, other in own if other is not None})
        found[name] = Rights(frozenset(location for location, _ in own), tuple(adopted))
    return found


def own_places(connection: Connection, actor: Actor) -> frozenset[str] | None:
    """The locations that a till's postings are of; None for everybody else, who may see all."""
    if not isinstance(actor, Speaker) or actor.role != "till":
        return None
    return rights_of(connection, [actor.terminal])[actor.terminal].places | {actor.location}


def named_places(params: PlaceParams | ExceptionsParams) -> list[str] | None:
    """The locations that a question names; None if it names none."""
    if isinstance(params.locations, UnsetType):
        return None if isinstance(params.location, UnsetType) else [params.location]
    return params.locations


def visible_places(connection: Connection, actor: Actor, named: list[str] | None) -> list[str] | None:
    """The locations that an answer covers, None for all: those `named`; for a till, which sees no others, its own.

    RequestError `forbidden` where a till names another one.
    """
    own = own_places(connection, actor)
    if own is None:
        return named
    if others := sorted(set(named or ()) - own):
        message = (
            f"A till sees what concerns its own location, {' or '.join(sorted(own))}, not {others[0]}; "
            "a terminal with the role reader sees all."
        )
        raise RequestError(ErrorCode.forbidden, message, role=actor.role)
    return sorted(own) if named is None else named


def token_hash(token: str) -> bytes:
    """The stored form of a token: tokens are long and random, so a single SHA-256 is enough."""
    return hashlib.sha256(token.encode()).digest()


def assert_authentic(said: Hello, is_enrolled: bool, revoked_at: int | None, held: bytes | None) -> None:
    """RequestError, which says what to do, unless the terminal is enrolled and gave its token, whose hash is `held`."""
    name = said.terminal
    if name == RESERVED_TERMINAL:
        reason = f"The name {name} is reserved for HQ's own postings; say hello as another terminal."
    elif not is_enrolled:
        at = shlex.quote(said.location or "LOCATION")
        reason = f"Terminal {name} is not enrolled: check the name, or {ask_for(f'add {name} --location {at}')}."
    elif revoked_at is not None:
        reason = f"Terminal {name} is revoked: {ask_for(f'rotate {name}')}, which admits it again with a new token."
    elif said.trusted:
        return
    elif not said.token:
        reason = f"Terminal {name} gave no token: configure it, or {ask_for(f'rotate {name}')} for a new one."
    elif held and hmac.compare_digest(held, token_hash(said.token)):
        return
    else:
        reason = f"This is not the token of terminal {name}: correct it, or {ask_for(f'rotate {name}')} for a new one."
    raise RequestError(ErrorCode.unauthenticated, reason)


def ask_for(command: str) -> str:
    """What a till's user is told to do where only an operator can help."""
    return f"ask the operator for `inventory-server terminal {command}`"


def assert_not_revoked(connection: Connection, speaker: Speaker) -> None:
    """RequestError if the terminal was revoked after its hello, or a reader's token replaced."""
    rows = _standing(connection, terminal=speaker.terminal)
    assert_standing(speaker, *(rows[0] if rows else (None, None)))


def assert_standing(speaker: Speaker, revoked_at: int | None, epoch: int | None) -> None:
    """RequestError if `revoked_at` and `epoch` of its terminal deny `speaker` access; no epoch: no such terminal."""
    if revoked_at is not None or epoch is None or (speaker.role != "till" and epoch != speaker.epoch):
        raise _revoked(speaker)


def _revoked(speaker: Speaker) -> RequestError:
    return RequestError(
        ErrorCode.forbidden,
        f"Terminal {speaker.terminal} was revoked or has a new token: configure that, or ask the operator for "
        f"`inventory-server terminal rotate {speaker.terminal}`.",
    )
