"""Servers and clients over each stream (plain, TLS, Unix), with each kind of handlers and each framing."""

import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest

from inventory_server.jsonserver import EncodedReply, JsonHandler, SendReply, ServerFactory, ServerTls
from pos_client import JsonClient
from pos_client.protocol.address import Address
from pos_client.protocol.framing import jsocket_frame
from tests.support.edge import LineClient
from tests.support.lines import listens_on
from tests.support.waiting import HANG_SECONDS

CERTIFICATES = Path(__file__).with_name("certificates")
AUTHORITY = CERTIFICATES / "ca.pem"
Framing = Literal["jsocket", "lines"]


@cache
def server_tls(*allow_plaintext: str) -> ServerTls:
    return ServerTls(CERTIFICATES / "server.pem", CERTIFICATES / "server.key", allow_plaintext)


@cache
def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(AUTHORITY))


class Obedient(JsonHandler):
    """Does what a message says; `blocks` tells whether that may wait, and runs in the pool of shared handlers."""

    blocks = True
    opened: threading.Event
    made: list["Obedient"]
    ended: list[str]

    def setup(self) -> None:
        self.made.append(self)

    def may_block(self, frame: bytes) -> bool:
        return self.blocks

    def handle_message(self, message: Any) -> Any:
        match message:
            case "raise":
                raise ZeroDivisionError
            case "wait":
                assert self.opened.wait(HANG_SECONDS)
            case "stop":
                return self.server.stop()
            case "close":
                self.close()
            case "flood":
                return "x" * (8 << 20)
            case "push":
                for number in range(50):
                    assert self.send({"pushed": number, "padding": "x" * 1_000})
        return {"done": message}

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        if frame == b'"never"':
            return
        if frame == b'"later"':
            threading.Thread(target=answer, args=(EncodedReply(b'{"done":"later"}\n', close=False),)).start()
            return
        super().handle_frame(frame, answer)

    def finish(self) -> None:
        self.ended.append(self.end_reason)


@dataclass(frozen=True)
class Kind:
    """What a test runs with."""

    stream: Literal["plain", "tls", "unix"]
    handlers: Literal["thread", "shared", "loop"]
    """`loop`: shared, and nothing runs in the pool."""

    def __str__(self) -> str:
        return f"{self.stream}-{self.handlers}"


KINDS = [
    *(Kind("plain", "loop"), Kind("tls", "thread"), Kind("tls", "loop"), Kind("unix", "shared")),
    *(
        pytest.param(kind, marks=pytest.mark.long)
        for kind in (Kind("plain", "thread"), Kind("plain", "shared"), Kind("tls", "shared"), Kind("unix", "thread"))
    ),
]


class Wires:
    """Starts servers of one kind, and connects clients to them."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        self.kind = kind
        self._folder = folder
        self.servers: list[ServerFactory] = []
        self.clients: list[LineClient | JsonClient] = []
        Obedient.opened, Obedient.made, Obedient.ended = threading.Event(), [], []

    def start(self, factory: Callable[[], JsonHandler] = Obedient, **options: Any) -> ServerFactory:
        class OnLoop(Obedient):
            blocks = False

        if self.kind.handlers == "loop" and factory is Obedient:
            factory = OnLoop
        server = ServerFactory(
            factory,
            f"unix:{self._folder}/{len(self.servers)}" if self.kind.stream == "unix" else "127.0.0.1:0",
            handlers="thread" if self.kind.handlers == "thread" else "shared",
            tls=server_tls() if self.kind.stream == "tls" else None,
            **{"linger_seconds": 0.1, **options},
        )
        server.start()
        self.servers.append(server)
        return server

    def connect(self, server: ServerFactory, framing: Framing = "lines") -> JsonClient:
        """A client of messages."""
        client = JsonClient(
            server.addresses[0], framing=framing, timeout=HANG_SECONDS, tls=self.kind.stream == "tls" and AUTHORITY
        )
        client.connect()
        self.clients.append(client)
        return client

    def raw(self, server: ServerFactory) -> LineClient:
        """A client of bytes, its TLS handshake done."""
        client = RawClient(listens_on(server), self.kind.stream == "tls")
        self.clients.append(client)
        return client

    def close(self) -> None:
        Obedient.opened.set()
        for client in self.clients:
            client.close()
        for server in self.servers:
            server.stop(5)


class RawClient(LineClient):
    """A LineClient, inside TLS where `tls` is true."""

    def __init__(self, address: Address, tls: bool) -> None:
        super().__init__(address)
        if tls:
            self.socket = client_context().wrap_socket(self.socket, server_hostname="localhost")


@pytest.fixture(params=KINDS, ids=str)
def wires(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wires]:
    wires = Wires(request.param, tmp_path)
    yield wires
    wires.close()


def framed(framing: Framing, text: bytes) -> bytes:
    return jsocket_frame(text) if framing == "jsocket" else text + b"\n"
