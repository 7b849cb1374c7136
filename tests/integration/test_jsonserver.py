"""The line server over real sockets: frames, deadlines, caps, draining. Its handlers know no inventory."""

import json
import logging
import os
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inventory_server.config import Settings
from inventory_server.connection import Connection, Handler
from inventory_server.jsonserver import JsonServer
from inventory_server.listener import Address, CannotListen, Listener
from inventory_server.peer import Peer, Reply
from tests.support.edge import LOOPBACK, LineClient

ANYWHERE: Address = ("127.0.0.1", 0)
SETTINGS = Settings(linger_seconds=1)
Start = Callable[..., JsonServer]


class Echo:
    """Answers each frame with itself; a few words make it do something else."""

    def __init__(self, peer: Peer = LOOPBACK) -> None:
        self.peer = peer
        self.closed = threading.Event()

    def handle(self, frame: bytes) -> Reply | None:
        if frame == b"silence":
            return None
        if frame == b"fail":
            raise ZeroDivisionError
        if frame == b"peer":
            return Reply(json.dumps([self.peer.address, self.peer.loopback]).encode() + b"\n", close=False)
        if frame == b"flood":
            return Reply(b"x" * (64 << 20) + b"\n", close=False)
        return Reply(frame + b"\n", close=frame == b"close")

    def close(self) -> None:
        self.closed.set()


class Gate(Echo):
    """Answers `wait` only once it is let."""

    entered = threading.Event()
    opened = threading.Event()

    def handle(self, frame: bytes) -> Reply | None:
        if frame == b"wait":
            self.entered.set()
            assert self.opened.wait(60)
        return super().handle(frame)


@pytest.fixture
def start() -> Iterator[Start]:
    servers = []

    def start(
        *addresses: Address, factory: Callable[[Peer], Handler] = Echo, settings: Settings = SETTINGS
    ) -> JsonServer:
        server = JsonServer(addresses or [ANYWHERE], factory, settings)
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


def connect(server: JsonServer) -> LineClient:
    return LineClient(server.addresses[0])


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited for half a minute"
        time.sleep(0.01)


def dribble(client: LineClient) -> None:
    """Send byte after byte for half a minute at most."""
    for _ in range(600):
        client.send(b"x")
        time.sleep(0.05)


# ---------------------------------------------------------------------------------- frames


def test_frames_arrive_however_the_bytes_are_cut(start: Start) -> None:
    with connect(start()) as client:
        client.send(b"one\ntwo\r\nthr")
        assert [client.read_line(), client.read_line()] == [b"one", b"two"]
        for byte in b"ee\nfo":
            client.send(bytes([byte]))
        assert client.read_line() == b"three"
        client.send(b"ur\nfive\n")
        assert [client.read_line(), client.read_line()] == [b"four", b"five"]


def test_what_has_no_reply_is_followed_by_what_has(start: Start) -> None:
    with connect(start()) as client:
        client.send(b"silence\nword\n")
        assert client.read_line() == b"word"


def test_a_large_frame_comes_back_whole(start: Start) -> None:
    with connect(start()) as client:
        frame = bytes(range(32, 127)) * 11_000
        client.send(frame[: (1 << 20) - 1] + b"\n")
        assert client.read_line() == frame[: (1 << 20) - 1]


def test_a_line_may_be_as_long_as_the_limit_and_no_longer(start: Start) -> None:
    server = start(settings=replace(SETTINGS, max_frame_bytes=10_000))
    with connect(server) as client:
        client.send(b"x" * 9_999 + b"\n")
        assert client.read_line() == b"x" * 9_999
        client.send(b"x" * 10_000 + b"\n")
        error = json.loads(client.read_line())
        assert (error["id"], error["error"]["code"]) == (None, -32007)
        assert error["error"]["data"] == {"name": "too_large", "retryable": False, "limit": 10_000}
        assert client.read_line() == b""


def test_who_sends_without_end_reads_the_error_before_the_connection_ends(start: Start) -> None:
    server = start(settings=replace(SETTINGS, max_frame_bytes=1_000))
    with connect(server) as client:
        client.send(b"x" * (3 << 20))
        assert json.loads(client.read_line())["error"]["data"]["limit"] == 1_000
        assert client.read_line() == b""


