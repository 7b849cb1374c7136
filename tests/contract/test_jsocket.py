"""The package jsocket, unmodified, talks to our servers, and our client to its servers."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsocket
import pytest

from inventory_server.app import Application
from inventory_server.config import Settings
from inventory_server.jsonserver import JsonHandler, ServerFactory
from inventory_server.jsonserver.stream import ServerStream
from pos_client import ConnectionLost, FramingError, JsonClient
from pos_client.protocol.framing import jsocket_frame
from pos_client.transport.stream import ClientStream
from tests.support.edge import ID, SALE, LineClient, MemoryStore
from tests.support.lines import ANYWHERE, connect, listens_on
from tests.support.waiting import HANG_SECONDS, wait_until

MESSAGES: list[Any] = [{"a": [1, 2.5, None]}, "ü", 0, [], "x" * 100_000]


class Echo(JsonHandler):
    """Echoes; `push` first sends a message of its own."""

    def handle_message(self, message: Any) -> Any:
        if message == "push":
            self.send({"pushed": True})
        return {"echo": message}


@contextmanager
def stock_client(host: str, port: int) -> Iterator[Any]:
    """A client of the package, connected; it gives up when something hangs."""
    client = jsocket.JsonClient(address=host, port=port, timeout=HANG_SECONDS)
    assert client.connect()
    try:
        yield client
    finally:
        client.close()


def test_the_stock_client_says_hello_posts_and_asks_at_headquarters() -> None:
    application = Application(Settings(), MemoryStore(), [ANYWHERE], dev=True)
    application.start()
    address = application.addresses[0]
    with stock_client(address.host, address.port) as client:

        def ask(method: str, **params: Any) -> Any:
            client.send_obj({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
            return client.read_obj()["result"]

        assert ask("hello", terminal="north-1", location="north")["terminal"] == "north-1"
        assert ask("post", postings=[{"id": ID, "body": SALE}])["results"][0]["status"] == "posted"
        assert ask("post", postings=[{"id": ID, "body": SALE}])["results"][0]["status"] == "posted"
        assert ask("stock", sku="a")["items"] == []
        client.send_obj({"method": "nonsense", "id": 2})
        assert client.read_obj()["error"]["code"] == -32601
    assert application.stop() == 0


def test_the_stock_client_talks_to_a_factory_beside_clients_of_lines() -> None:
    with ServerFactory(Echo, "localhost:0") as server:
        address = listens_on(server)
        with stock_client(address.host, address.port) as client, connect(server) as lines:
            for message in MESSAGES:
                client.send_obj(message)
                assert client.read_obj() == {"echo": message}
            assert lines.ask(b"1") == {"echo": 1}
            client.send_obj("push")
            assert [client.read_obj(), client.read_obj()] == [{"pushed": True}, {"echo": "push"}]


class StockEcho(jsocket.ServerFactoryThread):  # type: ignore[misc] # the package has no types
    def _process_message(self, obj: Any) -> Any:
        return {"echo": obj}


def test_our_client_talks_to_a_stock_factory() -> None:
    server = jsocket.ServerFactory(StockEcho, address="127.0.0.1", port=0, timeout=1.0)
    port = server.socket.getsockname()[1]
    server.start()
    try:
        wait_until(lambda: server._is_listening)
        with JsonClient(f"127.0.0.1:{port}") as client, JsonClient(f"127.0.0.1:{port}") as other:
            for message in MESSAGES:
                assert client.request(message) == {"echo": message}
            other.send_obj({"b": 1})
            assert other.read_obj() == {"echo": {"b": 1}}
    finally:
        server.stop()
        server.join(HANG_SECONDS)
        server._close_wakeup()  # which it leaves open


# ---------------------------------------------------------------------------------- bad frames, from the bytes up


def header(size: int, checksum: int, magic: bytes = b"JSN1") -> bytes:
    return struct.pack("!4sII", magic, size, checksum)


def payload(data: bytes) -> bytes:
    """The JSON text of the only jsocket frame in `data`."""
    assert jsocket_frame(data[12:]) == data
    return data[12:]


def talk(server: ServerFactory, sent: bytes, end: bool = False) -> bytes:
    """What comes back until the server closes; `end` closes the sending side."""
    with connect(server) as client:
        client.send(sent)
        if end:
            client.socket.shutdown(socket.SHUT_WR)
        received = b""
        while data := client.socket.recv(65_536):
            received += data
        return received


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        (header(3, 1) + b"123", "a jsocket frame has CRC-32 884863d2, its header says 00000001"),
        (header(0, 0), "expected a JSON text, got a jsocket frame of length 0"),
        (header(70_000, 0), "a jsocket frame of 70000 bytes exceeds 65536 bytes"),
        (header(0xFFFFFFFF, 0), "a jsocket frame of 4294967295 bytes exceeds 65536 bytes"),
        (jsocket_frame(b"1")[:-1], "the stream ended 12 bytes into a jsocket frame"),
    ],
)
def test_a_bad_frame_is_answered_in_a_frame_and_ends_the_connection(sent: bytes, complaint: str) -> None:
    with ServerFactory(Echo, "localhost:0", max_frame_bytes=65_536, linger_seconds=0.1) as server:
        assert payload(talk(server, sent, end=True)) == b'{"error": "%s"}' % complaint.encode()


def test_headquarters_names_what_is_wrong_with_a_frame() -> None:
    application = Application(Settings(linger_seconds=0.1), MemoryStore(), [ANYWHERE], dev=True)
    application.start()
    try:
        for sent, code in ((header(3, 1) + b"123", b"-32700"), (header(1 << 30, 1), b"-32007")):
            with LineClient(application.addresses[0]) as client:
                client.send(sent)
                assert b'"code":' + code in client.socket.recv(65_536)
    finally:
        application.stop()


def test_the_first_bytes_may_come_one_by_one() -> None:
    with ServerFactory(Echo, "localhost:0") as server, connect(server) as client:
        for byte in jsocket_frame(b"[1]"):
            client.send(bytes([byte]))
        assert payload(client.socket.recv(65_536)) == b'{"echo":[1]}'


def test_a_header_is_acknowledged_at_once_since_the_package_holds_back_the_payload_until_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acknowledged: list[object] = []
    for stream in (ServerStream, ClientStream):
        monkeypatch.setattr(stream, "acknowledge", lambda each: acknowledged.append(each))
    frame = jsocket_frame(b'{"a":1}')
    with ServerFactory(Echo, "localhost:0") as server, connect(server) as client, connect(server) as lines:
        lines.send(b'{"a"')
        client.send(frame[:12])
        wait_until(lambda: len(acknowledged) == 1)
        client.send(frame[12:])
        lines.send(b":1}\n")
        assert lines.read_line() == payload(client.socket.recv(65_536))
    with socket.create_server(("127.0.0.1", 0)) as listening, JsonClient(listening.getsockname()) as ours:
        accepted, _ = listening.accept()
        with accepted:
            accepted.sendall(frame[:12])
            with pytest.raises(TimeoutError):
                ours.read_obj(timeout=0.2)
            accepted.sendall(frame[12:])
            assert ours.read_obj() == {"a": 1}
    assert [type(each) for each in acknowledged] == [ServerStream, ClientStream]


def test_jsocket_frames_can_be_switched_off() -> None:
    with ServerFactory(Echo, "localhost:0", jsocket_frames=False) as server, connect(server) as client:
        client.send(b"JSN1\n")
        assert client.read_line().startswith(b'{"error":"expected a JSON text')


def test_a_tls_handshake_is_refused_at_once() -> None:
    with ServerFactory(Echo, "localhost:0", linger_seconds=0.1) as server:
        assert b"this server speaks no TLS" in talk(server, b"\x16\x03\x01\x00\xa5\x01", end=True)


@pytest.mark.parametrize(
    ("reply", "error", "complaint"),
    [
        (header(3, 1) + b"123", FramingError, "its header says 00000001"),
        (header(0, 0), FramingError, "length 0"),
        (header(1 << 31, 0), FramingError, "a jsocket frame of 2147483648 bytes exceeds 67108864 bytes"),
        (b'{"echo":1}\n    ', FramingError, "expected a jsocket frame"),
        (jsocket_frame(b"12")[:-1], FramingError, "the stream ended 13 bytes into a jsocket frame"),
        (b"", ConnectionLost, "the server closed the connection"),
    ],
)
def test_our_client_names_what_is_wrong_with_a_frame_after_those_before_it(
    reply: bytes, error: type[Exception], complaint: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = JsonClient(f"127.0.0.1:{listening.getsockname()[1]}", timeout=HANG_SECONDS)
        client.connect()
        accepted, _ = listening.accept()
        with accepted:
            accepted.sendall(jsocket_frame(b'"first"') + reply)
        assert client.read_obj() == "first"
        with pytest.raises(error, match=complaint):
            client.read_obj()
        with pytest.raises(RuntimeError, match=r"call connect\(\) first"):
            client.read_obj()
