"""Everything a peer can do to a socket, over plain TCP, TLS and Unix sockets, with each kind of handlers."""

import logging
import resource
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from pos_client import ConnectionLost
from tests.support.lines import SOON
from tests.support.waiting import HANG_SECONDS, wait_until
from tests.support.wires import Framing, Kind, Obedient, Wires, framed, wires

__all__ = ["wires"]


@pytest.fixture(params=["jsocket", "lines"])
def framing(request: pytest.FixtureRequest) -> Framing:
    found: Framing = request.param
    return found


# ---------------------------------------------------------------------------------- talk


def test_messages_go_both_ways_in_pieces_and_in_bulk(wires: Wires, framing: Framing) -> None:
    server = wires.start(max_frame_bytes=4 << 20)
    client, raw = wires.connect(server, framing), wires.raw(server)
    big = "y" * (3 << 20)
    assert client.request(big) == {"done": big}
    for number in range(3):
        client.send_obj(number)
    assert [client.read_obj() for _ in range(3)] == [{"done": number} for number in range(3)]
    for byte in framed(framing, b'"abc"'):
        raw.send(bytes([byte]))
    wait_until(lambda: b'{"done":"abc"}' in raw.socket.recv(65_536))


def test_replies_come_later_from_another_thread_in_order_with_messages_between(wires: Wires) -> None:
    client = wires.connect(wires.start())
    for message in ("later", "now", "push", "later"):
        client.send_obj(message)
    assert [client.read_obj()["done"] for _ in range(2)] == ["later", "now"]
    assert [client.read_obj()["pushed"] for _ in range(50)] == list(range(50))
    assert [client.read_obj()["done"] for _ in range(2)] == ["push", "later"]


def test_a_flood_is_answered_in_order_and_holds_up_no_other(wires: Wires) -> None:
    server = wires.start()
    raw, other = wires.raw(server), wires.connect(server)
    count = 2_000
    raw.send(b"".join(b"%d\n" % number for number in range(count)))
    assert other.request("meanwhile") == {"done": "meanwhile"}
    assert [raw.read_line() for _ in range(count)] == [b'{"done":%d}' % number for number in range(count)]


# ---------------------------------------------------------------------------------- deadlines


def test_silence_ends_a_connection(wires: Wires) -> None:
    raw = wires.raw(wires.start(idle_seconds=SOON))
    assert raw.read_line() == b""
    wait_until(lambda: Obedient.ended == ["timed_out"])


def test_a_frame_begun_must_end_in_time(wires: Wires, framing: Framing) -> None:
    raw = wires.raw(wires.start(frame_seconds=SOON))
    raw.send(framed(framing, b'"abc"')[:-2])
    assert raw.read_line() == b""
    wait_until(lambda: Obedient.ended == ["timed_out"])


def test_who_does_not_read_is_dropped_and_nobody_else_waits(wires: Wires) -> None:
    server = wires.start(send_seconds=SOON)
    deaf, other = wires.connect(server), wires.connect(server)
    deaf.send_obj("flood")
    assert other.request("well") == {"done": "well"}
    wait_until(lambda: Obedient.ended == ["timed_out"])
    assert other.request("still well") == {"done": "still well"}


def test_messages_for_a_client_that_does_not_read_are_bounded(wires: Wires) -> None:
    server = wires.start(max_unsent_bytes=100_000)
    deaf = wires.connect(server)
    assert deaf.request("well") == {"done": "well"}
    [handler] = Obedient.made
    wait_until(lambda: not handler.send("x" * 50_000), "the messages to be too many")
    wait_until(lambda: Obedient.ended == ["reader_too_slow"])


def test_who_reads_slowly_but_in_time_gets_everything(wires: Wires, framing: Framing) -> None:
    client = wires.connect(wires.start(), framing)
    client.send_obj("flood")
    client.send_obj("next")
    assert len(client.read_obj()) == 8 << 20
    assert client.read_obj() == {"done": "next"}


# ---------------------------------------------------------------------------------- clients that leave


def half_close(client: Any) -> None:
    socket.socket.shutdown(client.socket, socket.SHUT_WR)


def test_who_has_stopped_sending_is_still_answered(wires: Wires) -> None:
    raw = wires.raw(wires.start())
    raw.send(b'1\n2\n"later"\n3')
    half_close(raw)
    assert [raw.read_line() for _ in range(4)] == [b'{"done":1}', b'{"done":2}', b'{"done":"later"}', b""]
    wait_until(lambda: Obedient.ended == ["client_closed"])


