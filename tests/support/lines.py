"""What the tests of the line server share: handlers that know no inventory, and servers that are stopped again."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from inventory_server.jsonserver import EncodedReply, EndReason, JsonHandler, NetworkLimits, SendReply, ServerFactory
from inventory_server.jsonserver.server import JsonServer
from pos_client.protocol.address import Address
from tests.support.edge import LineClient
from tests.support.waiting import HANG_SECONDS

ANYWHERE = Address("127.0.0.1", 0)
LIMITS = NetworkLimits(linger_seconds=int(HANG_SECONDS))
SOON: Any = 0.2
"""Seconds until a time-out that a test waits for; operators may set whole ones only."""
Start = Callable[..., ServerFactory]


class Echo(JsonHandler):
    """Answers each frame with itself; a few words make it do something else."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.reason: EndReason | None = None

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        answer(self.reply(frame))

    def reply(self, frame: bytes) -> EncodedReply | None:
        if frame == b"silence":
            return None
        if frame == b"fail":
            raise ZeroDivisionError
        if frame == b"peer":
            return EncodedReply(json.dumps([self.peer.address, self.peer.loopback]).encode() + b"\n", close=False)
        if frame == b"flood":
            return EncodedReply(b"x" * (64 << 20) + b"\n", close=False)
        return EncodedReply(frame + b"\n", close=frame == b"close")

    def finish(self) -> None:
        self.reason = self.end_reason
        self.closed.set()


class Gate(Echo):
    """Answers `wait` only once it is let."""

    entered = threading.Event()
    opened = threading.Event()

    def reply(self, frame: bytes) -> EncodedReply | None:
        if frame == b"wait":
            self.entered.set()
            assert self.opened.wait(HANG_SECONDS)
        return super().reply(frame)


@pytest.fixture
def start() -> Iterator[Start]:
    servers = []

    def start(
        *addresses: Address,
        factory: Callable[[], JsonHandler] = Echo,
        limits: NetworkLimits = LIMITS,
        **options: Any,
    ) -> ServerFactory:
        server = ServerFactory(factory, *(addresses or [ANYWHERE]), limits=limits, **options)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop(5)


@pytest.fixture
def gate() -> Iterator[type[Gate]]:
    Gate.entered, Gate.opened = threading.Event(), threading.Event()
    yield Gate
    Gate.opened.set()


def listens_on(server: JsonServer, number: int = 0) -> Address:
    """The address that a server listens on."""
    served = server.addresses[number]
    return Address.unix(served) if isinstance(served, str) else Address(*served)


def connect(server: JsonServer, number: int = 0) -> LineClient:
    return LineClient(listens_on(server, number))
