"""What a connection receives: frames, which may be long and arrive in parts, within a budget that all share."""

from __future__ import annotations

from typing import Any

from inventory_server.jsonserver.bare_connection import Stage
from inventory_server.jsonserver.handler import EndReason, MemoryLimitReached, NotIdentified, Peer, ServerRefusal
from inventory_server.jsonserver.incoming import Incoming
from inventory_server.jsonserver.limits import COUNTED_FRAME_BYTES
from inventory_server.jsonserver.opening_connection import OpeningConnection
from inventory_server.jsonserver.service import Service
from inventory_server.jsonserver.stream import ServerStream


class ReceivingConnection(OpeningConnection):
    """A connection that reads. Every method belongs to the loop's thread, but `is_receiving`."""

    __slots__ = ("_arriving_bytes", "_frame_since", "_incoming")

    def __init__(
        self, stream: ServerStream, peer: Peer, service: Service[Any], turned_away: ServerRefusal | None
    ) -> None:
        super().__init__(stream, peer, service, turned_away)
        self._incoming = Incoming(service.limits)
        # Since when a frame has arrived in part, and what it counts for in the budget of all connections.
        self._frame_since: float | None = None
        self._arriving_bytes = 0

    def _feed(self, data: bytes) -> None:
        incoming = self._incoming
        was_known = incoming.is_known
        incoming.feed(data)
        if not data and not self._is_stopping:
            incoming.end()
        if data and not was_known and incoming.is_known:
            self._outgoing.release(incoming.uses_jsocket)

    def _await_rest_of_frame(self, pending: int) -> None:
        """A frame has arrived in part, or none has any more: it has a deadline, and a long one counts."""
        if pending and self._frame_since is None:
            self._frame_since = self._loop.now
            self._look_in(self._limits.frame_seconds)
        if self._is_newcomer and pending >= self._limits.newcomer_bytes:
            refusal = NotIdentified(f"{pending} bytes of a frame came before the client had identified itself")
            self._refuse(refusal, EndReason.not_identified)
            return
        if pending and self._incoming.uses_jsocket:  # whose package sends header and payload apart, 40 ms later else
            self._stream.acknowledge()
        self._hold(pending if pending >= COUNTED_FRAME_BYTES else 0)

    def _hold(self, arriving_bytes: int) -> None:
        """Note how much of a long frame is held; all connections share a budget of it."""
        if arriving_bytes != self._arriving_bytes:
            self._arriving_bytes = arriving_bytes
            if (most := self._service.arriving.hold(self, arriving_bytes)) is not None:
                most.let_go()

    def is_receiving(self) -> bool:
        """True where a frame has arrived in part, and none is being answered."""
        return self._stage is Stage.talking and self._frame_since is not None

    def let_go(self) -> None:
        """All connections hold too much of long frames, and this one the most."""
        self._incoming.drop()
        refusal = MemoryLimitReached("too many long frames arrive at the same time; try again later")
        self._refuse(refusal, EndReason.memory_limit_reached)
        self._hold(0)
