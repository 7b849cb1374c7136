"""Handlers and clients that go wrong: a clear error, and the others never notice. Over both framings."""

import logging
import os
import resource
import signal
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory_server.jsonserver import AnsweredTwice, EncodedReply, JsonHandler, SendReply, ServerFactory
from inventory_server.jsonserver.limits import ServerOptions
from pos_client import ConnectionLost, JsonClient
from pos_client.protocol.framing import jsocket_frame
from tests.support.lines import connect
from tests.support.waiting import HANG_SECONDS, wait_until

Framing = Literal["jsocket", "lines"]
OPTIONS: ServerOptions = {"linger_seconds": 0.1, "half_closed_seconds": 0.2, "max_unsent_bytes": 64 << 20}
CLIENTS = 1_000
FILES_PER_CLIENT = 2
SPARE_FILES = 300


class Trouble(JsonHandler):
    """Does what a message says."""

    opened: ClassVar[threading.Event]
    made: ClassVar[list["Trouble"]]
    errors: ClassVar[list[Exception]]
    children: ClassVar[list[int]]

    def setup(self) -> None:
        self.made.append(self)

    def handle_message(self, message: Any) -> Any:
        match message:
            case "raise":
                raise ZeroDivisionError
            case "block":
                assert self.opened.wait(HANG_SECONDS)
            case "no json":
                return {"what": {1, 2}, "and": object()}
            case "fork and return":
                if (child := os.fork()) == 0:
                    return "from the child"
                self.children.append(child)
            case "fork and exit":
                if (child := os.fork()) == 0:
                    os._exit(0)
                self.children.append(child)
            case "stop":
                return self.server.stop()
            case "exit":
                raise SystemExit(3)
        return {"done": message}

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        if frame == b'"never"':
            return
        if frame == b'"twice"':
            answer(EncodedReply(b'"first"\n', close=False))
            try:
                answer(EncodedReply(b'"second"\n', close=False))
            except AnsweredTwice as error:
                self.errors.append(error)
            return
        super().handle_frame(frame, answer)


@pytest.fixture
def server() -> Iterator[ServerFactory]:
    Trouble.opened, Trouble.made, Trouble.errors, Trouble.children = threading.Event(), [], [], []
    with ServerFactory(Trouble, "localhost:0", **OPTIONS) as server:
        yield server
        Trouble.opened.set()


@pytest.fixture(params=["jsocket", "lines"])
def framing(request: pytest.FixtureRequest) -> Framing:
    found: Framing = request.param
    return found


@pytest.fixture
def other(server: ServerFactory, framing: Framing) -> Iterator[JsonClient]:
    """A client that must not notice anything."""
    with JsonClient(server.addresses[0], framing=framing) as client:
        assert client.request("well") == {"done": "well"}
        yield client
        assert client.request("still well") == {"done": "still well"}


@pytest.fixture
def client(server: ServerFactory, other: JsonClient, framing: Framing) -> Iterator[JsonClient]:
    with JsonClient(server.addresses[0], framing=framing) as client:
        yield client


# ---------------------------------------------------------------------------------- handlers


@pytest.mark.parametrize("message", ["raise", "exit", "no json"])
def test_a_handler_that_fails_ends_its_connection_and_is_logged_once(
    client: JsonClient, caplog: pytest.LogCaptureFixture, message: str
) -> None:
    with pytest.raises(ConnectionLost):
        client.request(message)
    assert caplog.text.count("event=handler_failed") == 1


def test_a_handler_that_blocks_keeps_its_client_waiting_and_no_other(client: JsonClient, other: JsonClient) -> None:
    client.send_obj("block")
    assert other.request("meanwhile") == {"done": "meanwhile"}
    Trouble.opened.set()
    assert client.read_obj() == {"done": "block"}


def test_a_client_that_is_never_answered_is_let_go_when_it_leaves(server: ServerFactory, client: JsonClient) -> None:
    client.send_obj("never")
    client.send_obj("well")
    wait_until(lambda: len(Trouble.made) == 2)
    client.close()
    wait_until(lambda: server.connections == 1)


def test_a_frame_is_answered_once(client: JsonClient) -> None:
    client.send_obj("twice")
    assert client.read_obj() == "first"
    assert client.request("well") == {"done": "well"}
    assert [str(error).partition(" of ")[0] for error in Trouble.errors] == ["frame 1"]


