"""The control socket: administrators on this machine change a ledger through the server that writes it.

An SQLite ledger has exactly one writer. Its server listens on a Unix socket beside the database, which only its owner
may open; servers on PostgreSQL have one each, to say what no other process knows. The protocol is that of the tills'
port, with administrators' requests added.
"""

from __future__ import annotations

import getpass
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from inventory_server.admin.control_paths import own_control_path
from inventory_server.admin.methods import CONTROL_METHODS, SOURCE, ProgressNotification, ProgressParams
from inventory_server.clock import Clock
from inventory_server.config import PROGRESS_SECONDS, Settings
from inventory_server.domain.answers import Client
from inventory_server.domain.door import Outcome, Progress, Store, perform
from inventory_server.domain.metrics import ServerMetrics
from inventory_server.domain.requests import ListClients, ShowMetrics, StoreRequest
from inventory_server.domain.roles import User
from inventory_server.jsonserver import JsonHandler, Notice, Peer, SendReply, ServerFactory
from inventory_server.protocol.refusals import refusal_encoder
from inventory_server.protocol.session import Session, Shared, advance, drive
from inventory_server.store import StoreError
from pos_client.protocol.address import Address
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.wire import encode

ByServer = Mapping[type, Callable[[], Outcome]]
"""What answers the questions that no ledger can answer, by type."""


class ControlServer:
    """Serves this process's control socket for the ledger of `url` from `store`; `clients` lists who is connected,
    `metrics` tells what the server has counted.

    StoreError if there is no folder for it.
    """

    def __init__(
        self,
        url: str,
        store: Store,
        settings: Settings,
        clock: Clock,
        clients: Callable[[], list[Client]],
        on_failure: Callable[[Exception], None] | None = None,
        metrics: Callable[[], ServerMetrics] = ServerMetrics,
    ) -> None:
        self._store = store
        self._by_server: ByServer = {ListClients: clients, ShowMetrics: metrics}
        self._clock = clock
        self._folder = ExitStack()
        path = self._folder.enter_context(own_control_path(url))
        # Commands rely on the default frame size (an import), whatever limit is set for tills.
        self._settings = replace(settings, max_frame_bytes=Settings().max_frame_bytes)
        self._shared = Shared()
        refuse = refusal_encoder(settings.busy_retry_ms)
        self._server = ServerFactory(
            self._new_handler,
            Address.unix(path),
            limits=self._settings,
            encode_refusal=refuse,
            on_failure=on_failure,
        )

    def start(self) -> None:
        """Listen; only this user may connect."""
        before = os.umask(0o177)
        try:
            self._server.start()
        finally:
            os.umask(before)

    def stop(self, deadline_seconds: float) -> int:
        """Answer what has arrived, then close; return how many connections were closed by force."""
        with self._folder:
            return self._server.stop(deadline_seconds)

    def _new_handler(self) -> _AdministratorHandler:
        return _AdministratorHandler(self._new_session, self._store, self._by_server)

    def _new_session(self, peer: Peer) -> Session:
        return Session(
            self._settings,
            peer,
            self._clock,
            lambda: secrets.token_hex(6),
            lambda: b"{}",
            methods=CONTROL_METHODS,
            actor=this_user(SOURCE),
            shared=self._shared,
        )


class _AdministratorHandler(JsonHandler):
    """One administrator's session, on the thread of its connection."""

    def __init__(self, new_session: Callable[[Peer], Session], store: Store, by_server: ByServer) -> None:
        self._new_session = new_session
        self._store = store
        self._by_server = by_server

    def setup(self) -> None:
        self._session = self._new_session(self.peer)

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        steps = self._session.handle(frame)
        progress = ProgressNotifier(lambda line: answer(Notice(line)))
        answer(drive(steps, partial(self._perform, progress), advance(steps)))

    def _perform(self, progress: Progress, request: StoreRequest) -> Outcome:
        if (answer := self._by_server.get(type(request))) is not None:
            return answer()
        try:
            return perform(self._store, request, progress)
        except StoreError as refusal:  # an administrator gets the sentence that a command would print
            raise RequestError(ErrorCode.invalid_request, str(refusal)) from refusal


class ProgressNotifier:
    """Has `send` send the progress of one request as notifications, at most one per `PROGRESS_SECONDS`.

    `timer` returns seconds.
    """

    def __init__(self, send: Callable[[bytes], None], timer: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._timer = timer
        self._due = timer()

    def __call__(self, done: int, total: int) -> None:
        """Send that `done` of `total` steps are done, if a notification is due."""
        now = self._timer()
        if now >= self._due:
            self._due = now + PROGRESS_SECONDS
            self._send(encode(ProgressNotification(params=ProgressParams(done, total))))


def this_user(source: str) -> User:
    """The user who runs this program, as an administrator: the name, or the uid if there is none."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return User(name, "admin", source)
