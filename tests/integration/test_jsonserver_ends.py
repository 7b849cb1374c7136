"""How connections end when something is still on its way: nothing is cut off, shown in plain text or done too much."""

import logging
import socket
import ssl
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from inventory_server.jsonserver import EncodedReply, JsonHandler, SendReply, ServerFactory
from inventory_server.jsonserver.bare_connection import Stage
from inventory_server.jsonserver.connection import ServerConnection
from inventory_server.jsonserver.incoming import Incoming
from inventory_server.jsonserver.limits import DEFAULT_LIMITS
from pos_client.protocol.framing import FrameChecksumWrong, jsocket_frame
from tests.support.lines import LIMITS, SOON, Echo, Start, connect, listens_on, start
from tests.support.waiting import HANG_SECONDS, wait_until
from tests.support.wires import RawClient, client_context, server_tls

__all__ = ["start"]

Handlers = pytest.mark.parametrize("handlers", ["shared", "thread"])
REPLY_DATA, ALERT = 23, 21


class Slow(Echo):
    """Answers `wait` once it is let, from another thread."""

    answers: list[SendReply]

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        if frame == b"wait":
            self.answers.append(answer)
        else:
            super().handle_frame(frame, answer)


@pytest.fixture
def slow() -> type[Slow]:
    Slow.answers = []
    return Slow


def connection_of(server: ServerFactory) -> ServerConnection:
    wait_until(lambda: server.connections == 1)
    [connection] = server._served
    return connection


# ---------------------------------------------------------------------------------- TLS


class Recorder:
    """A TLS client that keeps the bytes on the wire."""

    def __init__(self, server: ServerFactory) -> None:
        self.wire = bytearray()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = client_context().wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self.socket = socket.create_connection(server.addresses[0], HANG_SECONDS)  # type: ignore[arg-type]
        while not self._shakes_hands():
            self._receive()
        del self.wire[:]

    def send(self, data: bytes) -> None:
        self._tls.write(data)
        self.socket.sendall(self._outgoing.read())

    def read_to_end(self) -> bytes:
        """What is decrypted until the server closes."""
        with self.socket:
            while self._receive():
                pass
        return self._tls.read(1 << 16)

    def is_told_of_the_end(self) -> bool:
        """True where close_notify has come."""
        try:
            return not self._tls.read(1)
        except ssl.SSLWantReadError:
            return False

    def record_types(self) -> set[int]:
        """The types of the records on the wire, which consists of whole ones."""
        types, at = set(), 0
        while at < len(self.wire):
            kind, _version, size = struct.unpack_from("!BHH", self.wire, at)
            types.add(kind)
            at += 5 + size
        assert at == len(self.wire)
        return types

    def _shakes_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            if data := self._outgoing.read():
                self.socket.sendall(data)
        return True

    def _receive(self) -> bytes:
        data = self.socket.recv(1 << 16)
        self.wire += data
        self._incoming.write(data)
        return data


@Handlers
def test_a_reply_that_is_due_while_the_server_stops_is_never_plain_text(
    start: Start, slow: type[Slow], handlers: str
) -> None:
    server = start(factory=slow, handlers=handlers, tls=server_tls())
    client = Recorder(server)
    client.send(b"wait\n")
    wait_until(lambda: len(slow.answers) == 1)
    connection = connection_of(server)
    with ThreadPoolExecutor(1) as other:
        stopping = other.submit(server.stop, HANG_SECONDS)
        wait_until(lambda: connection._is_stopping)
        slow.answers[0](EncodedReply(b"the secret reply\n", close=False))
        assert client.read_to_end() == b"the secret reply\n"
        assert stopping.result() == 0
    assert b"secret" not in client.wire
    assert client.record_types() <= {REPLY_DATA, ALERT}


