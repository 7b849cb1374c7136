"""Roles and actors: who may make which request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import msgspec

from pos_client.protocol.fields import Role

ActorRole = Role | Literal["admin", "nobody"]
"""A terminal's role; `admin`: has write access to the ledger's files or database; `nobody`: may do nothing."""

EVERYBODY: frozenset[ActorRole] = frozenset(("till", "reader", "operator", "admin"))
POSTERS: frozenset[ActorRole] = frozenset(("till", "operator"))
OPERATORS: frozenset[ActorRole] = frozenset(("operator", "admin"))
ADMINS: frozenset[ActorRole] = frozenset(("admin",))


@dataclass(frozen=True, slots=True)
class User:
    """A person or program at headquarters; `source` states how it connects."""

    name: str
    role: ActorRole
    source: str


@dataclass(frozen=True, slots=True)
class Speaker:
    """The terminal authenticated by `hello` on a connection; `source` is the address of the peer.

    `epoch` fences a till's older connections. `lineage_key` is the bytes of `lineage`, computed once. `backdated`: the
    connection has announced old postings.
    """

    terminal: str
    role: Role
    location: str
    epoch: int
    lineage: UUID | None
    source: str = field(default="", compare=False)
    backdated: bool = False
    lineage_key: bytes | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lineage_key", None if self.lineage is None else self.lineage.bytes)

    @property
    def name(self) -> str:
        """The terminal's name, under the attribute that every actor has."""
        return self.terminal


Actor = User | Speaker
STRANGERS: frozenset[ActorRole] = frozenset(("nobody",))
"""Who has not said hello, and may do what needs a code instead."""
NOBODY = User("", "nobody", "")
"""The actor of a request that names none."""
RESERVED_TERMINAL = "hq"
"""The terminal of HQ's own postings: nobody connects as it, and none is enrolled under its name."""
HQ_POSTING = Speaker(RESERVED_TERMINAL, "operator", "", 0, None, "here")
"""Who makes HQ's own postings; those that name no location are of none."""
HEADQUARTERS = User("hq", "admin", "here")
"""The server process itself."""


class ActorRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the requests of people and terminals: who asks. Without an actor it is refused."""

    actor: Actor = NOBODY
