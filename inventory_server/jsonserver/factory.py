"""Servers with a handler for each client: `ServerFactory`, and `ThreadedServer` for one client at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Unpack

from inventory_server.jsonserver.handler import JsonHandler, RefusalEncoder, encode_refusal
from inventory_server.jsonserver.limits import DEFAULT_LIMITS, NetworkLimits, ServerOptions
from inventory_server.jsonserver.places import ServerPlace
from inventory_server.jsonserver.server import JsonServer
from inventory_server.jsonserver.tls import ServerTls
from inventory_server.jsonserver.turns import Handlers


class ServerFactory(JsonServer):
    """A server that gives each client a thread and a handler of its own."""

    def handle_request(self, timeout_seconds: float | None = None) -> bool:
        """Serve one client to its end on this thread, without `start`; False if none came in `timeout_seconds`.

        CannotListen as `start`; RuntimeError while the server runs. It listens from the first call until `stop`.
        """
        self.listen()
        assert self._service is not None, "listen has made it"
        loop, deadline = self._service.loop, math.inf
        if timeout_seconds is not None:
            deadline = time.monotonic() + timeout_seconds
        self._to_admit = 1
        self._accept()
        loop.run_until(lambda: self._to_admit == 0 or self._stopping, deadline)
        accepted, self._to_admit = self._to_admit == 0, 0
        loop.run_until(lambda: not self._served)
        self._to_admit = math.inf
        return accepted


class ThreadedServer(ServerFactory):
    """A server of one client at a time; the others wait until it leaves."""

    def __init__(
        self,
        new_handler: Callable[[], JsonHandler],
        *addresses: ServerPlace,
        limits: NetworkLimits = DEFAULT_LIMITS,
        reuse_address: bool = True,
        encode_refusal: RefusalEncoder = encode_refusal,
        handlers: Handlers = "thread",
        tls: ServerTls | None = None,
        **options: Unpack[ServerOptions],
    ) -> None:
        options["max_connections"], options["surplus_connections"] = 1, 0  # with no surplus, accepting waits
        super().__init__(
            new_handler,
            *addresses,
            limits=limits,
            reuse_address=reuse_address,
            encode_refusal=encode_refusal,
            handlers=handlers,
            tls=tls,
            **options,
        )
