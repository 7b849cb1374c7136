"""The beginning of a connection: its first byte, its TLS handshake, and the time in which its client is unknown."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

from inventory_server.jsonserver.bare_connection import BareConnection, Stage
from inventory_server.jsonserver.first_bytes import TlsRequired, is_tls
from inventory_server.jsonserver.handler import EndReason, NewcomerEvicted, NotIdentified, Peer, ServerRefusal
from inventory_server.jsonserver.service import Service
from inventory_server.jsonserver.stream import ServerStream


class OpeningConnection(BareConnection):
    """An accepted connection until its client is known. All but `recognise` belongs to the loop's thread."""

    __slots__ = ("_is_newcomer", "_service", "_turned_away")

    def __init__(
        self, stream: ServerStream, peer: Peer, service: Service[Any], turned_away: ServerRefusal | None
    ) -> None:
        """`turned_away` says why the client is refused, if it is."""
        super().__init__(stream, peer, service.loop, service.limits, service.unsent)
        self._service = service
        self._turned_away = turned_away
        self._is_newcomer = service.newcomers is not None

    def recognise(self) -> None:
        """The client has identified itself; from any thread."""
        if self._is_newcomer:
            self._is_newcomer = False
            assert self._service.newcomers is not None, "where there are newcomers"
            self._service.newcomers.leave(self)

    def begin(self) -> None:
        """Start to serve the client."""
        try:
            self._stream.configure()
            self._watch()
        except OSError as error:
            self._lose(error)
            return
        if self._service.tls is None:
            self._stand()
        else:
            self._look_in(self._patience())

    @abstractmethod
    def is_idle(self) -> bool:
        """True unless a request of the client is being answered."""

    def evict(self) -> None:
        """End the connection now: another one needs the room. The client is told, if it can be."""
        if self._stage is Stage.talking:
            told = NewcomerEvicted("too many unidentified clients are connected; try again later")
            self._outgoing.reply(self._service.encode_refusal(self._turned_away or told))
        self._end(EndReason.evicted, "another connection needed the room")

    # ------------------------------------------------------------------ for subclasses

    @abstractmethod
    def _stand(self) -> None:
        """Bytes can be exchanged."""

    def _choose_stream(self) -> None:
        """The first byte has come: it is that of a TLS handshake, or plain."""
        tls = self._service.tls
        assert tls is not None, "there is no choice otherwise"
        first = self._stream.peek()
        if first is None:
            return
        if is_tls(first):
            self._watch(0)
            self._service.handshakes.begin(self)
            served = tls.served
            self.peer = replace(self.peer, shown=served.shown)
            self._stream = self._outgoing.stream = self._stream.encrypted(served.context)
            self._stage = Stage.handshake
            self._look_in(self._patience())
            self._watch()
            self._shake_hands()
        elif tls.allows_plaintext(self.peer) or not first:
            self._stand()
        else:
            self._refuse(TlsRequired("this server speaks TLS only: connect with TLS"), EndReason.not_encrypted)

    def _shake_hands(self) -> None:
        if self._stream.handshake():
            self._service.handshakes.end(self)
            self._loop.forget(self)
            self._stand()
        self._watch()

    def _patience(self) -> float:
        """How many seconds the client has for its first byte, and then for its handshake."""
        limits = self._limits
        if self._turned_away is not None:
            return limits.linger_seconds
        seconds = limits.handshake_seconds
        return min(seconds, self._newcomer_seconds_left()) if self._is_newcomer else seconds

    def _newcomer_seconds_left(self) -> float:
        """How many seconds are left of those that an unidentified client has."""
        return max(0.0, self._since + self._limits.newcomer_seconds - self._loop.now)

    def _refuse_newcomer(self) -> None:
        """The client has not identified itself in time."""
        seconds = self._limits.newcomer_seconds
        refusal = NotIdentified(f"the client did not identify itself within {seconds:g} seconds")
        self._refuse(refusal, EndReason.not_identified)

    def _refuse(self, refusal: ServerRefusal, reason: EndReason) -> None:
        """End the connection with a last line that is the server's own."""
        self._outgoing.reply(self._service.encode_refusal(refusal))
        self._close(reason, lingers=True)