def test_a_client_that_may_be_gone_holds_no_connection_while_nothing_is_answered(wires: Wires) -> None:
    server = wires.start(half_closed_seconds=SOON)
    for leave in (half_close, lambda client: client.close()):
        raw = wires.raw(server)
        raw.send(b'"never"\n1\n')
        wait_until(lambda: server.clients() != [] and server.clients()[0].frames == 1)
        leave(raw)
        wait_until(lambda: server.connections == 0)
    assert Obedient.ended == ["timed_out", "timed_out"]


def test_a_reset_harms_nobody(wires: Wires) -> None:
    server = wires.start()
    other = wires.connect(server)
    for sent in (b"", b"1\n", b'"flood"\n', b"half"):
        raw = wires.raw(server)
        raw.send(sent)
        if raw.socket.family != socket.AF_UNIX:
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
    assert other.request("well") == {"done": "well"}
    wait_until(lambda: server.connections == 1)


# ---------------------------------------------------------------------------------- handlers


def test_a_handler_that_raises_ends_its_connection_only(wires: Wires, caplog: pytest.LogCaptureFixture) -> None:
    server = wires.start()
    client, other = wires.connect(server), wires.connect(server)
    with pytest.raises(ConnectionLost):
        client.request("raise")
    assert other.request("well") == {"done": "well"}
    wait_until(lambda: Obedient.ended == ["handler_failed"])
    assert caplog.text.count("event=handler_failed") == 1


def test_a_handler_that_waits_keeps_no_other_client_waiting(wires: Wires) -> None:
    if wires.kind.handlers == "loop":
        pytest.skip("there it must not wait")
    server = wires.start()
    waiting, other = wires.connect(server), wires.connect(server)
    waiting.send_obj("wait")
    assert other.request("well") == {"done": "well"}
    Obedient.opened.set()
    assert waiting.read_obj() == {"done": "wait"}


def test_a_handler_may_close_and_may_stop_the_server(wires: Wires) -> None:
    server = wires.start()
    closing, idle, stopping = (wires.connect(server) for _ in range(3))
    assert closing.request("close") == {"done": "close"}
    with pytest.raises(ConnectionLost):
        closing.read_obj()
    assert idle.request(1) == {"done": 1}
    assert stopping.request("stop") == 0
    for client in (idle, stopping):
        with pytest.raises(ConnectionLost):
            client.read_obj()
    assert server.join(HANG_SECONDS)
    wait_until(lambda: sorted(Obedient.ended) == ["handler_closed", "server_stopped", "server_stopped"])


def test_stop_answers_what_is_due_and_closes_by_force_what_is_late(
    wires: Wires, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tillwire.connection")
    server = wires.start()
    client = wires.connect(server)
    client.send_obj("never")
    wait_until(lambda: [each.frames for each in server.clients()] == [1])
    assert server.stop(SOON) == 1
    with pytest.raises(ConnectionLost):
        client.read_obj()
    assert Obedient.ended == ["closed_by_force"]


def test_past_the_limit_a_client_is_told_so(wires: Wires) -> None:
    server = wires.start(max_connections=1)
    client = wires.connect(server)
    assert client.request(1) == {"done": 1}
    surplus = wires.raw(server)
    assert surplus.read_line() == b'{"error": "all connections are taken; try again later"}'
    assert surplus.read_line() == b""
    assert client.request(2) == {"done": 2}


# ---------------------------------------------------------------------------------- many


CLIENTS, FILES_PER_CLIENT, SPARE_FILES, THREADS_MAX = 1_000, 2, 300, 8


@pytest.mark.long
@pytest.mark.parametrize("kind", [Kind("plain", "loop"), Kind("tls", "loop")], ids=str)
def test_a_thousand_clients_share_a_few_threads(tmp_path: Path, kind: Kind) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CLIENTS * FILES_PER_CLIENT + SPARE_FILES
    if hard < wanted:
        pytest.skip(f"needs {wanted} open files, the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    wires = Wires(kind, tmp_path)
    before = threading.active_count()
    try:
        server = wires.start(max_connections=CLIENTS)
        clients = [wires.connect(server) for _ in range(CLIENTS)]
        for number, client in enumerate(clients):
            client.send_obj(number)
        assert [client.read_obj()["done"] for client in clients] == list(range(CLIENTS))
        assert threading.active_count() - before <= THREADS_MAX
        assert server.stop(HANG_SECONDS) == 0
    finally:
        wires.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
