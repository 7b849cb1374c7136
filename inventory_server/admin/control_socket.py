"""Administration of a ledger, whether or not a server is running on it.

An SQLite ledger has exactly one writer. While a server runs, an administrator's command is carried out by that
server, asked over a Unix socket beside the database that only its owner may open; else by the command itself.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from uuid import UUID

import msgspec
from msgspec import Struct

from inventory_server.clock import Clock
from inventory_server.config import Settings
from inventory_server.domain.product import Product
from inventory_server.jsonserver import handler
from inventory_server.jsonserver.server import LineServer
from inventory_server.store import Connection, OutcomeUnknown, Store, StoreError, StoreInUse, open_store, sqlite_path
from inventory_server.store.admin.catalog import import_products
from inventory_server.store.admin.review import reopen
from inventory_server.store.admin.terminals import add_terminal, revoke_terminal, rotate_terminal
from inventory_server.store.growth import closing
from inventory_server.store.growth.closing import Balance, Straggler
from pos_client.protocol.errors import RequestError

SOCKET_PATH_BYTES_MAX = 100
"""A socket address holds 107 bytes; a longer path is reached through a descriptor of its folder."""
REPLY_SECONDS = 60.0
"""How long a command waits for the server: an import of some thousand products is one commit."""


class AddTerminal(Struct, frozen=True, tag=True):
    """Enrol a terminal with the token that is shown to the operator once."""

    terminal: str
    role: str
    location: str
    token: str


class RevokeTerminal(Struct, frozen=True, tag=True):
    """Refuse a terminal from now on."""

    terminal: str


class RotateTerminal(Struct, frozen=True, tag=True):
    """Give a terminal a new token."""

    terminal: str
    token: str


class ImportProducts(Struct, frozen=True, tag=True):
    """List products."""

    products: list[Product]


class ReopenPosting(Struct, frozen=True, tag=True):
    """Let a refused posting be judged anew."""

    id: UUID


class BeginClosing(Struct, frozen=True, tag=True):
    """Lay the next cut through the ledger; the result is its position, None where there is nothing to close."""


class WriteClosing(Struct, frozen=True, tag=True):
    """Write some of a cut's rows."""

    balances: list[Balance]
    stragglers: list[Straggler]


class FinishClosing(Struct, frozen=True, tag=True):
    """Let look backs start from the cut at `position`."""

    position: int


Command = (
    ReopenPosting
    | AddTerminal
    | RevokeTerminal
    | RotateTerminal
    | ImportProducts
    | BeginClosing
    | WriteClosing
    | FinishClosing
)


class Answer(Struct, frozen=True, omit_defaults=True):
    """What became of a command: its result, or one sentence on why it was not carried out."""

    result: int | None = None
    error: str | None = None


_decoder = msgspec.json.Decoder(Command)


class ControlServer:
    """Lets administrators of this machine change a ledger through the server that writes it."""

    def __init__(self, url: str, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._folder = ExitStack()
        path = self._folder.enter_context(control_path(url))
        # A command, such as an import, has its own size whatever the tills' frames may have.
        settings = replace(settings, max_frame_bytes=Settings().max_frame_bytes)
        self._server = LineServer([path], self._handler, settings)

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

    def _handler(self, _peer: handler.Peer) -> _Handler:
        return _Handler(self)

    def carry_out(self, command: Command) -> Answer:
        """Have the store's writer carry out `command`."""
        return _answer(self._store, command, self._clock)


class _Handler:
    def __init__(self, server: ControlServer) -> None:
        self._server = server

    def handle(self, frame: bytes, answer: handler.Answer) -> None:
        try:
            answered = self._server.carry_out(_decoder.decode(frame))
        except msgspec.DecodeError as error:
            answered = Answer(error=f"The server does not understand this command: {error}")
        answer(handler.Reply(msgspec.json.encode(answered) + b"\n", close=False))

    def close(self) -> None:
        """Nothing is held."""


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


def administer(url: str, command: Command, settings: Settings, clock: Clock) -> int | None:
    """Carry out `command` on the ledger of `url`; StoreError says in one sentence why it could not be."""
    with administration(url, settings, clock) as carry_out:
        return carry_out(command)


@contextmanager
def administration(url: str, settings: Settings, clock: Clock) -> Iterator[Callable[[Command], int | None]]:
    """Carries out one command after the other on the ledger of `url`, as `administer` does."""
    settings = replace(settings, accept_weak_durability=True)  # no till is answered here
    with ExitStack() as opened:
        try:
            store = open_store(url, settings, clock)
            opened.callback(store.close)
        except StoreInUse:
            path = opened.enter_context(control_path(url))
            yield lambda command: _result(_ask(path, command))
        else:
            yield lambda command: _result(_answer(store, command, clock))


def _result(answer: Answer) -> int | None:
    if answer.error is not None:
        raise StoreError(answer.error)
    return answer.result


def _answer(store: Store, command: Command, clock: Clock) -> Answer:
    try:
        return Answer(store.administer(lambda connection: _carry_out(connection, command, clock())))
    except (StoreError, RequestError) as error:  # the latter from a server that is going down
        return Answer(error=str(error))
    except OutcomeUnknown as error:
        return Answer(error=f"Nobody knows whether that was done ({error}); look before you do it again.")


def _carry_out(connection: Connection, command: Command, now: int) -> int | None:
    match command:
        case AddTerminal(terminal, role, location, token):
            add_terminal(connection, terminal, role, location, token, now)
        case RevokeTerminal(terminal):
            revoke_terminal(connection, terminal, now)
        case RotateTerminal(terminal, token):
            rotate_terminal(connection, terminal, token)
        case ReopenPosting(posting_id):
            reopen(connection, posting_id, now)
        case ImportProducts(products):
            return import_products(connection, products)
        case BeginClosing():
            return closing.begin(connection)
        case WriteClosing(balances, stragglers):
            closing.write(connection, balances, stragglers)
        case FinishClosing(position):
            closing.finish(connection, position, now)
    return None


def _ask(path: str, command: Command) -> Answer:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(REPLY_SECONDS)
            sock.connect(path)
            sock.sendall(msgspec.json.encode(command) + b"\n")
            with sock.makefile("rb") as answers:
                return msgspec.json.decode(answers.readline(), type=Answer)
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"The program that uses this database did not answer at {path}: {error}.") from error
