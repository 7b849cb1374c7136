"""The line server over real sockets: frames, deadlines and bad peers. Its handlers know no inventory."""

import json
import logging
import math
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.edge import LineClient
from tests.support.lines import LIMITS, SOON, Echo, Gate, Start, connect, gate, start
from tests.support.waiting import HANG_SECONDS, wait_until

__all__ = ["gate", "start"]


def dribble(client: LineClient) -> None:
    """Send byte after byte until the server hangs up."""

    def is_over() -> bool:
        client.send(b"x")
        return False

    wait_until(is_over, "the server to hang up")


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
    server = start(limits=replace(LIMITS, max_frame_bytes=10_000))
    with connect(server) as client:
        client.send(b"x" * 9_999 + b"\n")
        assert client.read_line() == b"x" * 9_999
        client.send(b"x" * 10_000 + b"\n")
        assert json.loads(client.read_line()) == {"error": "a line exceeds 10000 bytes"}
        assert client.read_line() == b""


def test_who_sends_without_end_reads_the_error_before_the_connection_ends(start: Start) -> None:
    server = start(limits=replace(LIMITS, max_frame_bytes=1_000))
    with connect(server) as client:
        client.send(b"x" * (3 << 20))
        assert json.loads(client.read_line()) == {"error": "a line exceeds 1000 bytes"}
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
        assert gate.entered.wait(HANG_SECONDS)
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
    with connect(start(limits=replace(LIMITS, idle_seconds=SOON))) as client:
        assert client.read_line() == b""
    assert "reason=timed_out" in caplog.text


def test_a_frame_begun_must_end_in_time_however_often_bytes_arrive(start: Start) -> None:
    with connect(start(limits=replace(LIMITS, frame_seconds=SOON))) as client:
        client.send(b"whole\n")
        assert client.read_line() == b"whole"
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            dribble(client)


def test_a_frame_in_pieces_leaves_no_deadline_behind(start: Start) -> None:
    server = start(limits=replace(LIMITS, idle_seconds=1_000, frame_seconds=500))
    with connect(server) as client:
        wait_until(lambda: server.connections == 1)
        [connection] = getattr(server, "_served")  # noqa: B009

        def looked_at_in() -> float:
            seconds: float = connection.deadline.at - time.monotonic()
            return seconds if seconds == math.inf else round(seconds, -2)

        for _ in range(2):
            client.send(b"pie")
            wait_until(lambda: looked_at_in() == 500, "the server to wait for the rest of the frame")
            client.send(b"ces\n")
            assert client.read_line() == b"pieces"
            wait_until(lambda: round(connection.on_deadline() - time.monotonic(), -2) == 1_000)


def test_who_does_not_read_is_dropped_and_nobody_else_waits(start: Start) -> None:
    server = start(limits=replace(LIMITS, send_seconds=SOON))
    with connect(server) as deaf, connect(server) as other:
        deaf.send(b"flood\n")
        other.send(b"word\n")
        assert other.read_line() == b"word"
        wait_until(lambda: server.connections == 1)


def test_who_reads_slowly_but_in_time_gets_everything(start: Start) -> None:
    with connect(start()) as client:
        client.send(b"flood\nnext\n")
        wait_until(client.has_unread, "the flood to begin")
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

    def factory() -> Echo:
        handlers.append(Echo())
        return handlers[-1]

    server = start(factory=factory)
    with connect(server) as failing, connect(server) as other:
        failing.send(b"fail\n")
        assert failing.read_line() == b""
        other.send(b"word\n")
        assert other.read_line() == b"word"
    assert "event=handler_failed" in caplog.text
    assert handlers[0].closed.wait(HANG_SECONDS)


def test_a_factory_that_fails_loses_that_connection_only(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    fails = [True, False]

    def factory() -> Echo:
        if fails.pop(0):
            raise ZeroDivisionError
        return Echo()

    server = start(factory=factory)
    with connect(server) as first:
        assert first.read_line() == b""
    with connect(server) as second:
        second.send(b"word\n")
        assert second.read_line() == b"word"
    assert "event=handler_failed" in caplog.text


# ---------------------------------------------------------------------------------- why a connection ended


def resets(client: LineClient) -> None:
    client.send(b"word\n")
    assert client.read_line() == b"word"
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (LineClient.close, "client_closed"),
        (lambda client: client.send(b"close\n"), "handler_closed"),
        (lambda client: client.send(b"x" * 2_000), "frame_too_long"),
        (lambda client: client.send(b"half a frame"), "timed_out"),
        (lambda client: client.send(b"fail\n"), "handler_failed"),
        (resets, "connection_lost"),
    ],
)
def test_the_handler_and_the_log_are_told_why_a_connection_ended(
    start: Start, caplog: pytest.LogCaptureFixture, end: Callable[[LineClient], None], reason: str
) -> None:
    caplog.set_level(logging.DEBUG, "tillwire.connection")
    handlers: list[Echo] = []

    def factory() -> Echo:
        handlers.append(Echo())
        return handlers[-1]

    limits = replace(LIMITS, max_frame_bytes=1_000, frame_seconds=SOON, linger_seconds=SOON)
    server = start(factory=factory, limits=limits)
    with connect(server) as client:
        end(client)
        wait_until(lambda: server.connections == 0 and len(handlers) == 1)
    assert handlers[0].reason == reason
    assert caplog.messages[0] == f"event=client_connected peer={handlers[0].peer.address}"
    [ended] = [record for record in caplog.records if "event=client_disconnected" in record.message]
    assert f"peer={handlers[0].peer.address} reason={reason} seconds=" in ended.message
    assert ended.levelno == (logging.INFO if reason == "timed_out" else logging.DEBUG)
