"""Who may ask for what: the roles of terminals and people, and who an actor is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from pos_client.protocol.messages import Role

ActorRole = Role | Literal["admin", "nobody"]
"""A terminal's role; `admin`: has write access to the ledger's files or database; `nobody`: may do nothing."""

EVERYBODY: frozenset[ActorRole] = frozenset(("till", "reader", "operator", "admin"))
POSTERS: frozenset[ActorRole] = frozenset(("till", "operator"))
OPERATORS: frozenset[ActorRole] = frozenset(("operator", "admin"))
ADMINS: frozenset[ActorRole] = frozenset(("admin",))


@dataclass(frozen=True, slots=True)
class User:
    """A person, or a program of headquarters, that asks; `source` tells from where."""

    name: str
    role: ActorRole
    source: str


@dataclass(frozen=True, slots=True)
class Speaker:
    """The terminal that speaks on a connection, as settled by `hello`; `source` is the address of its peer.

    `epoch` fences a till's older connections. `lineage_key` is the bytes of `lineage`, worked out once.
    """

    terminal: str
    role: Role
    location: str
    epoch: int
    lineage: UUID | None
    source: str = field(default="", compare=False)
    lineage_key: bytes | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lineage_key", None if self.lineage is None else self.lineage.bytes)

    @property
    def name(self) -> str:
        """The terminal's name, as of any actor."""
        return self.terminal


Actor = User | Speaker
NOBODY = User("", "nobody", "")
"""The actor of a request that names none."""
HEADQUARTERS = User("hq", "admin", "here")
"""The server itself, and whatever runs in its process."""
