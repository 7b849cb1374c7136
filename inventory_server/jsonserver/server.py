"""A JSON server: it accepts connections up to a limit, has a handler answer the frames of each, and stops in time.

One loop looks after all sockets; the handlers run on threads of their own, or share the loop and a pool. Every wait has
a deadline, and every count a limit.
"""

from __future__ import annotations

import logging
import math
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, Unpack

from inventory_server.jsonserver.budget import ByteBudget
from inventory_server.jsonserver.connection import ServerConnection
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
from inventory_server.jsonserver.listener import Acceptor, CannotListen, addresses_of
from inventory_server.jsonserver.loop import Loop
from inventory_server.jsonserver.newcomers import Handshakes, Newcomers
from inventory_server.jsonserver.places import ServedAddress, ServerPlace, connections_possible, target_of
from inventory_server.jsonserver.pool import WorkerPool
from inventory_server.jsonserver.service import ClientInfo, Service
from inventory_server.jsonserver.stream import ServerStream
from inventory_server.jsonserver.tls import ServerTls
from inventory_server.jsonserver.turn import InterpreterTurn
from inventory_server.jsonserver.turns import CallersTurns, Handlers, SharedTurns, ThreadTurns, Turns

log = logging.getLogger("tillwire.jsonserver")

_FULL = "all connections are taken; try again later"


