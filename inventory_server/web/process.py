"""The web process: uvicorn serves the application until SIGTERM."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from inventory_server.clock import now_microseconds
from inventory_server.config import Settings
from inventory_server.web.application import make_application
from inventory_server.web.connections import GuardedProtocol
from inventory_server.web.door import WebDoor
from inventory_server.web.limits import BACKLOG_MAX, HEADER_BYTES_MAX, KEEP_ALIVE_SECONDS
from inventory_server.web.pages.errors import show_error
from inventory_server.web.pages.routes import page_routes
from inventory_server.web.people import LedgerPeople


class WebServer(uvicorn.Server):
    """Uvicorn, which calls `on_ready` once it serves and `on_stop` when it is told to end."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None], on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End open streams first: Uvicorn would wait for them until its grace is over."""
        self._on_stop()
        await super().shutdown(sockets)


def serve_web(
    url: str,
    settings: Settings,
    sockets: Sequence[socket.socket],
    on_ready: Callable[[], None],
    origins: Sequence[str] = (),
    proxies: Sequence[str] = (),
    certificate: tuple[Path, Path] | None = None,
) -> None:
    """Serve the ledger of `url` on `sockets` until SIGTERM or SIGINT; StoreError if it cannot be opened.

    `origins` are those whose pages may call the API, `proxies` the addresses of reverse proxies whose X-Forwarded
    headers are believed; `certificate` is the files of the certificate and its key for HTTPS.
    """
    door = WebDoor(url, settings, now_microseconds)
    try:
        application = make_application(
            door, LedgerPeople(door), settings, origins=origins, pages=page_routes(), show_error=show_error
        )
        config = web_config(application, settings, proxies, certificate)
        server = WebServer(config, on_ready, application.state.streams.end_all)
        server.run(list(sockets))
    finally:
        door.close()


def web_config(
    application: ASGIApp,
    settings: Settings,
    proxies: Sequence[str] = (),
    certificate: tuple[Path, Path] | None = None,
) -> uvicorn.Config:
    """How Uvicorn serves: with the limits of `limits.py`."""
    chain, key = certificate or (None, None)
    return uvicorn.Config(
        application,
        http=GuardedProtocol,
        ws="none",
        log_config=None,
        log_level=logging.ERROR,  # else anybody fills the log
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        backlog=BACKLOG_MAX,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.drain_seconds,
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        ssl_certfile=None if chain is None else str(chain),
        ssl_keyfile=None if key is None else str(key),
    )


def end_with_parent() -> None:
    """Have this process end, as by SIGTERM, once its standard input does: when the server that started it is gone."""
    threading.Thread(target=_wait_for_parent, name="tillwire-parent", daemon=True).start()


def _wait_for_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
