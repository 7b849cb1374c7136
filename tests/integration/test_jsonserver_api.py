"""The JSON server as a library: handlers of messages, servers of each kind, their options. No inventory here."""

import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec
import pytest

from inventory_server.jsonserver import (
    JsonHandler,
    NetworkLimits,
    Peer,
    RequestServer,
    ServerFactory,
    ThreadedServer,
)
from inventory_server.jsonserver.limits import ServerOptions
from pos_client import JsonClient
from pos_client.protocol.address import Address
from tests.support.edge import LineClient
from tests.support.lines import connect, listens_on
from tests.support.waiting import HANG_SECONDS, wait_until


class Talk(JsonHandler):
    """Answers an object with what its `do` says."""

    events: ClassVar[list[str]] = []

    def setup(self) -> None:
        self.events.append("setup")

    def handle_message(self, message: Any) -> Any:
        match message["do"]:
            case "echo":
                return {"echo": message["what"]}
            case "nothing":
                return None
            case "bad":
                return {"what": object()}
            case "nan":
                return [1.0, float("nan")]
            case "raise":
                raise FileNotFoundError("orders.csv")
            case "push":
                assert self.send({"pushed": 1})
                assert self.send({"pushed": 2})
                return {"pushed": "all"}
            case "close":
                self.close()
                return "closing"
            case "stop":
                return {"forced": self.server.stop()}
        raise AssertionError(message)

    def finish(self) -> None:
        self.events.append(f"finish {self.end_reason}")


@pytest.fixture(autouse=True)
def _no_events() -> None:
    Talk.events.clear()


def do(client: LineClient, verb: str, **more: Any) -> Any:
    return client.ask(msgspec.json.encode({"do": verb, **more}))


def loosely(make: Any) -> Any:
    """For calls that a type checker refuses, as someone without one writes them."""
    return make


# ---------------------------------------------------------------------------------- handlers


def test_a_handler_gets_objects_and_returns_replies() -> None:
    with ServerFactory(Talk, "localhost:0") as server:
        assert server.addresses[0][0] == "127.0.0.1"
        with connect(server) as client:
            assert do(client, "echo", what=[1, 2.5, "ü", None]) == {"echo": [1, 2.5, "ü", None]}
            client.send(b'{"do":"nothing"}\n\r\n  \n')
            assert do(client, "echo", what=1) == {"echo": 1}
            assert do(client, "push") == {"pushed": 1}
            assert [client.read_line(), client.read_line()] == [b'{"pushed":2}', b'{"pushed":"all"}']
            client.send(b"bye\n")
            assert client.read_line() == b""
        wait_until(lambda: server.connections == 0)
    assert Talk.events == ["setup", "finish handler_closed"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"{", "expected a JSON text: Input data was truncated"),
        (b'{"a":1}{', "expected a JSON text: JSON is malformed: trailing characters (byte 8)"),
        (b"[" * 100_000, "expected a JSON text: maximum recursion depth exceeded"),
        (b'"\xff"', "expected a JSON text: 'utf-8' codec can't decode byte 0xff"),
        (b'{"a":NaN}', "expected a JSON text: JSON is malformed: invalid character (byte 5)"),
    ],
)
def test_what_is_no_json_is_answered_and_the_connection_goes_on(line: bytes, complaint: str) -> None:
    with ServerFactory(Talk, "localhost:0") as server, connect(server) as client:
        assert client.ask(line)["error"].startswith(complaint)
        assert do(client, "echo", what=1) == {"echo": 1}


class Order(msgspec.Struct, forbid_unknown_fields=True):
    sku: str
    quantity: int


class Orders(JsonHandler):
    decoder = msgspec.json.Decoder(Order)

    def handle_message(self, message: Order) -> Any:
        return {message.sku: message.quantity}


def test_a_handler_may_name_the_type_of_its_messages() -> None:
    with ServerFactory(Orders, "localhost:0") as server, connect(server) as client:
        assert client.ask(b'{"sku":"A","quantity":2}') == {"A": 2}
        assert client.ask(b'{"sku":"A","quantity":"2"}') == {
            "error": "expected a JSON text: Expected `int`, got `str` - at `$.quantity`"
        }


class Slow(JsonHandler):
    """Replies when the test lets it."""

    pool: ClassVar[ThreadPoolExecutor]
    replies: ClassVar[list["Future[Any]"]] = []

    def handle_message(self, message: Any) -> Any:
        if message == "now":
            return "now"
        self.replies.append(Future())
        return self.replies[-1]


def test_a_reply_may_come_later_and_from_another_thread(caplog: pytest.LogCaptureFixture) -> None:
    Slow.replies.clear()
    with ServerFactory(Slow, "localhost:0") as server, connect(server) as client, connect(server) as other:
        client.send(b'"later"\n"now"\n')
        wait_until(lambda: len(Slow.replies) == 1)
        assert other.ask(b'"now"') == "now"
        threading.Thread(target=Slow.replies[0].set_result, args=({"at": "last"},)).start()
        assert [client.read_line(), client.read_line()] == [b'{"at":"last"}', b'"now"']
        client.send(b'"later"\n')
        wait_until(lambda: len(Slow.replies) == 2)
        Slow.replies[1].set_exception(ZeroDivisionError())
        assert client.read_line() == b""
        assert other.ask(b'"now"') == "now"
    assert caplog.text.count("event=handler_failed") == 1


