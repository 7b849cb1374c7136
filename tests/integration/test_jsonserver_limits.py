"""The line server's caps, its start and its stop, over real sockets."""

import json
import logging
import os
import resource
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inventory_server.jsonserver import ServerFactory, listener
from inventory_server.jsonserver.listener import CannotListen, address_of, listen_on
from inventory_server.jsonserver.stream import ServerStream
from pos_client.protocol.address import Address
from tests.support.edge import LOOPBACK, LineClient
from tests.support.lines import ANYWHERE, LIMITS, Echo, Gate, Start, connect, gate, listens_on, start
from tests.support.waiting import HANG_SECONDS, wait_until

__all__ = ["gate", "start"]


# ---------------------------------------------------------------------------------- caps


def test_past_the_cap_a_connection_is_told_busy_and_closed(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    server = start(limits=replace(LIMITS, max_connections=2))
    with connect(server) as first, connect(server) as second:
        for client in (first, second):
            client.send(b"word\n")
            assert client.read_line() == b"word"
        with connect(server) as third:
            third.send(b"word\n")
            assert json.loads(third.read_line()) == {"error": "all connections are taken; try again later"}
            assert third.read_line() == b""
        with connect(server) as another:
            assert b"all connections are taken" in another.read_line()
        assert server.connections == 2
    assert caplog.text.count("event=connection_limit_reached connections=2") == 1, "a crowd does not fill the log"
    wait_until(lambda: server.connections == 0)
    with connect(server) as fourth:
        fourth.send(b"word\n")
        assert fourth.read_line() == b"word"


def test_a_crowd_past_the_cap_is_turned_away_by_few_threads(start: Start) -> None:
    server = start(limits=replace(LIMITS, max_connections=1, surplus_connections=2))
    with connect(server) as served:
        served.send(b"word\n")
        assert served.read_line() == b"word"
        crowd = [connect(server) for _ in range(8)]
        ours = {f"serve 127.0.0.1:{client.socket.getsockname()[1]}" for client in (served, *crowd)}
        assert sum(thread.name in ours for thread in threading.enumerate()) <= 3
        for client in crowd:
            assert b"all connections are taken" in client.read_line()
            client.close()
        served.send(b"still\n")
        assert served.read_line() == b"still"


def test_who_finds_one_of_several_processes_full_is_served_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """They share a socket, and are servers of one process here."""
    with listen_on(ANYWHERE, LIMITS) as listening:
        full, roomy = (ServerFactory(Echo, listening.dup(), limits=LIMITS, max_connections=most) for most in (1, 12))
        clients = []

        def said() -> bytes:
            clients.append(LineClient(address_of(listening)))
            clients[-1].send(b"word\n")
            return clients[-1].read_line()

        full.start()
        assert said() == b"word"
        roomy.start()
        with monkeypatch.context() as patch:
            patch.setattr(listener, "OTHERS_FIRST_SECONDS", HANG_SECONDS)
            assert [said() for _ in range(12)] == [b"word"] * 12
        assert (full.connections, roomy.connections) == (1, 12)
        assert b"all connections are taken" in said(), "all are full"
        for client in clients:
            client.close()
        assert (full.stop(HANG_SECONDS), roomy.stop(HANG_SECONDS)) == (0, 0)


def test_stop_does_not_wait_for_a_crowd(start: Start) -> None:
    server = start(limits=replace(LIMITS, max_connections=1, surplus_connections=1))
    crowd = [connect(server) for _ in range(5)]
    wait_until(lambda: server.connections == 1)
    assert server.stop(HANG_SECONDS) == 0
    for client in crowd:
        client.close()


def test_the_cap_stays_below_the_limit_of_open_files(caplog: pytest.LogCaptureFixture) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = replace(LIMITS, max_connections=10 * soft)
    assert ServerFactory(Echo, ANYWHERE, limits=limits).max_connections < soft
    assert "event=connection_limit_lowered" in caplog.text
    with pytest.raises(CannotListen, match="ulimit -n"):
        ServerFactory(Echo, ANYWHERE, limits=replace(limits, reserved_files=soft))


def test_without_descriptors_accepting_rests_and_then_goes_on(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener, "EXHAUSTED_PAUSE_SECONDS", 0.01)
    server = start()
    client = socket.socket()
    client.settimeout(HANG_SECONDS)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        client.connect(server.addresses[0])
        wait_until(lambda: caplog.text.count("event=out_of_file_descriptors") > 2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    client.sendall(b"word\n")
    assert client.recv(100) == b"word\n"
    client.close()


def test_without_threads_a_connection_is_closed_and_the_next_is_served(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = start()

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with connect(server) as client:
            assert client.read_line() == b""
    assert "event=thread_start_failed" in caplog.text
    with connect(server) as client:
        client.send(b"word\n")
        assert client.read_line() == b"word"


def test_a_failure_while_admitting_is_logged_and_accepting_goes_on(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = start()
    with monkeypatch.context() as patched:
        patched.setattr(ServerStream, "__init__", _fail)
        with connect(server) as first:
            assert first.read_line() == b""
    with connect(server) as second:
        second.send(b"word\n")
        assert second.read_line() == b"word"
    assert "event=accept_failed" in caplog.text


def _fail(*_: object) -> None:
    raise ZeroDivisionError


# ---------------------------------------------------------------------------------- start


def test_an_address_in_use_is_named_and_nothing_is_left_open(start: Start, tmp_path: Path) -> None:
    taken = listens_on(start())
    path = str(tmp_path / "hq.sock")
    with pytest.raises(CannotListen, match=rf"127\.0\.0\.1:{taken.port}: it is in use: stop the program"):
        ServerFactory(Echo, Address.unix(path), taken, limits=LIMITS).start()
    assert not os.path.exists(path)


def test_a_name_is_served_on_all_its_addresses_that_this_machine_has(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {
        "shop.test": ["127.0.0.1", "192.0.2.1", "127.0.0.2", "127.0.0.1"],
        "away.test": ["192.0.2.1", "198.51.100.1"],
    }
    really = socket.getaddrinfo

    def look_up(host: str, *rest: Any, **more: Any) -> list[Any]:
        return [entry for each in named.get(host, [host]) for entry in really(each, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    server = start(Address("shop.test", 0))
    assert [address[0] for address in server.addresses] == ["127.0.0.1", "127.0.0.2"]
    for number in range(2):
        with connect(server, number) as client:
            client.send(b"peer\n")
            assert json.loads(client.read_line())[1] is True
    with pytest.raises(CannotListen, match=r"^Cannot listen on away\.test:0: this machine has no such address"):
        start(Address("away.test", 0))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (Address("192.0.2.1", 0), r"192\.0\.2\.1:0: this machine has no such address"),
        (Address("2001:db8::1", 0), r"\[2001:db8::1\]:0: "),
        (Address("no.such.host.invalid", 0), r"no\.such\.host\.invalid:0: "),
        (Address.unix("/no/such/folder/hq.sock"), r"unix:/no/such/folder/hq\.sock: the folder does not exist"),
        (Address.unix("/tmp/" + "x" * 200), r"unix:/tmp/x+: "),
        (Address.unix("/etc/passwd"), r"unix:/etc/passwd: it exists and is no socket: choose another path"),
    ],
)
def test_an_impossible_address_is_named_with_the_reason(address: Address, message: str) -> None:
    with pytest.raises(CannotListen, match=f"^Cannot listen on {message}"):
        ServerFactory(Echo, address, limits=LIMITS).start()


def test_tcp_and_unix_are_served_at_once_and_a_unix_peer_is_on_this_machine(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "hq.sock")
    server = start(ANYWHERE, Address.unix(path))
    assert server.addresses[1] == path
    for number in range(2):
        with connect(server, number) as client:
            client.send(b"peer\n")
            assert json.loads(client.read_line())[1] is True
    server.stop(5)
    assert not os.path.exists(path)


def test_ipv6_is_served_and_a_mapped_loopback_is_on_this_machine(start: Start) -> None:
    try:
        server = start(Address("::", 0))
    except CannotListen as error:
        pytest.skip(f"no IPv6 here: {error}")
    port = listens_on(server).port
    for host in ("::1", "127.0.0.1"):
        with LineClient(Address(host, port)) as client:
            client.send(b"peer\n")
            assert json.loads(client.read_line())[1] is True


def test_the_socket_file_of_a_dead_server_is_replaced(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "hq.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with connect(start(Address.unix(path))) as client:
        client.send(b"word\n")
        assert client.read_line() == b"word"


def test_the_socket_file_of_a_living_server_is_left_alone(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "hq.sock")
    server = start(Address.unix(path))
    with pytest.raises(CannotListen, match="in use"):
        start(Address.unix(path))
    with connect(server) as client:
        client.send(b"word\n")
        assert client.read_line() == b"word"


def test_a_socket_file_that_somebody_removed_does_not_disturb_stop(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "hq.sock")
    server = start(Address.unix(path))
    os.unlink(path)
    assert server.stop(HANG_SECONDS) == 0


# ---------------------------------------------------------------------------------- stop


def test_stop_answers_what_is_in_flight_and_closes_idle_connections(
    start: Start, gate: type[Gate], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tillwire.connection")
    server = start(factory=gate)
    idle, busy = connect(server), connect(server)
    busy.send(b"wait\nalready sent\n")
    assert gate.entered.wait(HANG_SECONDS)
    wait_until(lambda: server.connections == 2)
    cut_off: list[int] = []
    stopping = threading.Thread(target=lambda: cut_off.append(server.stop(HANG_SECONDS)))
    stopping.start()
    assert idle.read_line() == b""
    gate.opened.set()
    assert [busy.read_line(), busy.read_line(), busy.read_line()] == [b"wait", b"already sent", b""]
    stopping.join(HANG_SECONDS)
    assert cut_off == [0]
    assert server.connections == 0
    assert caplog.text.count("reason=server_stopped") == 2
    idle.close()
    busy.close()


def test_stop_closes_by_force_what_the_deadline_does_not_wait_for(
    start: Start, gate: type[Gate], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tillwire.connection")
    server = start(factory=gate)
    with connect(server) as client:
        client.send(b"wait\n")
        assert gate.entered.wait(HANG_SECONDS)
        assert server.stop(0.1) == 1
        assert client.read_line() == b""
    assert caplog.text.count("event=connection_closed_by_force") == 1
    gate.opened.set()
    wait_until(lambda: "reason=closed_by_force" in caplog.text)


def test_after_stop_nobody_is_let_in_and_a_second_stop_is_harmless(start: Start) -> None:
    server = start()
    address = listens_on(server)
    server.stop(5)
    with pytest.raises(ConnectionRefusedError):
        LineClient(address)
    assert server.stop(5) == 0


def test_a_server_that_never_started_can_be_stopped() -> None:
    assert ServerFactory(Echo, ANYWHERE, limits=LIMITS).stop(1) == 0


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
    address = listens_on(server)
    with connect(server) as client:
        client.send(b"word\n")
        assert client.read_line() == b"word"
        server.stop(5)
    with connect(start(address)) as client:
        client.send(b"word\n")
        assert client.read_line() == b"word"