def test_a_reply_to_an_earlier_frame_is_not_taken_for_that_to_the_next(framing: Framing) -> None:
    kept: list[SendReply] = []

    class Late(JsonHandler):
        def handle_frame(self, frame: bytes, answer: SendReply) -> None:
            kept.append(answer)
            if len(kept) == 1:
                answer(EncodedReply(b"1\n", close=False))

    with ServerFactory(Late, "localhost:0") as server, JsonClient(server.addresses[0], framing=framing) as client:
        assert client.request("first") == 1
        client.send_obj("second")
        wait_until(lambda: len(kept) == 2)
        with pytest.raises(AnsweredTwice, match=r"^frame 1 of "):
            kept[0](EncodedReply(b'"wrong"\n', close=False))
        kept[1](EncodedReply(b"2\n", close=False))
        assert client.read_obj() == 2


def test_a_handler_may_stop_the_server(server: ServerFactory, framing: Framing) -> None:
    with JsonClient(server.addresses[0], framing=framing) as client, JsonClient(server.addresses[0]) as idle:
        idle.request("well")
        assert client.request("stop") == 0
        for each in (client, idle):
            with pytest.raises(ConnectionLost):
                each.read_obj()
    assert server.join(HANG_SECONDS)


# ---------------------------------------------------------------------------------- forks


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(("message", "status"), [("fork and exit", 0), ("fork and return", 70)])
def test_a_handler_that_forks_is_answered_by_the_parent_alone(
    server: ServerFactory, client: JsonClient, message: str, status: int
) -> None:
    assert client.request(message) == {"done": message}
    assert client.request("well") == {"done": "well"}
    [child] = Trouble.children
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == status
    client.close()
    wait_until(lambda: server.connections == 1, "the parent to see that the client has left")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_lives_on_keeps_no_connection_and_no_port(server: ServerFactory) -> None:
    ours, childs = socket.socketpair()
    address = server.addresses[0]
    with JsonClient(address) as client:
        assert client.request("well") == {"done": "well"}
        child = os.fork()
        if child == 0:
            childs.send(b"forked")
            childs.recv(1)
            os._exit(0)
        try:
            assert ours.recv(10) == b"forked"
            assert server.stop() == 0
            with pytest.raises(ConnectionLost):
                client.read_obj(HANG_SECONDS)
            with ServerFactory(Trouble, f"{address[0]}:{address[1]}"), JsonClient(address) as client:
                assert client.request("well") == {"done": "well"}
        finally:
            ours.send(b".")
            os.waitpid(child, 0)
            ours.close()
            childs.close()


# ---------------------------------------------------------------------------------- clients


def framed(framing: Framing, text: bytes) -> bytes:
    return jsocket_frame(text) if framing == "jsocket" else text + b"\n"


@pytest.mark.parametrize("how", ["closes", "resets", "vanishes in a frame", "half closes"])
def test_a_client_that_leaves_is_let_go(server: ServerFactory, other: JsonClient, framing: Framing, how: str) -> None:
    with connect(server) as leaving:
        leaving.send(framed(framing, b'"well"'))
        leaving.socket.recv(1)
        wait_until(lambda: server.connections == 2)
        if how == "resets":
            leaving.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "vanishes in a frame":
            leaving.send(framed(framing, b'"well"')[:-3])
        elif how == "half closes":
            leaving.send(framed(framing, b'"last"'))
            leaving.socket.shutdown(socket.SHUT_WR)
            received = b""
            while data := leaving.socket.recv(65_536):
                received += data
            assert b'{"done":"last"}' in received
    wait_until(lambda: server.connections == 1)


def send_all(client: JsonClient, messages: Iterable[Any]) -> None:
    for message in messages:
        client.send_obj(message)


def test_a_flood_is_answered_in_order_and_holds_up_no_other(
    server: ServerFactory, client: JsonClient, other: JsonClient
) -> None:
    count = 5_000
    flood = threading.Thread(target=send_all, args=(client, range(count)))
    flood.start()
    assert other.request("meanwhile") == {"done": "meanwhile"}
    assert [client.read_obj()["done"] for _ in range(count)] == list(range(count))
    flood.join(HANG_SECONDS)