class Patient(JsonHandler):
    """Lets an idle client stay twice, and says so."""

    def setup(self) -> None:
        self.times = 0

    def handle_timeout(self) -> None:
        self.times += 1
        self.send({"still there?": self.times})
        if self.times == 2:
            super().handle_timeout()


def test_a_handler_decides_what_becomes_of_an_idle_client() -> None:
    with (
        ServerFactory(Patient, "localhost:0", idle_seconds=0.05, jsocket_frames=False) as server,
        connect(server) as client,
    ):
        assert client.read_line() == b'{"still there?":1}'
        assert client.read_line() == b'{"still there?":2}'
        assert client.read_line() == b""


class Greeter(JsonHandler):
    """Speaks first; leaves at once where the client is not asked."""

    leaves = False

    def setup(self) -> None:
        self.send("welcome")
        if self.leaves:
            self.close()

    def handle_message(self, message: Any) -> Any:
        return message


@pytest.mark.parametrize("framing", ["jsocket", "lines"])
def test_a_message_waits_until_the_client_has_shown_its_framing(framing: Literal["jsocket", "lines"]) -> None:
    with ServerFactory(Greeter, "localhost:0") as server, JsonClient(server.addresses[0], framing=framing) as client:
        client.send_obj("hello")
        assert [client.read_obj(), client.read_obj()] == ["welcome", "hello"]


def test_a_message_to_a_client_that_never_speaks_is_a_line() -> None:
    class Leaver(Greeter):
        leaves = True

    for handler, jsocket_frames in ((Greeter, False), (Leaver, True)):
        server = ServerFactory(handler, "localhost:0", jsocket_frames=jsocket_frames, linger_seconds=0.1)
        with server, connect(server) as client:
            assert client.read_line() == b'"welcome"'


class Selective(ServerFactory):
    def verify_request(self, peer: Peer) -> bool:
        return not peer.address.startswith("127.0.0.1")


def test_a_client_that_is_not_verified_is_not_served() -> None:
    Talk.events.clear()
    with Selective(Talk, "127.0.0.1:0", "127.0.0.2:0") as server:
        with connect(server) as refused:
            assert refused.read_line() == b""
        with LineClient(listens_on(server, 1)) as client:
            assert client.socket.getsockname()[0] == "127.0.0.1"
            assert client.read_line() == b""
    assert Talk.events == []


# ---------------------------------------------------------------------------------- servers


def test_a_threaded_server_serves_one_client_at_a_time() -> None:
    with ThreadedServer(Talk, "localhost:0") as server, connect(server) as first:
        assert do(first, "echo", what=1) == {"echo": 1}
        with connect(server) as second:
            second.send(b'{"do":"echo","what":2}\n')
            assert do(first, "echo", what=3) == {"echo": 3}
            assert (server.connections, second.has_unread()) == (1, False)
            first.close()
            assert second.read_line() == b'{"echo":2}'


def test_one_request_can_be_served_on_the_calling_thread() -> None:
    server = ServerFactory(Talk, "localhost:0")
    assert server.addresses == []
    assert server.handle_request(timeout_seconds=0.01) is False
    with connect(server) as client:
        client.send(b'{"do":"echo","what":1}\nBYE\n')
        assert server.handle_request() is True
        assert client.read_line() == b'{"echo":1}'
    server.start()
    with pytest.raises(RuntimeError, match="this server is running"):
        server.handle_request()
    server.stop()
    with pytest.raises(RuntimeError, match="this server has stopped"):
        server.start()


def test_a_server_runs_until_a_handler_stops_it() -> None:
    server = ServerFactory(Talk, "localhost:0")
    running = threading.Thread(target=server.serve_forever)
    running.start()
    wait_until(lambda: len(server.addresses) > 0)
    with connect(server) as idle, connect(server) as client:
        assert do(client, "stop") == {"forced": 0}
        assert [client.read_line(), idle.read_line()] == [b"", b""]
    running.join(HANG_SECONDS)
    assert server.join(0) is True
    assert not running.is_alive()


class Watched(ServerFactory):
    acted = threading.Event()

    def service_actions(self) -> None:
        if not self.acted.is_set():
            self.acted.set()
            raise ZeroDivisionError


def test_a_handler_that_closes_still_replies() -> None:
    with ServerFactory(Talk, "localhost:0", linger_seconds=0.1) as server, connect(server) as client:
        client.send(b'{"do":"close"}\n{"do":"echo","what":"unheard"}\n')
        assert [client.read_line(), client.read_line()] == [b'"closing"', b""]


