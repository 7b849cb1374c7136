"""What the tests of the line server share: handlers that know no inventory, and servers that are stopped again."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from inventory_server.jsonserver.handler import EncodedReply, EndReason, Handler, Peer, SendReply
from inventory_server.jsonserver.limits import NetworkLimits
from inventory_server.jsonserver.server import LineServer
from pos_client.protocol.address import Address
from tests.support.edge import LOOPBACK, LineClient
from tests.support.waiting import HANG_SECONDS

ANYWHERE = Address("127.0.0.1", 0)
LIMITS = NetworkLimits(linger_seconds=int(HANG_SECONDS))
SOON: Any = 0.2
"""Seconds until a time-out that a test waits for; operators may set whole ones only."""
Start = Callable[..., LineServer]


class Echo:
    """Answers each frame with itself; a few words make it do something else."""

    def __init__(self, peer: Peer = LOOPBACK) -> None:
        self.peer = peer
        self.closed = threading.Event()
        self.reason: EndReason | None = None

    def handle(self, frame: bytes, answer: SendReply) -> None:
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

    def close(self, reason: EndReason) -> None:
        self.reason = reason
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
        *addresses: Address, factory: Callable[[Peer], Handler] = Echo, limits: NetworkLimits = LIMITS
    ) -> LineServer:
        server = LineServer(addresses or [ANYWHERE], factory, limits)
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


def connect(server: LineServer) -> LineClient:
    return LineClient(server.addresses[0])