@Handlers
def test_the_last_reply_over_tls_arrives_though_the_client_has_sent_more(start: Start, handlers: str) -> None:
    server = start(handlers=handlers, tls=server_tls())
    with RawClient(listens_on(server), tls=True) as client:
        client.send(b"close\n")
        connection = connection_of(server)
        client.send(b"more\n" * 20_000)
        wait_until(lambda: connection._stage in (Stage.lingering, Stage.over))
        assert connection._stage is Stage.lingering
        assert client.read_line() == b"close"
        assert client.read_line() == b""


@Handlers
def test_a_server_that_closes_says_so_in_tls(start: Start, handlers: str) -> None:
    server = start(handlers=handlers, tls=server_tls())
    client = Recorder(server)
    client.send(b"one\n")
    connection_of(server)
    client.socket.shutdown(socket.SHUT_WR)
    assert client.read_to_end() == b"one\n"
    assert client.is_told_of_the_end()


def test_silent_clients_beyond_the_limit_are_dropped_soon(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tillwire.connection")
    options: dict[str, Any] = {"max_connections": 1, "surplus_connections": 1, "linger_seconds": SOON}
    with (
        ServerFactory(Echo, "127.0.0.1:0", tls=server_tls("127.0.0.0/8"), handshake_seconds=1_000, **options) as server,
        connect(server) as first,
    ):
        first.send(b"one\n")
        assert first.read_line() == b"one"
        for sent in (b"", b"\x16\x03\x01"):
            with connect(server) as silent:
                silent.send(sent)
                assert silent.read_line() == b""


def test_the_first_byte_has_as_long_as_a_handshake_where_tls_is_offered() -> None:
    with (
        ServerFactory(Echo, "127.0.0.1:0", tls=server_tls("127.0.0.0/8"), handshake_seconds=SOON) as server,
        connect(server) as silent,
    ):
        assert silent.read_line() == b""


# ---------------------------------------------------------------------------------- any stream


def test_a_reset_ends_the_connection_though_its_answer_is_due(
    start: Start, slow: type[Slow], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tillwire.connection")
    server = start(factory=slow, half_closed_seconds=1_000)
    client = connect(server)
    client.send(b"wait\n")
    wait_until(lambda: len(slow.answers) == 1)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    wait_until(lambda: server.connections == 0)
    assert "reason=connection_lost" in caplog.text


def test_nothing_behind_a_wrong_checksum_is_taken() -> None:
    good, payload = jsocket_frame(b"good"), b"bad"
    bad = struct.pack("!4sII", b"JSN1", len(payload), zlib.crc32(payload) ^ 1) + payload
    incoming = Incoming(DEFAULT_LIMITS)
    incoming.feed(good + bad + good)
    assert incoming.take(9) == [b"good"]
    assert isinstance(incoming.refusal, FrameChecksumWrong)
    incoming.feed(good)
    assert incoming.take(9) == []
    assert isinstance(incoming.refusal, FrameChecksumWrong)


class Stopper(Echo):
    """Stops its server from within a handler."""

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        if frame == b"stop":
            self.server.stop(HANG_SECONDS)
        super().handle_frame(frame, answer)


@Handlers
def test_a_handler_that_stops_the_server_answers_what_has_arrived(start: Start, handlers: str) -> None:
    server = start(factory=Stopper, handlers=handlers)
    with connect(server) as client:
        client.send(b"stop\n" + b"more\n" * 40)
        assert [client.read_line() for _ in range(42)] == [b"stop", *[b"more"] * 40, b""]
    wait_until(lambda: server.connections == 0)


class Undecided(JsonHandler):
    """Cannot tell whether a frame may block."""

    handled: list[bytes]

    def may_block(self, frame: bytes) -> bool:
        raise ZeroDivisionError

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        self.handled.append(frame)
        answer(None)


def test_a_frame_of_which_nobody_can_tell_whether_it_blocks_is_not_handled(start: Start) -> None:
    Undecided.handled = []
    with connect(start(factory=Undecided, handlers="shared", limits=LIMITS)) as client:
        client.send(b"one\n")
        assert client.read_line() == b""
    assert Undecided.handled == []
