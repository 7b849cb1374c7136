"""A threaded JSON server: it accepts connections up to a limit, gives each a thread, and stops in time.

The thread reads frames, has the connection's handler answer each, and sends the replies in order. Every wait has a
deadline, and every count a limit.
"""

from __future__ import annotations

import logging
import resource
import socket
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self, Unpack

from inventory_server.jsonserver.connection import ClientInfo, ServerConnection
from inventory_server.jsonserver.forks import closed_in_forks
from inventory_server.jsonserver.handler import (
    ConnectionLimitReached,
    JsonHandler,
    Peer,
    RefusalEncoder,
    encode_refusal,
)
from inventory_server.jsonserver.limits import (
    CLOSE_SECONDS,
    DEFAULT_LIMITS,
    SERVICE_SECONDS,
    STOP_SECONDS,
    NetworkLimits,
    ServerOptions,
    limits_with,
)
from inventory_server.jsonserver.listener import Acceptor, CannotListen, ListenTarget, addresses_of
from inventory_server.jsonserver.stream import ServerStream
from pos_client.protocol.address import Address

log = logging.getLogger("tillwire.jsonserver")

ServedAddress = tuple[str, int] | str
"""Where a server listens: host and port, or the path of a Unix socket."""

ServerPlace = str | tuple[str, int] | ListenTarget
"""Where a server is to listen: text, a pair of host and port, an Address, or a listening socket."""

# Guards the process-wide stack size while a thread with a smaller one is started.
_stack_size_lock = threading.Lock()


