"""What the connections of a server share, and what it tells of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from inventory_server.jsonserver.budget import ByteBudget
from inventory_server.jsonserver.handler import JsonHandler, Peer, RefusalEncoder
from inventory_server.jsonserver.limits import NetworkLimits
from inventory_server.jsonserver.loop import Loop
from inventory_server.jsonserver.newcomers import Handshakes, Newcomers
from inventory_server.jsonserver.outgoing import OutgoingOwner
from inventory_server.jsonserver.tls import ServerTls
from inventory_server.jsonserver.turns import Turns

ConnectionT = TypeVar("ConnectionT")


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """A connected client: its address, for how many seconds, and how many frames and bytes went each way."""

    address: str
    connected_seconds: float
    frames: int
    received_bytes: int
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class Service(Generic[ConnectionT]):
    """What the connections of a server share. All is called on the loop's thread but `open_handler`."""

    loop: Loop
    limits: NetworkLimits
    tls: ServerTls | None
    encode_refusal: RefusalEncoder
    open_handler: Callable[[ConnectionT], JsonHandler | None]
    """Makes the handler of a connection, where handlers run; None where the client is refused."""
    turns: Callable[[Peer], Turns]
    """Makes what calls the handler; RuntimeError where the machine has no thread left."""
    newcomers: Newcomers | None
    """The clients that have not identified themselves; None where none has to."""
    handshakes: Handshakes
    arriving: ByteBudget[ConnectionT]
    """What long frames hold that are not answered yet."""
    unsent: ByteBudget[OutgoingOwner]
    """What waits for clients that do not read."""
    on_left: Callable[[ConnectionT], None]
    """A connection has ended, and its handler is done with. Called by any thread."""
