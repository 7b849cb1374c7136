"""A threaded server of JSON lines: it accepts connections up to a limit, gives each a thread, and stops in time.

The thread reads frames, has a handler answer each, and sends the replies in order. Handlers come from a factory that
is called with each peer. Every wait has a deadline, and every count a limit.
"""

from __future__ import annotations

import logging
import resource
import socket
import threading
from collections.abc import Callable, Sequence

from inventory_server.jsonserver.connection import ServerConnection
from inventory_server.jsonserver.handler import (
    ConnectionLimitReached,
    EndReason,
    Handler,
    Peer,
    ServerRefusal,
    encode_refusal,
)
from inventory_server.jsonserver.limits import CLOSE_SECONDS, NetworkLimits
from inventory_server.jsonserver.listener import Acceptor, CannotListen, ListenTarget, addresses_of
from inventory_server.jsonserver.stream import ServerStream
from pos_client.protocol.address import Address

log = logging.getLogger("tillwire.jsonserver")

Factory = Callable[[Peer], Handler]

# Guards the process-wide stack size while a thread with a smaller one is started.
_stack_size_lock = threading.Lock()


class LineServer:
    """Serves JSON lines on `targets`; `factory` makes a handler for each connection.

    `encode_refusal` makes the last line of a connection that the server itself ends.
    """

    def __init__(
        self,
        targets: Sequence[ListenTarget],
        factory: Factory,
        limits: NetworkLimits,
        encode_refusal: Callable[[ServerRefusal], bytes] = encode_refusal,
    ) -> None:
        self._targets = targets
        self._factory = factory
        self._limits = limits
        self._acceptors: list[Acceptor] = []
        self._encode_refusal = encode_refusal
        self.max_connections = _connections_possible(limits)
        # Guards all below. A connection leaves its set before its socket is closed, so that `stop` never shuts down a
        # descriptor that belongs to another connection by now.
        self._changed = threading.Condition()
        self._served: set[ServerConnection] = set()
        self._surplus: set[ServerConnection] = set()
        self._stopping = False
        self._crowded = False

    @property
    def addresses(self) -> list[Address]:
        """Where the server listens, with the ports that the kernel chose."""
        return [acceptor.address for acceptor in self._acceptors]

    @property
    def connections(self) -> int:
        """How many connections are being served."""
        with self._changed:
            return len(self._served)

    def start(self) -> None:
        """Listen and serve in threads; CannotListen where a target cannot be served, and then nothing is left open."""
        try:
            for target in self._targets:
                for one in [target] if isinstance(target, socket.socket) else addresses_of(target):
                    self._acceptors.append(Acceptor(one, self._admit, self._limits, self._has_room))
        except CannotListen:
            self._stop_listening()
            raise
        for acceptor in self._acceptors:
            acceptor.start()

    def stop(self, deadline_seconds: float) -> int:
        """Stop accepting, answer what has arrived, close; return how many connections the deadline closed by force."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._stop_listening()
        with self._changed:
            for connection in self._served | self._surplus:
                connection.stop_reading()
            self._changed.wait_for(self._is_empty, deadline_seconds)
            late = len(self._served)
            for connection in self._served | self._surplus:
                log.warning("event=connection_closed_by_force peer=%s", connection.peer.address)
                connection.close_by_force()
            self._changed.wait_for(self._is_empty, CLOSE_SECONDS)
        return late

    def _stop_listening(self) -> None:
        while self._acceptors:
            self._acceptors.pop().stop()

    def _is_empty(self) -> bool:
        return not self._served and not self._surplus

    def _has_room(self) -> bool:
        return len(self._served) < self.max_connections

    def _admit(self, sock: socket.socket, peer: Peer) -> None:
        """Start a thread for an accepted socket. Over the limit the thread refuses it; with `surplus_connections` of
        them at work, accepting waits."""
        connection = ServerConnection(ServerStream(sock, self._limits), peer, self._limits, self._encode_refusal)
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._has_room() or len(self._surplus) < self._limits.surplus_connections
            )
            if self._stopping:
                connection.close()
                return
            group = self._served if self._has_room() else self._surplus
            if group is self._surplus and not self._crowded:
                self._crowded = True
                log.warning("event=connection_limit_reached connections=%d", self.max_connections)
            group.add(connection)
        try:
            self._start_thread(connection, self._serve if group is self._served else self._turn_away)
        except RuntimeError as error:
            log.error("event=thread_start_failed peer=%s error=%s", peer.address, error)
            self._leave(connection)

    def _start_thread(self, connection: ServerConnection, target: Callable[[ServerConnection], None]) -> None:
        thread = threading.Thread(
            target=target, args=(connection,), name=f"serve {connection.peer.address}", daemon=True
        )
        with _stack_size_lock:
            usual = threading.stack_size(self._limits.thread_stack_bytes)
            try:
                thread.start()
            finally:
                threading.stack_size(usual)

    def _serve(self, connection: ServerConnection) -> None:
        try:
            handler = self._factory(connection.peer)
            reason = EndReason.handler_failed
            try:
                reason = connection.serve(handler)
            finally:
                handler.close(reason)
        except Exception:
            log.exception("event=handler_failed peer=%s", connection.peer.address)
        finally:
            self._leave(connection)

    def _turn_away(self, connection: ServerConnection) -> None:
        try:
            connection.turn_away(ConnectionLimitReached("all connections are taken; try again later"))
        finally:
            self._leave(connection)

    def _leave(self, connection: ServerConnection) -> None:
        with self._changed:
            self._served.discard(connection)
            self._surplus.discard(connection)
            connection.close()
            # One warning for each time the limit is reached, not for each connection that comes and goes meanwhile.
            self._crowded = self._crowded and len(self._served) > self.max_connections * 9 // 10
            self._changed.notify_all()


def _connections_possible(limits: NetworkLimits) -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    possible = files - limits.reserved_files - limits.surplus_connections
    if possible < 1:
        raise CannotListen(f"The limit of open files, {files}, leaves none for connections: raise it with ulimit -n.")
    if possible < limits.max_connections:
        log.warning("event=connection_limit_lowered connections=%d open_files=%d", possible, files)
    return min(possible, limits.max_connections)
