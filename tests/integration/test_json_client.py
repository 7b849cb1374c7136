"""`JsonClient` and `request_once` with any JSON server: messages, deadlines, and what goes wrong."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import pytest

from inventory_server.jsonserver import JsonHandler, RequestServer, ServerFactory
from pos_client import ConnectionLost, JsonClient, NotJson, request_once
from tests.support.waiting import HANG_SECONDS


class Echo(JsonHandler):
    """Echoes; keeps `later` until the test lets it go."""

    opened = threading.Event()

    def handle_message(self, message: Any) -> Any:
        if message == "later":
            assert self.opened.wait(HANG_SECONDS)
        return {"echo": message}


@pytest.fixture
def server() -> Iterator[ServerFactory]:
    Echo.opened.clear()
    with ServerFactory(Echo, "localhost:0") as server:
        yield server
        Echo.opened.set()


@contextmanager
def saying(data: bytes) -> Iterator[str]:
    """The address of a server that says `data` to its only client, and hangs up once that has sent something."""

    def talk() -> None:
        accepted, _ = listening.accept()
        with accepted:
            accepted.sendall(data)
            accepted.shutdown(socket.SHUT_WR)
            while accepted.recv(65_536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        talking = threading.Thread(target=talk)
        talking.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        talking.join(HANG_SECONDS)


@pytest.mark.parametrize("framing", ["jsocket", "lines"])
def test_objects_go_and_come(server: ServerFactory, framing: Literal["jsocket", "lines"]) -> None:
    with JsonClient(server.addresses[0], framing=framing) as client:
        assert client.request({"a": [1, 2.5, "ü", None]}) == {"echo": {"a": [1, 2.5, "ü", None]}}
        client.send_obj(1)
        client.send_obj("x" * 100_000)
        assert [client.read_obj(), client.read_obj()] == [{"echo": 1}, {"echo": "x" * 100_000}]


def test_a_client_connects_by_text_pair_and_path_and_again(tmp_path: Path) -> None:
    with ServerFactory(Echo, "127.0.0.1:0", f"unix:{tmp_path}/s") as server:
        pair, path = server.addresses
        for address in (pair, f"{pair[0]}:{pair[1]}", path, f"unix:{path}"):
            client = JsonClient(address)
            for _ in range(2):
                client.connect()
                assert client.request(1) == {"echo": 1}
                client.close()
            client.close()


def test_a_late_message_leaves_the_connection_open_and_a_late_reply_does_not(server: ServerFactory) -> None:
    with JsonClient(server.addresses[0]) as client:
        client.send_obj("later")
        with pytest.raises(TimeoutError, match=r"no message of 127\.0\.0\.1:\d+ came in time"):
            client.read_obj(timeout=0.01)
        Echo.opened.set()
        assert client.read_obj() == {"echo": "later"}
        Echo.opened.clear()
        with pytest.raises(ConnectionLost, match="came in time"):
            client.request("later", timeout=0.01)
        with pytest.raises(RuntimeError, match=r"call connect\(\) first"):
            client.read_obj()


def test_nothing_is_sent_of_what_is_no_json(server: ServerFactory) -> None:
    with JsonClient(server.addresses[0]) as client:
        for bad in ({"a": float("inf")}, object(), "\ud800"):
            with pytest.raises(NotJson):
                client.send_obj(bad)
        assert client.request(1) == {"echo": 1}


def test_a_client_is_used_in_order(server: ServerFactory) -> None:
    client = JsonClient(server.addresses[0])
    with pytest.raises(RuntimeError, match=r"is not connected to 127\.0\.0\.1:\d+: call connect\(\) first"):
        client.send_obj(1)
    with client, pytest.raises(RuntimeError, match="close it before it connects again"):
        client.connect()
    with pytest.raises(ValueError, match="expected 'jsocket' or 'lines', got 'xml'"):
        JsonClient("localhost:1", framing="xml")  # type: ignore[arg-type] # as someone without types may
    with socket.create_server(("127.0.0.1", 0)) as listening:
        free = listening.getsockname()
    with pytest.raises(ConnectionLost, match=f"The server at 127.0.0.1:{free[1]} cannot be reached: Connection ref"):
        JsonClient(free).connect()


@pytest.mark.parametrize(
    ("said", "error", "complaint"),
    [
        (b"", ConnectionLost, "the server closed the connection"),
        (b'{"half a li', ConnectionLost, "the server closed the connection"),
        (b'{"a":\n', NotJson, "expected a JSON text"),
    ],
)
def test_what_is_no_message_ends_the_connection(said: bytes, error: type[Exception], complaint: str) -> None:
    with saying(said) as address, JsonClient(address, framing="lines") as client:
        client.send_obj(1)
        with pytest.raises(error, match=complaint):
            client.read_obj()


def test_a_message_that_nobody_takes_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = JsonClient(listening.getsockname())
        client.connect()
        with pytest.raises(ConnectionLost):
            client.send_obj("x" * (64 << 20), timeout=0.1)


# ---------------------------------------------------------------------------------- one request in one call


class Library(RequestServer):
    def handle_request(self, request: Any) -> Any:
        return f"you asked {request}" if isinstance(request, str) else {"you asked": request}


def test_one_request_is_text_or_json(tmp_path: Path) -> None:
    with Library("localhost:0", f"unix:{tmp_path}/s") as server:
        for address in server.addresses:
            assert request_once(address, "wie spät?") == "you asked wie spät?"
            assert request_once(address, {"a": 1.5}, timeout=5) == {"you asked": {"a": 1.5}}
            assert request_once(address, [1]) == {"you asked": [1]}


@pytest.mark.parametrize(
    ("ask", "complaint"),
    [
        (lambda at: request_once(at, "two\nlines"), r"request: expected one line of text, got 'two\\nlines'"),
        (lambda at: request_once(at, " "), "request: expected one line of text, got ' '"),
        (lambda at: request_once(at, 5), "request: expected text, an object or a list, got 5"),
        (
            lambda at: cast(Any, request_once)(at, "x", 5),
            "params: expected a mapping or a message, got 5; ",
        ),
    ],
)
def test_a_request_that_is_none_is_refused_before_anything_is_sent(ask: Callable[[Any], Any], complaint: str) -> None:
    with pytest.raises((TypeError, ValueError), match=complaint):
        ask("localhost:1")


@pytest.mark.parametrize("said", [b"", b"half a li"])
def test_a_reply_cut_off_is_no_reply(said: bytes) -> None:
    with saying(said) as address, pytest.raises(ConnectionLost, match="closed the connection without a complete"):
        request_once(address, "x")


def test_one_request_has_one_deadline(server: ServerFactory) -> None:
    with pytest.raises(ConnectionLost, match="failed"):
        request_once(server.addresses[0], '"later"', timeout=0.05)
