"""Answers that another thread has: in order, one at a time, and nobody who answers ever waits for a reader."""

import logging
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from inventory_server.jsonserver import ServerFactory
from inventory_server.jsonserver.connection import ServerConnection
from inventory_server.jsonserver.handler import EndReason, Notice, SendReply
from inventory_server.jsonserver.stream import ServerStream
from pos_client.protocol.address import Address
from tests.support.lines import ANYWHERE, LIMITS, SOON, Echo, Start, connect, start
from tests.support.waiting import HANG_SECONDS, wait_until

__all__ = ["start"]


class Elsewhere(Echo):
    """Answers from the one thread of `answerer`; `wait` only once it is let, `sync` on the connection's own thread."""

    answerer: ThreadPoolExecutor
    answered: list[Future[None]]
    opened: threading.Event

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        if frame == b"sync":
            answer(self.reply(frame))
        else:
            self.answered.append(self.answerer.submit(self._answer, frame, answer))

    def _answer(self, frame: bytes, answer: SendReply) -> None:
        assert frame != b"wait" or self.opened.wait(HANG_SECONDS)
        answer(self.reply(frame))


@pytest.fixture
def elsewhere() -> Iterator[type[Elsewhere]]:
    Elsewhere.answered, Elsewhere.opened = [], threading.Event()
    with ThreadPoolExecutor(1) as Elsewhere.answerer:
        yield Elsewhere
        Elsewhere.opened.set()
    assert [answered.exception() for answered in Elsewhere.answered] == [None] * len(Elsewhere.answered)


IMPATIENT = replace(LIMITS, half_closed_seconds=SOON)


def the_connection(server: ServerFactory) -> ServerConnection:
    """The only connection of a server."""
    wait_until(lambda: server.connections == 1)
    [connection] = getattr(server, "_served")  # noqa: B009
    assert isinstance(connection, ServerConnection)
    return connection


def await_rest(server: ServerFactory) -> None:
    """Return once the only connection sends what its socket's buffer did not take at once."""
    wait_until(lambda: the_connection(server)._outgoing.waiting)