def test_the_handler_may_end_the_connection_with_its_reply(start: Start) -> None:
    server = start()
    with connect(server) as client:
        client.send(b"close\nunheard\n")
        assert client.read_line() == b"close"
        assert client.read_line() == b""
    wait_until(lambda: server.connections == 0)


def test_who_has_stopped_sending_is_still_answered(start: Start) -> None:
    with connect(start()) as client:
        client.send(b"one\ntwo\nhalf a fra")
        client.socket.shutdown(socket.SHUT_WR)
        assert [client.read_line(), client.read_line(), client.read_line()] == [b"one", b"two", b""]


def test_clients_are_served_side_by_side(start: Start, gate: type[Gate]) -> None:
    server = start(factory=gate)
    with connect(server) as slow, connect(server) as quick:
        slow.send(b"wait\n")
        assert gate.entered.wait(30)
        quick.send(b"now\n")
        assert quick.read_line() == b"now"
        gate.opened.set()
        assert slow.read_line() == b"wait"


def test_threads_carry_the_name_of_their_peer(start: Start) -> None:
    with connect(start()) as client:
        client.send(b"peer\n")
        address, loopback = json.loads(client.read_line())
        assert loopback is True
        assert f"serve {address}" in [thread.name for thread in threading.enumerate()]


# ---------------------------------------------------------------------------------- bad peers


