"""Servers with a handler for each client: `ServerFactory`, and `ThreadedServer` for one client at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

from inventory_server.jsonserver.handler import JsonHandler, RefusalEncoder, encode_refusal
from inventory_server.jsonserver.limits import DEFAULT_LIMITS, NetworkLimits, ServerOptions
from inventory_server.jsonserver.listener import wait_for_connection
from inventory_server.jsonserver.server import JsonServer, ServerPlace


class ServerFactory(JsonServer):
    """A server that gives each client a thread and a handler of its own."""

    def handle_request(self, timeout_seconds: float | None = None) -> bool:
        """Serve one client to its end on this thread, without `start`; False if none came in `timeout_seconds`.

        CannotListen as `start`; RuntimeError while the server runs. It listens from the first call until `stop`.
        """
        self.listen()
        acceptor = wait_for_connection(self._acceptors, timeout_seconds)
        accepted = acceptor and acceptor.accept()
        if not accepted:
            return False
        connection = self._connection(*accepted)
        with self._changed:
            self._served.add(connection)
        self._serve(connection)
        return True


class ThreadedServer(ServerFactory):
    """A server of one client at a time; the others wait until it leaves."""

    def __init__(
        self,
        new_handler: Callable[[], JsonHandler],
        *addresses: ServerPlace,
        limits: NetworkLimits = DEFAULT_LIMITS,
        reuse_address: bool = True,
        encode_refusal: RefusalEncoder = encode_refusal,
        **options: Unpack[ServerOptions],
    ) -> None:
        options["max_connections"], options["surplus_connections"] = 1, 0  # with no surplus, accepting waits
        super().__init__(
            new_handler,
            *addresses,
            limits=limits,
            reuse_address=reuse_address,
            encode_refusal=encode_refusal,
            **options,
        )