class Asked:
    """Counts how often the loop has asked connections whether one of their deadlines has passed."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.times = 0
        really = ServerConnection.on_deadline

        def on_deadline(connection: ServerConnection) -> float:
            self.times += 1
            return really(connection)

        patch.setattr(ServerConnection, "on_deadline", on_deadline)


def test_answers_come_in_the_order_of_the_frames(start: Start, elsewhere: type[Elsewhere]) -> None:
    with connect(start(factory=elsewhere)) as client:
        client.send(b"one\nsync\nsilence\ntwo\nsync\n")
        assert [client.read_line() for _ in range(4)] == [b"one", b"sync", b"two", b"sync"]


def test_no_frame_is_handled_before_the_one_before_it_is_answered(
    start: Start, elsewhere: type[Elsewhere], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(monkeypatch)
    server = start(factory=elsewhere, limits=replace(LIMITS, idle_seconds=SOON))
    with connect(server) as client:
        client.send(b"wait\nnext\n")
        wait_until(lambda: len(elsewhere.answered) == 1)
        wait_until(lambda: asked.times > 1, "the connection to wait for its answer in vain")
        assert len(elsewhere.answered) == 1
        elsewhere.opened.set()
        assert [client.read_line(), client.read_line()] == [b"wait", b"next"]


def test_who_stops_sending_or_sends_too_much_is_answered_first(start: Start, elsewhere: type[Elsewhere]) -> None:
    server = start(factory=elsewhere, limits=replace(LIMITS, max_frame_bytes=1_000))
    with connect(server) as leaving, connect(server) as endless:
        leaving.send(b"wait\n")
        leaving.socket.shutdown(socket.SHUT_WR)
        endless.send(b"wait\n" + b"x" * 2_000)
        elsewhere.opened.set()
        assert [leaving.read_line(), leaving.read_line()] == [b"wait", b""]
        assert endless.read_line() == b"wait"
        assert b"exceeds 1000 bytes" in endless.read_line()


def test_who_answers_does_not_wait_for_a_slow_reader(start: Start, elsewhere: type[Elsewhere]) -> None:
    server = start(factory=elsewhere)
    with connect(server) as slow, connect(server) as quick:
        slow.send(b"flood\nnext\n")
        quick.send(b"word\n")
        assert quick.read_line() == b"word"
        assert len(slow.read_line()) == 64 << 20
        assert slow.read_line() == b"next"


class Talkative(Echo):
    """Sends notices before its reply: `flood` one that nobody takes in time, `later` those after the client left."""

    begun, left = threading.Event(), threading.Event()

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        size = 64 << 20 if frame == b"flood" else 1
        self.begun.set()
        assert frame != b"later" or self.left.wait(HANG_SECONDS)
        for _ in range(9):
            answer(Notice(b"x" * size + b"\n"))
        answer(self.reply(frame))


def test_notices_come_between_a_frame_and_its_reply(start: Start) -> None:
    with connect(start(factory=Talkative)) as client:
        client.send(b"one\ntwo\n")
        assert [client.read_line() for _ in range(20)] == [b"x"] * 9 + [b"one"] + [b"x"] * 9 + [b"two"]


@pytest.mark.parametrize(("frame", "reason"), [(b"flood", "timed_out"), (b"later", "connection_lost")])
def test_a_notice_that_nobody_takes_ends_the_connection_but_not_the_work(
    start: Start, caplog: pytest.LogCaptureFixture, frame: bytes, reason: str
) -> None:
    caplog.set_level(logging.DEBUG, "tillwire.connection")
    Talkative.begun.clear()
    Talkative.left.clear()
    server = start(factory=Talkative, limits=replace(LIMITS, send_seconds=SOON))
    client = connect(server)
    client.send(frame + b"\n")
    assert Talkative.begun.wait(HANG_SECONDS)
    if frame == b"later":  # with a reset: after an ordinary close the loop may read the end before a notice is refused
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        Talkative.left.set()
    wait_until(lambda: server.connections == 0)
    client.close()
    assert f"reason={reason}" in caplog.text
    assert "event=handler_failed" not in caplog.text


def test_who_never_reads_is_dropped(start: Start, elsewhere: type[Elsewhere]) -> None:
    server = start(factory=elsewhere, limits=replace(LIMITS, send_seconds=SOON))
    with connect(server) as deaf:
        deaf.send(b"flood\n")
        wait_until(lambda: server.connections == 1)
        wait_until(lambda: server.connections == 0)


def test_a_slow_reader_that_leaves_is_let_go(
    start: Start, elsewhere: type[Elsewhere], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tillwire.connection")
    server = start(factory=elsewhere)
    with connect(server) as leaving:
        leaving.send(b"flood\n")
        await_rest(server)
    wait_until(lambda: server.connections == 0)
    assert "reason=connection_lost" in caplog.text


def test_a_full_buffer_takes_nothing_and_loses_nothing(
    start: Start, elsewhere: type[Elsewhere], tmp_path: Path
) -> None:
    server = start(Address.unix(str(tmp_path / "hq.sock")), factory=elsewhere)
    with connect(server) as client:
        client.send(b"wait\n")
        wait_until(lambda: len(elsewhere.answered) == 1)
        filled = fill(the_connection(server)._stream)
        elsewhere.opened.set()
        received = b""
        while not received.endswith(b"wait\n"):
            received += client.socket.recv(1 << 20)
        assert len(received) == filled + len(b"wait\n")


def fill(stream: ServerStream) -> int:
    """Send until nothing more fits; return how many bytes did."""
    filled = 0
    while sent := stream.try_write(b"x" * 65_536):
        filled += sent
    return filled


def test_a_peer_that_is_gone_before_its_answer_harms_nobody(
    start: Start, elsewhere: type[Elsewhere], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tillwire.connection")
    server = start(factory=elsewhere)
    client = connect(server)
    client.send(b"wait\n")
    wait_until(lambda: len(elsewhere.answered) == 1)
    the_connection(server).break_off(EndReason.closed_by_force, "by the test")
    wait_until(lambda: server.connections == 0)
    elsewhere.opened.set()
    wait_until(lambda: all(answered.done() for answered in elsewhere.answered))
    assert "event=client_disconnected" in caplog.text
    client.close()


def test_an_answer_that_ends_the_connection_ends_it_at_once(start: Start, elsewhere: type[Elsewhere]) -> None:
    server = start(factory=elsewhere)
    with connect(server) as client:
        client.send(b"close\nunheard\n")
        assert [client.read_line(), client.read_line()] == [b"close", b""]
    wait_until(lambda: server.connections == 0)
    assert len(elsewhere.answered) == 1


# ---------------------------------------------------------------------------------- peers that left before their answer


@pytest.mark.parametrize("sent", [b"wait\n", b"wait\nnext\n", b"wait\n" + b"x" * 2_000])
def test_peers_that_gave_up_hold_no_connection_while_nothing_is_answered(
    start: Start, elsewhere: type[Elsewhere], caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    caplog.set_level(logging.INFO, "tillwire.connection")
    server = start(factory=elsewhere, limits=replace(IMPATIENT, max_frame_bytes=1_000))
    for _ in range(3):
        with connect(server) as client:
            client.send(sent)
            wait_until(lambda: server.connections > 0)
    wait_until(lambda: server.connections == 0)
    assert not any(answered.done() for answered in elsewhere.answered[:1])
    assert caplog.text.count("reason=timed_out") == 3
    with connect(server) as client:
        client.send(b"sync\n")
        assert client.read_line() == b"sync"
    elsewhere.opened.set()


@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_who_has_stopped_sending_and_reads_on_is_answered_in_time(
    start: Start, elsewhere: type[Elsewhere], tmp_path: Path, family: str
) -> None:
    server = start(ANYWHERE if family == "tcp" else Address.unix(str(tmp_path / "hq.sock")), factory=elsewhere)
    with connect(server) as client:
        client.send(b"wait\n")
        client.socket.shutdown(socket.SHUT_WR)
        connection = the_connection(server)
        wait_until(lambda: connection._hung_up_at is not None)
        elsewhere.opened.set()
        assert [client.read_line(), client.read_line()] == [b"wait", b""]


def test_who_keeps_sending_open_is_waited_for(
    start: Start, elsewhere: type[Elsewhere], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(monkeypatch)
    server = start(factory=elsewhere, limits=replace(IMPATIENT, idle_seconds=SOON))
    with connect(server) as client:
        client.send(b"wait\nnext\n")
        wait_until(lambda: len(elsewhere.answered) == 1)
        wait_until(lambda: asked.times > 2)
        elsewhere.opened.set()
        assert [client.read_line(), client.read_line()] == [b"wait", b"next"]


def test_who_has_stopped_sending_and_reads_slowly_gets_all_of_an_answer(
    start: Start, elsewhere: type[Elsewhere], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(monkeypatch)
    server = start(factory=elsewhere, limits=IMPATIENT)
    with connect(server) as client:
        client.send(b"flood\n")
        await_rest(server)
        client.socket.shutdown(socket.SHUT_WR)
        wait_until(lambda: asked.times > 0, "half_closed_seconds to pass")
        assert len(client.read_line()) == 64 << 20


def test_a_server_that_stops_waits_for_answers_and_takes_that_for_no_peers_leaving(
    start: Start, elsewhere: type[Elsewhere], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(monkeypatch)
    server = start(factory=elsewhere, limits=replace(IMPATIENT, idle_seconds=SOON))
    with connect(server) as client:
        client.send(b"wait\n")
        wait_until(lambda: len(elsewhere.answered) == 1)
        with ThreadPoolExecutor(1) as other:
            stopping = other.submit(server.stop, HANG_SECONDS)
            wait_until(lambda: asked.times > 2)
            elsewhere.opened.set()
            assert client.read_line() == b"wait"
            assert stopping.result() == 0