def test_a_silent_connection_is_closed(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tillwire.connection")
    with connect(start(settings=replace(SETTINGS, idle_seconds=1))) as client:
        assert client.read_line() == b""
    assert "event=timed_out" in caplog.text


def test_a_frame_begun_must_end_in_time_however_often_bytes_arrive(start: Start) -> None:
    with connect(start(settings=replace(SETTINGS, frame_seconds=1))) as client:
        client.send(b"whole\n")
        assert client.read_line() == b"whole"
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            dribble(client)


def test_a_frame_in_pieces_leaves_no_deadline_behind(start: Start) -> None:
    with connect(start(settings=replace(SETTINGS, frame_seconds=1))) as client:
        client.send(b"pie")
        time.sleep(0.1)
        client.send(b"ces\n")
        assert client.read_line() == b"pieces"
        time.sleep(1.5)
        client.send(b"later\n")
        assert client.read_line() == b"later"


def test_who_does_not_read_is_dropped_and_nobody_else_waits(start: Start) -> None:
    server = start(settings=replace(SETTINGS, send_seconds=1))
    with connect(server) as deaf, connect(server) as other:
        deaf.send(b"flood\n")
        other.send(b"word\n")
        assert other.read_line() == b"word"
        wait_until(lambda: server.connections == 1)


def test_who_reads_slowly_but_in_time_gets_everything(start: Start) -> None:
    with connect(start()) as client:
        client.send(b"flood\nnext\n")
        time.sleep(0.5)
        assert len(client.read_line()) == 64 << 20
        assert client.read_line() == b"next"


def test_a_peer_that_resets_harms_nobody(start: Start) -> None:
    server = start()
    with connect(server) as other:
        for _ in range(5):
            client = connect(server)
            client.send(b"flood\n")
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        wait_until(lambda: server.connections == 1)
        other.send(b"word\n")
        assert other.read_line() == b"word"


def test_a_handler_that_fails_loses_its_connection_only(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    handlers: list[Echo] = []

    def factory(peer: Peer) -> Echo:
        handlers.append(Echo(peer))
        return handlers[-1]

    server = start(factory=factory)
    with connect(server) as failing, connect(server) as other:
        failing.send(b"fail\n")
        assert failing.read_line() == b""
        other.send(b"word\n")
        assert other.read_line() == b"word"
    assert "event=handler_failed" in caplog.text
    assert handlers[0].closed.wait(30)


def test_a_factory_that_fails_loses_that_connection_only(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    fails = [True, False]

    def factory(peer: Peer) -> Echo:
        if fails.pop(0):
            raise ZeroDivisionError
        return Echo(peer)

    server = start(factory=factory)
    with connect(server) as first:
        assert first.read_line() == b""
    with connect(server) as second:
        second.send(b"word\n")
        assert second.read_line() == b"word"
    assert "event=handler_failed" in caplog.text


def test_a_socket_that_is_gone_before_its_first_word_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tillwire.connection")
    for use in (lambda c: c.serve(Echo()), lambda c: c.turn_away(b"busy\n"), Connection.stop_reading, Connection.cut):
        ours, theirs = socket.socketpair()
        connection = Connection(ours, LOOPBACK, SETTINGS)
        connection.close()
        use(connection)
        theirs.close()
    assert caplog.text.count("event=peer_gone") == 4


# ---------------------------------------------------------------------------------- caps


def test_past_the_cap_a_connection_is_told_busy_and_closed(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    server = start(settings=replace(SETTINGS, max_connections=2))
    with connect(server) as first, connect(server) as second:
        for client in (first, second):
            client.send(b"word\n")
            assert client.read_line() == b"word"
        with connect(server) as third:
            third.send(b"word\n")
            error = json.loads(third.read_line())
            assert error["id"] is None
            assert error["error"]["data"] == {"name": "busy", "retryable": True, "retry_after_ms": 500}
            assert third.read_line() == b""
        assert server.connections == 2
    assert "event=cap_reached connections=2" in caplog.text
    wait_until(lambda: server.connections == 0)
    with connect(server) as fourth:
        fourth.send(b"word\n")
        assert fourth.read_line() == b"word"


def test_a_crowd_past_the_cap_is_turned_away_by_few_threads(start: Start) -> None:
    server = start(settings=replace(SETTINGS, max_connections=1, surplus_connections=2))
    with connect(server) as served:
        served.send(b"word\n")
        assert served.read_line() == b"word"
        crowd = [connect(server) for _ in range(8)]
        assert sum(thread.name.startswith("serve ") for thread in threading.enumerate()) <= 3
        for client in crowd:
            assert b"busy" in client.read_line()
            client.close()
        served.send(b"still\n")
        assert served.read_line() == b"still"


def test_stop_does_not_wait_for_a_crowd(start: Start) -> None:
    server = start(settings=replace(SETTINGS, max_connections=1, surplus_connections=1, linger_seconds=30))
    crowd = [connect(server) for _ in range(5)]
    wait_until(lambda: server.connections == 1)
    assert server.stop(20) == 0
    for client in crowd:
        client.close()


def test_the_cap_stays_below_the_limit_of_open_files(caplog: pytest.LogCaptureFixture) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    settings = replace(SETTINGS, max_connections=10 * soft)
    assert JsonServer([ANYWHERE], Echo, settings).max_connections < soft
    assert "event=cap_lowered" in caplog.text
    with pytest.raises(CannotListen, match="ulimit -n"):
        JsonServer([ANYWHERE], Echo, replace(settings, reserved_files=soft))


def test_without_descriptors_accepting_rests_and_then_goes_on(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    server = start()
    client = socket.socket()
    client.settimeout(30)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        address = server.addresses[0]
        assert not isinstance(address, str)
        client.connect(address)
        wait_until(lambda: "event=accept_exhausted" in caplog.text)
        time.sleep(1)
        assert caplog.text.count("event=accept_exhausted") < 10, "accepting spins"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    client.sendall(b"word\n")
    assert client.recv(100) == b"word\n"
    client.close()


def test_without_threads_a_connection_is_closed_and_the_next_is_served(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = start()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with connect(server) as client:
            assert client.read_line() == b""
    assert "event=no_thread" in caplog.text
    with connect(server) as client:
        client.send(b"word\n")
        assert client.read_line() == b"word"


def test_a_failure_while_admitting_is_logged_and_accepting_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    admitted = threading.Event()

    def admit(sock: socket.socket, peer: Peer) -> None:
        if not admitted.is_set():
            admitted.set()
            raise ZeroDivisionError
        sock.sendall(b"word\n")
        sock.close()

    listener = Listener(ANYWHERE, admit, SETTINGS)
    listener.start()
    with LineClient(listener.address) as first:
        assert first.read_line() == b""
    with LineClient(listener.address) as second:
        assert second.read_line() == b"word"
    listener.stop()
    assert "event=accept_failed" in caplog.text


# ---------------------------------------------------------------------------------- start


def test_an_address_in_use_is_named_and_nothing_is_left_open(start: Start, tmp_path: Path) -> None:
    taken = start().addresses[0]
    path = str(tmp_path / "hq.sock")
    with pytest.raises(CannotListen, match=rf"127\.0\.0\.1:{taken[1]}: it is in use: stop the program"):
        JsonServer([path, taken], Echo, SETTINGS).start()
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (("192.0.2.1", 0), r"192\.0\.2\.1:0: this machine has no such address"),
        (("2001:db8::1", 0), r"\[2001:db8::1\]:0: "),
        (("no.such.host.invalid", 0), r"no\.such\.host\.invalid:0: "),
        ("/no/such/folder/hq.sock", r"unix:/no/such/folder/hq\.sock: the folder does not exist"),
        ("/tmp/" + "x" * 200, r"unix:/tmp/x+: "),
        ("/etc/passwd", r"unix:/etc/passwd: it exists and is no socket: choose another path"),
    ],
)
def test_an_impossible_address_is_named_with_the_reason(address: Address, message: str) -> None:
    with pytest.raises(CannotListen, match=f"^Cannot listen on {message}"):
        JsonServer([address], Echo, SETTINGS).start()


def test_tcp_and_unix_are_served_at_once_and_a_unix_peer_is_on_this_machine(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "hq.sock")
    server = start(ANYWHERE, path)
    assert server.addresses[1] == path
    for address in server.addresses:
        with LineClient(address) as client:
            client.send(b"peer\n")
            assert json.loads(client.read_line())[1] is True
    server.stop(5)
    assert not os.path.exists(path)


def test_ipv6_is_served_and_a_mapped_loopback_is_on_this_machine(start: Start) -> None:
    try:
        server = start(("::", 0))
    except CannotListen as error:
        pytest.skip(f"no IPv6 here: {error}")
    port = server.addresses[0][1]
    for host in ("::1", "127.0.0.1"):
        with LineClient((host, int(port))) as client:
            client.send(b"peer\n")
            assert json.loads(client.read_line())[1] is True


def test_the_socket_file_of_a_dead_server_is_replaced(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "hq.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with LineClient(start(path).addresses[0]) as client:
        client.send(b"word\n")
        assert client.read_line() == b"word"


def test_the_socket_file_of_a_living_server_is_left_alone(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "hq.sock")
    server = start(path)
    with pytest.raises(CannotListen, match="in use"):
        start(path)
    with connect(server) as client:
        client.send(b"word\n")
        assert client.read_line() == b"word"


def test_a_socket_file_that_somebody_removed_does_not_disturb_stop(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "hq.sock")
    server = start(path)
    os.unlink(path)
    assert server.stop(5) == 0


# ---------------------------------------------------------------------------------- stop


def test_stop_answers_what_is_in_flight_and_closes_idle_connections(start: Start, gate: type[Gate]) -> None:
    server = start(factory=gate)
    idle, busy = connect(server), connect(server)
    busy.send(b"wait\nalready sent\n")
    assert gate.entered.wait(30)
    wait_until(lambda: server.connections == 2)
    cut_off: list[int] = []
    stopping = threading.Thread(target=lambda: cut_off.append(server.stop(30)))
    stopping.start()
    assert idle.read_line() == b""
    gate.opened.set()
    assert [busy.read_line(), busy.read_line(), busy.read_line()] == [b"wait", b"already sent", b""]
    stopping.join(30)
    assert cut_off == [0]
    assert server.connections == 0
    idle.close()
    busy.close()


def test_stop_cuts_off_what_the_deadline_does_not_wait_for(start: Start, gate: type[Gate]) -> None:
    server = start(factory=gate)
    with connect(server) as client:
        client.send(b"wait\n")
        assert gate.entered.wait(30)
        assert server.stop(0.1) == 1
        assert client.read_line() == b""


def test_after_stop_nobody_is_let_in_and_a_second_stop_is_harmless(start: Start) -> None:
    server = start()
    address = server.addresses[0]
    server.stop(5)
    with pytest.raises(ConnectionRefusedError):
        LineClient(address)
    assert server.stop(5) == 0


def test_a_server_that_never_started_can_be_stopped() -> None:
    assert JsonServer([ANYWHERE], Echo, SETTINGS).stop(1) == 0


def test_a_connection_accepted_while_stopping_is_closed(start: Start) -> None:
    server = start()
    server.stop(5)
    ours, theirs = socket.socketpair()
    admit: Any = getattr(server, "_admit")  # noqa: B009
    admit(ours, LOOPBACK)
    assert theirs.recv(1) == b""
    theirs.close()


def test_a_port_is_free_again_after_stop(start: Start) -> None:
    server = start()
    address = server.addresses[0]
    with connect(server) as client:
        client.send(b"word\n")
        assert client.read_line() == b"word"
        server.stop(5)
    with LineClient(start(address).addresses[0]) as client:
        client.send(b"word\n")
        assert client.read_line() == b"word"