class JsonServer:
    """Serves `addresses`; `new_handler`, a JsonHandler's class or a function that makes one, is called for each client.

    An address is `"host:port"` or a pair (port 0: any free one), `":port"` (all IPv4 interfaces), `"unix:/path"` or a
    listening socket, which other processes may share. `limits` and `options` (the fields of NetworkLimits, which take
    precedence) say what clients may do. `encode_refusal` makes the last line of a connection that the server itself
    ends.

    With `handlers="thread"` each client has a thread of its own, which calls its handler: it may wait. With `"shared"`
    the thread that serves all clients calls the handlers, but for frames of which `may_block` says that their handling
    may wait: `handler_threads` handle those. `tls` is the server's certificate; without it there is no TLS.
    `on_failure` is called on the loop's thread if the loop itself fails, as where memory has run out: the server has
    then closed all connections and serves nobody any more. Where `clients_identify`, a client has a small budget (those
    of the limits that speak of newcomers) until its handler calls `recognise`. A thread of the program that computes
    for long takes `turn` for it, so that it and the loop do not keep each other waiting for the interpreter.

    `start` listens and serves in threads, `serve_forever` also waits; in a `with` block the server runs until its end.
    """

    def __init__(
        self,
        new_handler: Callable[[], JsonHandler],
        *addresses: ServerPlace,
        limits: NetworkLimits = DEFAULT_LIMITS,
        reuse_address: bool = True,
        encode_refusal: RefusalEncoder = encode_refusal,
        handlers: Handlers = "thread",
        tls: ServerTls | None = None,
        on_failure: Callable[[Exception], None] | None = None,
        clients_identify: bool = False,
        turn: InterpreterTurn | None = None,
        **options: Unpack[ServerOptions],
    ) -> None:
        if handlers not in ("thread", "shared"):
            raise ValueError(f"handlers: expected 'thread' or 'shared', got {handlers!r}")
        if not addresses:
            raise TypeError("a server needs an address to listen on, such as 'localhost:0'")
        if not callable(new_handler):
            raise TypeError(f"expected a JsonHandler's class, or a function that makes a handler, got {new_handler!r}")
        self.limits = limits_with(limits, options)
        self._targets = [target_of(each) for each in addresses]
        self._new_handler = new_handler
        self._reuse_address = reuse_address
        self._handlers = handlers
        self._pool = WorkerPool(self.limits.handler_threads, "handle")
        self._tls = tls
        self._on_failure = on_failure
        self._newcomers: Newcomers | None = Newcomers(self.limits) if clients_identify else None
        self._turn = turn or InterpreterTurn()
        self._failure: Exception | None = None
        self._encode_refusal = encode_refusal
        self._service: Service[ServerConnection] | None = None
        self._acceptors: list[Acceptor] = []
        self._to_admit = math.inf
        self.max_connections = connections_possible(self.limits)
        # Guards all below.
        self._changed = threading.Condition()
        self._served: set[ServerConnection] = set()
        self._surplus: dict[ServerConnection, None] = {}  # in order of arrival
        self._is_running = False
        self._stopping = False
        self._crowded = False
        self._stopped = threading.Event()
        closed_in_forks.add(self)

    # ------------------------------------------------------------------ what a subclass may override

    def verify_request(self, peer: Peer) -> bool:  # noqa: ARG002 (for subclasses)
        """True if `peer` may be served; called where its handler is, and the connection ends if not."""
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
        with self._changed:
            if self._stopping or self._service is None:  # by another thread, meanwhile
                return
            self._is_running = True
            loop = self._service.loop
            loop.call(self._accept)
            loop.start(self._is_done, "serve all clients", self._loop_ended)
        if type(self).service_actions is not JsonServer.service_actions:
            threading.Thread(target=self._act_until_stopped, name="service actions", daemon=True).start()

    def join(self, timeout_seconds: float | None = None) -> bool:
        """Wait until the server has stopped; False if `timeout_seconds` pass first."""
        return self._stopped.wait(timeout_seconds)

    def serve_forever(self) -> None:
        """Start, unless started, and wait until another thread or a handler calls `stop`, or until Ctrl-C.

        RuntimeError if the loop has failed.
        """
        try:
            if not self._is_running:
                self.start()
            self.join()
        except KeyboardInterrupt:
            log.info("event=interrupted")
        finally:
            self.stop()
        if self._failure is not None:
            raise RuntimeError("the loop that serves all clients has failed") from self._failure

    def stop(self, deadline_seconds: float = STOP_SECONDS) -> int:
        """Stop accepting, answer what has arrived, close; return how many connections the deadline closed by force.

        A handler may call it: its own connection then ends after its reply.
        """
        with self._changed:
            self._stopping = True
            service = self._service
        forced = 0 if service is None else self._drain(service.loop, deadline_seconds)
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
        if self._service is not None:
            self._service.loop.abandon()
        for connection in self._served | self._surplus.keys():
            connection.abandon()
        for acceptor in self._acceptors:
            acceptor.abandon()

    # ------------------------------------------------------------------ starting and stopping

    def _listen(self) -> None:
        if self._stopping or self._is_running:
            raise RuntimeError(f"this server {'has stopped' if self._stopping else 'is running'}: make another one")
        loop = Loop(self._turn)
        try:
            for target in self._targets:
                for one in [target] if isinstance(target, socket.socket) else addresses_of(target):
                    acceptor = Acceptor(
                        one, loop, self._admit, self.limits, self._has_room, self._may_admit, self._reuse_address
                    )
                    self._acceptors.append(acceptor)
        except CannotListen:
            self._stop_listening()
            loop.close()
            raise
        self._service = Service(
            loop,
            self.limits,
            self._tls,
            self._encode_refusal,
            self._open_handler,
            self._turns_of,
            self._newcomers,
            Handshakes(self.limits.handshakes_max),
            ByteBudget(self.limits.arriving_bytes_max, ServerConnection.is_receiving),
            ByteBudget(self.limits.unsent_bytes_max),
            self._on_left,
        )

    def _accept(self) -> None:
        for acceptor in self._acceptors:
            acceptor.resume()

    def _stop_listening(self) -> None:
        while self._acceptors:
            self._acceptors.pop().stop()

    def _is_done(self) -> bool:
        return self._stopping and not (self._acceptors or self._served or self._surplus)

    def _loop_ended(self, failure: Exception | None) -> None:
        if failure is not None:
            self._fail(failure)
        self._pool.close()  # not before: a handler that has called `stop` has more frames to answer

    def _fail(self, error: Exception) -> None:
        """The loop has failed: hang up on everybody, and tell whoever waits for the end or has asked to be told."""
        with self._changed:
            self._stopping, self._failure = True, error
            left = self._served | self._surplus.keys()
        for end in (self._stop_listening, *(connection.close_by_force for connection in left)):
            try:
                end()
            except Exception:
                log.exception("event=close_failed")
        self._stopped.set()
        if self._on_failure is not None:
            self._on_failure(error)

    def _left(self, caller: int) -> set[ServerConnection]:
        """The connections to wait for: all but the one whose handler has called `stop`."""
        return {each for each in self._served | self._surplus.keys() if not each.is_served_by(caller)}

    def _drain(self, loop: Loop, deadline_seconds: float) -> int:
        """Stop accepting and reading, and wait for the replies; return how many connections were closed by force."""
        caller = threading.get_ident()
        late: set[ServerConnection] = set()

        def stop_reading() -> None:
            self._stop_listening()
            for connection in self._served | self._surplus.keys():
                connection.stop_reading()
            with self._changed:
                self._changed.notify_all()

        def close_by_force() -> None:
            for connection in late:
                connection.close_by_force()

        loop.call(stop_reading)
        self._wait_for(loop, lambda: not self._acceptors and not self._left(caller), deadline_seconds)
        with self._changed:
            late |= self._left(caller)
            forced = len(late & self._served)
        for connection in late:
            log.warning("event=connection_closed_by_force peer=%s", connection.peer.address)
        if late:
            loop.call(close_by_force)
            self._wait_for(loop, lambda: not self._left(caller), CLOSE_SECONDS)
        if not loop.is_running():
            loop.close()
        return forced

    def _wait_for(self, loop: Loop, is_done: Callable[[], bool], seconds: float) -> None:
        """Wait for another thread's loop, or run it here where this thread already does, or nobody."""
        if loop.is_running() and loop.thread_id != threading.get_ident():
            with self._changed:
                self._changed.wait_for(is_done, seconds)
        else:
            loop.run_until(is_done, time.monotonic() + seconds)

    def _act_until_stopped(self) -> None:
        while not self._stopped.wait(SERVICE_SECONDS) and not self._stopping:
            try:
                self.service_actions()
            except Exception:
                log.exception("event=service_actions_failed")

    # ------------------------------------------------------------------ connections

    def _has_room(self) -> bool:
        return len(self._served) < self.max_connections

    def _may_admit(self) -> bool:
        return self._to_admit > 0 and (self._has_room() or self.limits.surplus_connections > 0)

    def _makes_room(self, peer: Peer) -> bool:
        """True where there is room for a client from `peer`: newcomers that are idle give way to it."""
        newcomers = self._newcomers
        if newcomers is None:
            return self._has_room()
        return newcomers.make_room(peer) and (self._has_room() or newcomers.give_way())

    def _admit(self, sock: socket.socket, peer: Peer) -> None:
        """Serve an accepted socket, or refuse it where there is no room; whoever is refused gives way to the next."""
        service = self._service
        if self._stopping or service is None:
            sock.close()
            return
        self._to_admit -= 1
        stream = ServerStream(sock, self.limits)
        if self._makes_room(peer):
            connection = ServerConnection(stream, peer, service)
            if self._newcomers is not None:
                self._newcomers.enter(connection)
            with self._changed:
                self._served.add(connection)
        else:
            connection = ServerConnection(stream, peer, service, ConnectionLimitReached(_FULL))
            if len(self._surplus) >= self.limits.surplus_connections:
                next(iter(self._surplus)).evict()
            with self._changed:
                self._surplus[connection] = None
                if not self._crowded:
                    self._crowded = True
                    log.warning("event=connection_limit_reached connections=%d", self.max_connections)
        connection.begin()

    def _turns_of(self, peer: Peer) -> Turns:
        if not self._is_running:
            return CallersTurns()
        if self._handlers == "shared":
            return SharedTurns(self._pool)
        return ThreadTurns(f"serve {peer.address}", self.limits.thread_stack_bytes)

    def _open_handler(self, connection: ServerConnection) -> JsonHandler | None:
        if not self.verify_request(connection.peer):
            return None
        handler = self._new_handler()
        handler.attach(connection.peer, self, connection)
        handler.setup()
        return handler

    def _on_left(self, connection: ServerConnection) -> None:
        if self._newcomers is not None:
            self._newcomers.leave(connection)
        with self._changed:
            self._served.discard(connection)
            self._surplus.pop(connection, None)
            # One warning for each time the limit is reached, not for each connection that comes and goes meanwhile.
            self._crowded = self._crowded and len(self._served) > self.max_connections * 9 // 10
            self._changed.notify_all()
        if self._service is not None:
            self._service.loop.call(self._accept)