class JsonServer:
    """Serves `addresses`; `new_handler`, a JsonHandler's class or a function that makes one, is called for each client.

    An address is `"host:port"` or a pair (port 0: any free one), `":port"` (all IPv4 interfaces), `"unix:/path"` or a
    listening socket, which other processes may share. `limits` and `options` (the fields of NetworkLimits, which take
    precedence) say what clients may do. `encode_refusal` makes the last line of a connection that the server itself
    ends.

    `start` listens and serves in threads, `serve_forever` also waits; in a `with` block the server runs until its end.
    """

    def __init__(
        self,
        new_handler: Callable[[], JsonHandler],
        *addresses: ServerPlace,
        limits: NetworkLimits = DEFAULT_LIMITS,
        reuse_address: bool = True,
        encode_refusal: RefusalEncoder = encode_refusal,
        **options: Unpack[ServerOptions],
    ) -> None:
        if not addresses:
            raise TypeError("a server needs an address to listen on, such as 'localhost:0'")
        if not callable(new_handler):
            raise TypeError(f"expected a JsonHandler's class, or a function that makes a handler, got {new_handler!r}")
        self.limits = limits_with(limits, options)
        self._targets = [_target_of(each) for each in addresses]
        self._new_handler = new_handler
        self._reuse_address = reuse_address
        self._encode_refusal = encode_refusal
        self._acceptors: list[Acceptor] = []
        self.max_connections = _connections_possible(self.limits)
        # Guards all below. A connection leaves its set before its socket is closed, so that `stop` never shuts down a
        # descriptor that belongs to another connection by now.
        self._changed = threading.Condition()
        self._served: set[ServerConnection] = set()
        self._surplus: set[ServerConnection] = set()
        self._is_running = False
        self._stopping = False
        self._crowded = False
        self._stopped = threading.Event()
        closed_in_forks.add(self)

    # ------------------------------------------------------------------ what a subclass may override

    def verify_request(self, peer: Peer) -> bool:  # noqa: ARG002 (for subclasses)
        """True if `peer` may be served; called on the thread of its connection, which ends if not."""
        return True

    def service_actions(self) -> None:
        """Called every half second while the server runs, on a thread of its own, if a subclass overrides it."""

    # ------------------------------------------------------------------ what a program calls

    @property
    def addresses(self) -> list[ServedAddress]:
        """Where the server listens, with the ports that the kernel chose; empty before `start` and after `stop`."""
        found = [acceptor.address for acceptor in self._acceptors]
        return [(each.host, each.port) if each.path is None else each.path for each in found]

    @property
    def connections(self) -> int:
        """How many connections are being served."""
        with self._changed:
            return len(self._served)

    def clients(self) -> list[ClientInfo]:
        """The clients that are being served."""
        with self._changed:
            return [connection.info() for connection in self._served]

    def listen(self) -> None:
        """Listen without accepting: clients wait. `start` does so itself; CannotListen and RuntimeError as there."""
        if not self._acceptors or self._is_running:
            self._listen()

    def fileno(self) -> int:
        """The descriptor of the first listening socket: readable when a client waits. RuntimeError before `listen`."""
        if not self._acceptors:
            raise RuntimeError("this server does not listen: call listen() or start() first")
        return self._acceptors[0].fileno()

    def start(self) -> None:
        """Listen and serve in threads; CannotListen where an address cannot be served, and then nothing is left open.

        Once stopped, a server does not start again: RuntimeError.
        """
        self.listen()
        self._is_running = True
        for acceptor in self._acceptors:
            acceptor.start()
        if type(self).service_actions is not JsonServer.service_actions:
            threading.Thread(target=self._act_until_stopped, name="service actions", daemon=True).start()

    def join(self, timeout_seconds: float | None = None) -> bool:
        """Wait until the server has stopped; False if `timeout_seconds` pass first."""
        return self._stopped.wait(timeout_seconds)

    def serve_forever(self) -> None:
        """Start, unless started, and wait until another thread or a handler calls `stop`, or until Ctrl-C."""
        try:
            if not self._is_running:
                self.start()
            self.join()
        except KeyboardInterrupt:
            log.info("event=interrupted")
        finally:
            self.stop()

    def stop(self, deadline_seconds: float = STOP_SECONDS) -> int:
        """Stop accepting, answer what has arrived, close; return how many connections the deadline closed by force.

        A handler may call it: its own connection then ends after its reply.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._stop_listening()
        caller = threading.get_ident()
        with self._changed:
            for connection in self._served | self._surplus:
                connection.stop_reading()
            self._changed.wait_for(lambda: not self._left(caller), deadline_seconds)
            late = self._left(caller)
            for connection in late:
                log.warning("event=connection_closed_by_force peer=%s", connection.peer.address)
                connection.close_by_force()
            forced = len(late & self._served)
            self._changed.wait_for(lambda: not self._left(caller), CLOSE_SECONDS)
        self._stopped.set()
        return forced

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def abandon(self) -> None:
        """Close a forked child's copies of the sockets; called by `forks.py`."""
        self._changed = threading.Condition()
        self._stopping = True
        for connection in self._served | self._surplus:
            connection.abandon()
        for acceptor in self._acceptors:
            acceptor.abandon()

    # ------------------------------------------------------------------ the rest is the server's own

    def _left(self, caller: int) -> set[ServerConnection]:
        """The connections to wait for: all but the one whose handler has called `stop`."""
        return {each for each in self._served | self._surplus if each.thread_id != caller}

    def _listen(self) -> None:
        if self._stopping or self._is_running:
            raise RuntimeError(f"this server {'has stopped' if self._stopping else 'is running'}: make another one")
        try:
            for target in self._targets:
                for one in [target] if isinstance(target, socket.socket) else addresses_of(target):
                    acceptor = Acceptor(one, self._admit, self.limits, self._has_room, self._reuse_address)
                    self._acceptors.append(acceptor)
        except CannotListen:
            self._stop_listening()
            raise

    def _stop_listening(self) -> None:
        while self._acceptors:
            self._acceptors.pop().stop()

    def _act_until_stopped(self) -> None:
        while not self._stopped.wait(SERVICE_SECONDS) and not self._stopping:
            try:
                self.service_actions()
            except Exception:
                log.exception("event=service_actions_failed")

    def _has_room(self) -> bool:
        return len(self._served) < self.max_connections

    def _connection(self, sock: socket.socket, peer: Peer) -> ServerConnection:
        return ServerConnection(ServerStream(sock, self.limits), peer, self.limits, self._encode_refusal)

    def _admit(self, sock: socket.socket, peer: Peer) -> None:
        """Start a thread for an accepted socket. Over the limit the thread refuses it; with `surplus_connections` of
        them at work, accepting waits."""
        connection = self._connection(sock, peer)
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._has_room() or len(self._surplus) < self.limits.surplus_connections
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
            usual = threading.stack_size(self.limits.thread_stack_bytes)
            try:
                thread.start()
            finally:
                threading.stack_size(usual)

    def _serve(self, connection: ServerConnection) -> None:
        try:
            connection.serve(partial(self._open_handler, connection))
        finally:
            self._leave(connection)

    def _open_handler(self, connection: ServerConnection) -> JsonHandler | None:
        if not self.verify_request(connection.peer):
            return None
        handler = self._new_handler()
        handler.attach(connection.peer, self, connection)
        handler.setup()
        return handler

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


def _target_of(place: ServerPlace) -> ListenTarget:
    match place:
        case str():
            return Address.parse_listen(place)
        case Address() | socket.socket():
            return place
        case (str(host), int(port)):
            return Address(host, port)
    raise TypeError(f"an address is 'host:port', (host, port), 'unix:/path' or a listening socket, got {place!r}")


def _connections_possible(limits: NetworkLimits) -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    possible = files - limits.reserved_files - limits.surplus_connections
    if possible < 1:
        raise CannotListen(f"The limit of open files, {files}, leaves none for connections: raise it with ulimit -n.")
    if possible < limits.max_connections:
        log.warning("event=connection_limit_lowered connections=%d open_files=%d", possible, files)
    return min(possible, limits.max_connections)