def test_service_actions_are_called_while_the_server_runs(caplog: pytest.LogCaptureFixture) -> None:
    with Watched(Talk, "localhost:0") as server:
        assert Watched.acted.wait(HANG_SECONDS)
        with connect(server) as client:
            assert do(client, "echo", what=1) == {"echo": 1}
        wait_until(lambda: "event=service_actions_failed" in caplog.text)


def test_clients_are_listed_with_what_they_sent_and_received() -> None:
    with ServerFactory(Talk, "localhost:0") as server, connect(server) as client:
        do(client, "echo", what=1)
        do(client, "echo", what=2)
        [info] = server.clients()
        assert info.address == str(Address(*client.socket.getsockname()))
        assert info.connected_seconds > 0
        assert (info.frames, info.received_bytes, info.sent_bytes) == (2, 46, 22)
        client.close()
        wait_until(lambda: server.clients() == [])


def test_servers_listen_on_unix_sockets_and_on_sockets_that_are_passed(tmp_path: Path) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    with ServerFactory(Talk, f"unix:{tmp_path}/s", listening, ("127.0.0.1", 0)) as server:
        assert server.addresses[:2] == [f"{tmp_path}/s", ("127.0.0.1", port)]
        for number in range(3):
            with connect(server, number) as client:
                assert do(client, "echo", what=1) == {"echo": 1}


def test_reuse_of_an_address_can_be_switched_off() -> None:
    for reuse in (True, False):
        with ServerFactory(Talk, "127.0.0.1:0", reuse_address=reuse) as server:
            [acceptor] = getattr(server, "_acceptors")  # noqa: B009
            assert acceptor._socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == reuse


def test_the_options_are_the_fields_of_the_limits() -> None:
    assert {field.name: field.type for field in fields(NetworkLimits)} == {
        name: kind.__forward_arg__ for name, kind in ServerOptions.__annotations__.items()
    }


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"idle_second": 1}, "'idle_second' is not an option of a server; the options are accept_backlog, "),
        ({"idle_seconds": 0}, "idle_seconds: expected a number of seconds above 0, got 0"),
        ({"idle_seconds": "5"}, "idle_seconds: expected a number of seconds above 0, got '5'"),
        ({"idle_seconds": float("inf")}, "idle_seconds: expected a number of seconds above 0, got inf"),
        ({"max_connections": 2.5}, "max_connections: expected a whole number of at least 1, got 2.5"),
        ({"surplus_connections": -1}, "surplus_connections: expected a whole number of at least 0, got -1"),
        ({"jsocket_frames": "no"}, "jsocket_frames: expected True or False, got 'no'"),
    ],
)
def test_an_option_of_no_use_is_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{complaint}"):
        ServerFactory(Talk, "localhost:0", **options)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: loosely(ServerFactory)(Talk, "localhost", 9999), "an address is 'host:port', .* got 9999"),
        (lambda: loosely(ServerFactory)(Talk(), "localhost:0"), "expected a JsonHandler's class, or a function"),
        (lambda: loosely(RequestServer)("localhost:0", str.upper), "a RequestServer needs handle_request"),
        (lambda: ServerFactory(Talk), "a server needs an address to listen on"),
        (lambda: ServerFactory(Talk, "localhost:99999"), "Cannot listen on 'localhost:99999': expected HOST:PORT"),
        (lambda: RequestServer("localhost:0"), "a RequestServer needs handle_request: override it, or pass a function"),
    ],
)
def test_a_server_that_cannot_be_made_says_why(make: Callable[[], object], complaint: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{complaint}"):
        make()


# ---------------------------------------------------------------------------------- handlers that go wrong


@pytest.mark.parametrize(
    ("what", "logged"),
    [
        ("bad", "NotJson: expected data that JSON can express: Encoding objects of type object is unsupported"),
        ("nan", "NotJson: expected finite numbers, got NaN or an infinity, which JSON cannot express"),
        ("raise", "FileNotFoundError: orders.csv"),
    ],
)
def test_a_handler_that_fails_is_logged_once_and_ends_its_connection_only(
    caplog: pytest.LogCaptureFixture, what: str, logged: str
) -> None:
    caplog.set_level(logging.DEBUG, "tillwire.connection")
    with ServerFactory(Talk, "localhost:0") as server, connect(server) as failing, connect(server) as other:
        failing.send(b'{"do":"%s"}\n' % what.encode())
        assert failing.read_line() == b""
        assert do(other, "echo", what=1) == {"echo": 1}
        wait_until(lambda: "finish handler_failed" in Talk.events)
    assert caplog.text.count("event=handler_failed") == 1
    assert "incident=" in caplog.text
    assert logged in caplog.text


def test_a_handler_without_handle_message_says_what_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    with ServerFactory(JsonHandler, "localhost:0") as server, connect(server) as client:
        client.send(b"1\n")
        assert client.read_line() == b""
    assert "JsonHandler must override handle_message" in caplog.text
