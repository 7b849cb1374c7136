"""The control socket: administrators of this machine change a ledger through the server that writes it.

An SQLite ledger has exactly one writer. Its server listens on a Unix socket beside the database that only its owner may
open, and speaks there what it speaks on the tills' port, JSON-RPC, with administrators' requests added.
"""

from __future__ import annotations

import getpass
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from inventory_server.admin.methods import CONTROL_METHODS, SOURCE
from inventory_server.clock import Clock
from inventory_server.config import Settings
from inventory_server.domain.door import Outcome, Store, perform
from inventory_server.domain.requests import StoreRequest
from inventory_server.domain.roles import User
from inventory_server.jsonserver.handler import Answer, EndReason, Peer
from inventory_server.jsonserver.server import LineServer
from inventory_server.protocol.refusals import refusal_encoder
from inventory_server.protocol.session import Session, advance, drive
from inventory_server.store import StoreError, sqlite_path
from pos_client.protocol.address import Address
from pos_client.protocol.errors import ErrorCode, RequestError

SOCKET_PATH_BYTES_MAX = 100
"""A socket address holds 107 bytes; a longer path is reached through a descriptor of its folder."""


class ControlServer:
    """Serves the control socket of the ledger of `url` from `store`."""

    def __init__(self, url: str, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._folder = ExitStack()
        path = self._folder.enter_context(control_path(url))
        # A request, such as an import, has its own size whatever the tills' frames may have.
        self._settings = replace(settings, max_frame_bytes=Settings().max_frame_bytes)
        refuse = refusal_encoder(settings.busy_retry_ms)
        self._server = LineServer([Address.unix(path)], self._handler, self._settings, refuse)

    def start(self) -> None:
        """Listen; nobody but this user may connect."""
        before = os.umask(0o177)
        try:
            self._server.start()
        finally:
            os.umask(before)

    def stop(self, deadline_seconds: float) -> int:
        """Answer what has arrived, then close; return how many connections were cut off."""
        with self._folder:
            return self._server.stop(deadline_seconds)

    def _handler(self, peer: Peer) -> _Handler:
        session = Session(
            self._settings,
            peer,
            self._clock,
            lambda: secrets.token_hex(6),
            lambda: b"{}",
            methods=CONTROL_METHODS,
            actor=this_user(SOURCE),
        )
        return _Handler(session, self._store)


class _Handler:
    """One administrator's session, on the thread of its connection."""

    def __init__(self, session: Session, store: Store) -> None:
        self._session = session
        self._store = store

    def handle(self, frame: bytes, answer: Answer) -> None:
        steps = self._session.handle(frame)
        answer(drive(steps, self._perform, advance(steps)))

    def close(self, _reason: EndReason) -> None:
        """Nothing is held."""

    def _perform(self, request: StoreRequest) -> Outcome:
        try:
            return perform(self._store, request)
        except StoreError as refusal:  # an administrator is told why, in the sentence that a command would print
            raise RequestError(ErrorCode.invalid_params, str(refusal)) from refusal


def this_user(source: str) -> User:
    """Whoever runs this program, as an administrator: the name of its user, or the number where it has no name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return User(name, "admin", source)


@contextmanager
def control_path(url: str) -> Iterator[str]:
    """The socket beside the database of `url`, under a name that fits into a socket address."""
    path = sqlite_path(url)
    assert path is not None, "only a database in a file has a sole writer to ask"
    path = path.with_name(path.name + ".control")
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