def test_messages_for_a_client_that_does_not_read_are_bounded(
    framing: Framing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tillwire.connection")
    Trouble.opened, Trouble.made, Trouble.errors, Trouble.children = threading.Event(), [], [], []
    big = "x" * 100_000
    with (
        ServerFactory(Trouble, "localhost:0", max_unsent_bytes=500_000) as server,
        JsonClient(server.addresses[0], framing=framing) as deaf,
    ):
        assert deaf.request("well") == {"done": "well"}
        [handler] = Trouble.made
        with JsonClient(server.addresses[0], framing=framing) as other:
            assert other.request("well") == {"done": "well"}
            wait_until(lambda: not handler.send(big), "the messages to be too many")
            assert handler.send(1) is False
            assert other.request("still well") == {"done": "still well"}
            wait_until(lambda: server.connections == 1)
    assert "reason=reader_too_slow" in caplog.text


def test_messages_from_many_threads_arrive_whole_and_each_threads_in_order(
    server: ServerFactory, client: JsonClient
) -> None:
    threads, count = 4, 300
    assert client.request("well") == {"done": "well"}
    handler = Trouble.made[-1]

    def send(number: int) -> None:
        for message in range(count):
            assert handler.send([number, message, "x" * (message * 20)])

    sending = [threading.Thread(target=send, args=(number,)) for number in range(threads)]
    for each in sending:
        each.start()
    asked = threading.Thread(target=send_all, args=(client, ["asked"] * count))
    asked.start()
    found: list[Any] = [client.read_obj() for _ in range((threads + 1) * count)]
    for each in (*sending, asked):
        each.join(HANG_SECONDS)
    assert found.count({"done": "asked"}) == count
    for number in range(threads):
        mine = [each[1] for each in found if isinstance(each, list) and each[0] == number]
        assert mine == list(range(count))


def test_a_handler_may_end_the_connection_from_another_thread_after_its_messages(
    server: ServerFactory, client: JsonClient
) -> None:
    assert client.request("well") == {"done": "well"}
    handler = Trouble.made[-1]
    for number in range(100):
        handler.send([number, "x" * 10_000])
    handler.close()
    assert [client.read_obj()[0] for _ in range(100)] == list(range(100))
    with pytest.raises(ConnectionLost):
        client.read_obj()
    wait_until(lambda: server.connections == 1)
    assert handler.end_reason == "handler_closed"
    assert handler.send(1) is False


def test_a_thousand_clients_are_served_and_stopped(framing: Framing) -> None:
    Trouble.opened, Trouble.made, Trouble.errors, Trouble.children = threading.Event(), [], [], []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CLIENTS * FILES_PER_CLIENT + SPARE_FILES
    if hard < wanted:
        pytest.skip(f"needs {wanted} open files, the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        with ServerFactory(Trouble, "localhost:0", max_connections=CLIENTS) as server:
            clients = [JsonClient(server.addresses[0], framing=framing) for _ in range(CLIENTS)]
            for client in clients:
                client.connect()
            for number, client in enumerate(clients):
                client.send_obj(number)
            assert [client.read_obj()["done"] for client in clients] == list(range(CLIENTS))
            assert len(server.clients()) == CLIENTS
            assert server.stop(HANG_SECONDS) == 0
            for client in clients:
                client.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ctrl_c_ends_serve_forever(framing: Framing) -> None:
    server = ServerFactory(Trouble, "localhost:0")
    interrupt = threading.Thread(target=lambda: _interrupt_once_serving(server))
    interrupt.start()
    server.serve_forever()
    interrupt.join(HANG_SECONDS)
    assert server.join(0)


def _interrupt_once_serving(server: ServerFactory) -> None:
    wait_until(lambda: len(server.addresses) > 0)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


# ---------------------------------------------------------------------------------- any bytes at all

PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"JSN1", b"JSN", b"\n", b"\x16\x03\x01", b'{"a":1}\n', b"BYE\n", b'"well"\n', b"[" * 50]),
    st.binary(min_size=1, max_size=20).map(jsocket_frame),
    st.builds(lambda size, crc: struct.pack("!4sII", b"JSN1", size, crc), st.integers(0, 2**32 - 1), st.just(0)),
)


class Failures(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@given(st.lists(PIECES, max_size=6))
@settings(max_examples=60)
def test_whatever_bytes_come_the_handler_is_never_blamed_and_the_next_client_is_served(pieces: list[bytes]) -> None:
    watch = Failures(logging.ERROR)
    log = logging.getLogger("tillwire")
    log.addHandler(watch)
    Trouble.opened, Trouble.made, Trouble.errors, Trouble.children = threading.Event(), [], [], []
    try:
        with ServerFactory(Trouble, "localhost:0", linger_seconds=0.05, max_frame_bytes=1_000) as server:
            with connect(server) as client:
                client.send(b"".join(pieces))
                client.socket.shutdown(socket.SHUT_WR)
                wait_until(lambda: _is_at_end(client.socket), "the server to end the connection")
            with JsonClient(server.addresses[0]) as other:
                assert other.request("well") == {"done": "well"}
    finally:
        log.removeHandler(watch)
    assert watch.records == []


def _is_at_end(sock: socket.socket) -> bool:
    """True once the other side has closed; reads what comes before that."""
    try:
        return sock.recv(65_536) == b""
    except ConnectionResetError:
        return True
