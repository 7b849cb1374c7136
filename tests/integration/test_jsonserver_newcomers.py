"""Clients that have not identified themselves have a small budget, whatever they send; those that have keep theirs."""

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from inventory_server.jsonserver import EncodedReply, EndReason, JsonHandler, NetworkLimits, SendReply, ServerFactory
from pos_client.protocol.framing import jsocket_frame
from tests.support.edge import LineClient
from tests.support.lines import LIMITS, SOON, Start, listens_on, start
from tests.support.waiting import HANG_SECONDS, wait_until
from tests.support.wires import RawClient, server_tls

__all__ = ["start"]

LATER: Any = HANG_SECONDS
"""Seconds for a time-out that must not be what a test sees."""
FEW = replace(LIMITS, newcomers_max=2, newcomer_seconds=LATER)


class Door(JsonHandler):
    """Knows who says `hello`, and lets who says `wrong` wait; echoes the rest."""

    ended: list[EndReason]
    put_off: list[JsonHandler]
    delay_seconds = LATER

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        if frame == b"hello":
            self.recognise()
        if frame == b"silence":
            answer(None)
        else:
            delay = self.delay_seconds if frame == b"wrong" else 0.0
            answer(EncodedReply(frame + b"\n", close=False, delay_seconds=delay))
            if delay:
                self.put_off.append(self)

    def may_block(self, frame: bytes) -> bool:
        return False

    def finish(self) -> None:
        self.ended.append(self.end_reason)


def new_door() -> type[Door]:
    """A class of its own for each test: it collects how its connections ended."""
    return type("NewDoor", (Door,), {"ended": [], "put_off": []})


Connect = Callable[..., LineClient]
Serve = Callable[..., tuple[ServerFactory, type[Door]]]


@pytest.fixture
def connect() -> Iterator[Connect]:
    clients = []

    def connect(server: ServerFactory, tls: bool = False) -> LineClient:
        clients.append(RawClient(listens_on(server), tls))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def serve(start: Start) -> Serve:
    door = new_door()

    def serve(limits: NetworkLimits, handlers: str = "shared", **options: Any) -> tuple[ServerFactory, type[Door]]:
        server = start(factory=door, limits=limits, clients_identify=True, handlers=handlers, **options)
        return server, door

    return serve


def said(client: LineClient, line: bytes) -> bytes:
    client.send(line + b"\n")
    return client.read_line()


def known(client: LineClient) -> LineClient:
    assert said(client, b"hello") == b"hello"
    return client


# ---------------------------------------------------------------------------------- room


def test_the_oldest_idle_newcomer_gives_way_and_the_known_stay(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    server, door = serve(FEW)
    clients = [known(connect(server)) for _ in range(3)]
    silent, talkative = connect(server), connect(server)
    assert [said(client, b"word") for client in (silent, talkative)] == [b"word"] * 2
    newest = known(connect(server))
    assert json.loads(silent.read_line()) == {"error": "too many unidentified clients are connected; try again later"}
    assert silent.read_line() == b""
    assert [said(client, b"word") for client in (*clients, talkative, newest)] == [b"word"] * 5
    assert door.ended == [EndReason.evicted]
    for _ in range(5):
        connect(server)
    assert caplog.text.count("event=newcomers_evicted count=1 last=127.0.0.1") == 1, "not a line for each"


def test_newcomers_give_way_where_all_connections_are_taken(serve: Serve, connect: Connect) -> None:
    server, _ = serve(replace(FEW, max_connections=2))
    first, silent = known(connect(server)), connect(server)
    assert said(silent, b"word") == b"word"
    second = known(connect(server))
    assert b"try again later" in silent.read_line()
    with connect(server) as third:
        assert json.loads(third.read_line()) == {"error": "all connections are taken; try again later"}
    assert [said(client, b"word") for client in (first, second)] == [b"word"] * 2


def test_an_address_outside_the_trusted_networks_has_a_share_of_the_room(serve: Serve, connect: Connect) -> None:
    limits = replace(FEW, newcomers_max=100, newcomers_per_address_max=2, trusted_networks=())
    server, _ = serve(limits)
    oldest, second = connect(server), connect(server)
    assert [said(client, b"word") for client in (oldest, second)] == [b"word"] * 2
    third = connect(server)
    assert b"try again later" in oldest.read_line()
    assert [said(client, b"word") for client in (second, third)] == [b"word"] * 2


def test_whose_reply_is_put_off_gives_way_too(serve: Serve, connect: Connect) -> None:
    server, door = serve(FEW)
    guessers = [connect(server) for _ in range(2)]
    for guesser in guessers:
        guesser.send(b"wrong\n")
    wait_until(lambda: len(door.put_off) == 2)
    known(connect(server))
    assert b"try again later" in guessers[0].read_line()
    assert door.ended == [EndReason.evicted]


def test_over_limit_clients_that_stay_hold_up_no_others(start: Start, connect: Connect) -> None:
    """The oldest of those that are being refused gives way: none of them waits for the linger time of another."""
    server = start(limits=replace(LIMITS, max_connections=1, surplus_connections=2))
    with connect(server) as served:
        assert said(served, b"word") == b"word"
        crowd = [connect(server) for _ in range(50)]
        assert all(b"all connections are taken" in client.read_line() for client in crowd)
    wait_until(lambda: server.connections == 0)
    with connect(server) as client:
        assert said(client, b"word") == b"word"


# ---------------------------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("handlers", "sent"),
    [
        *(("shared", sent) for sent in (b"", b'{"half', b"wrong\nwrong\nwrong\n", b"JSN", b"word\n")),
        *(("thread", sent) for sent in (b"", b"word\n")),
    ],
)
def test_who_does_not_identify_itself_in_time_is_told_so(
    serve: Serve, connect: Connect, handlers: str, sent: bytes
) -> None:
    server, door = serve(replace(LIMITS, newcomer_seconds=SOON), handlers)
    door.delay_seconds = 0.01
    client, friend = connect(server), known(connect(server))
    client.send(sent)
    lines = []
    while line := client.read_line():
        lines.append(line)
    assert json.loads(lines[-1]) == {"error": "the client did not identify itself within 0.2 seconds"}
    client.close()
    wait_until(lambda: door.ended == [EndReason.not_identified])
    assert said(friend, b"word") == b"word"


def test_who_is_being_answered_when_the_time_is_over_may_still_identify_itself(serve: Serve, connect: Connect) -> None:
    server, door = serve(replace(LIMITS, newcomer_seconds=SOON))
    door.delay_seconds = 2 * SOON
    client = connect(server)
    client.send(b"wrong\nhello\n")
    assert client.read_line() == b"wrong"
    assert b"did not identify itself" in client.read_line(), "what it says next comes too late"


def test_a_newcomer_that_takes_no_reply_is_cut_off(
    start: Start, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    server = start(
        factory=Generous, limits=replace(LIMITS, newcomer_seconds=SOON), clients_identify=True, handlers="shared"
    )
    client = connect(server)
    client.send(b"word\n")
    wait_until(lambda: "reason=not_identified" in caplog.text)


def test_a_handshake_counts_for_the_time_and_the_oldest_one_gives_way(start: Start, connect: Connect) -> None:
    door = new_door()

    limits = replace(LIMITS, newcomer_seconds=LATER, handshake_seconds=LATER, handshakes_max=2)
    server = start(factory=door, limits=limits, clients_identify=True, tls=server_tls(), handlers="shared")
    half = [connect(server) for _ in range(3)]
    for client in half:
        client.send(b"\x16\x03\x01")
    assert half[0].read_line() == b"", "the oldest of three"
    known(connect(server, tls=True))
    assert half[1].read_line() == b""
    assert not half[2].has_unread()
    quick = start(factory=door, limits=replace(limits, newcomer_seconds=SOON), clients_identify=True, tls=server_tls())
    slow = connect(quick)
    slow.send(b"\x16")
    assert slow.read_line() == b""


# ---------------------------------------------------------------------------------- bytes


@pytest.mark.parametrize("tls", [False, True])
def test_a_newcomer_may_send_everything_in_one_burst(start: Start, connect: Connect, tls: bool) -> None:
    door = new_door()

    server = start(factory=door, clients_identify=True, handlers="shared", tls=server_tls() if tls else None)
    client = connect(server, tls)
    long = b"x" * 500_000
    client.send(b"hello\n" + long + b"\nlast\n")
    assert [client.read_line() for _ in range(3)] == [b"hello", long, b"last"]


@pytest.mark.parametrize("framing", ["lines", "jsocket"])
def test_a_newcomers_frames_are_short(serve: Serve, connect: Connect, framing: str) -> None:
    server, door = serve(replace(LIMITS, newcomer_bytes=1_024, newcomer_seconds=LATER))
    short, long = b"x" * 1_000, b"x" * 5_000
    client = connect(server)
    if framing == "lines":
        assert said(client, short) == short
        client.send(long)
    else:
        client.send(jsocket_frame(long))
    line = client.read_line()
    assert b"1024 bytes of a frame came before the client had identified itself" in line
    client.close()
    wait_until(lambda: door.ended == [EndReason.not_identified])


def test_blank_lines_put_no_deadline_off_and_too_many_end_the_connection(start: Start, connect: Connect) -> None:
    server = start(idle_seconds=SOON)
    with connect(server) as client:

        def has_ended() -> bool:
            try:
                client.send(b"\r\n")
                return client.has_unread()
            except ConnectionError:
                return True

        wait_until(has_ended)
    with connect(server) as client:
        client.send(b"\n" * 5_000)
        assert b"more than 4096 bytes of blank lines" in client.read_line()


def test_frames_without_a_reply_are_all_handled_with_rests(start: Start, connect: Connect) -> None:
    server = start(factory=Counting, handlers="shared")
    with connect(server) as client:
        client.send(b"silence\n" * 1_000 + b"count\n")
        assert client.read_line() == b"1000"


class Counting(JsonHandler):
    """Counts what it answers nothing to."""

    count = 0

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        if frame == b"count":
            answer(EncodedReply(b"%d\n" % self.count, close=False))
        else:
            self.count += 1
            answer(None)

    def may_block(self, frame: bytes) -> bool:
        return False


# ---------------------------------------------------------------------------------- memory


class Generous(JsonHandler):
    """Answers at length."""

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        answer(EncodedReply(b"x" * (16 << 20) + b"\n", close=False))


def has_received(server: ServerFactory, size: int) -> bool:
    return sum(each.received_bytes for each in server.clients()) >= size


def test_long_frames_share_a_budget_and_the_longest_that_is_not_whole_goes(start: Start, connect: Connect) -> None:
    server = start(limits=replace(LIMITS, arriving_bytes_max=1 << 20))
    half = [connect(server) for _ in range(3)]
    for size, all_sizes, client in ((400_000, 400_000, half[0]), (500_000, 900_000, half[1])):
        client.send(b"x" * size)
        wait_until(partial(has_received, server, all_sizes))
    half[2].send(b"x" * 300_000)
    assert b"too many long frames arrive at the same time; try again later" in half[1].read_line()
    half[1].close()
    half[0].send(b"\n")
    assert half[0].read_line() == b"x" * 400_000
    with connect(server) as client:
        assert said(client, b"x" * 600_000) == b"x" * 600_000, "what is answered counts no more"


def test_what_waits_for_slow_readers_shares_a_budget_and_the_slowest_goes(start: Start, connect: Connect) -> None:
    server = start(factory=Generous, limits=replace(LIMITS, unsent_bytes_max=20 << 20))
    first, second = connect(server), connect(server)
    first.send(b"word\n")
    wait_until(first.has_unread)
    second.send(b"word\n")
    wait_until(second.has_unread)
    lengths = []
    for client in (first, second):
        try:
            lengths.append(len(client.read_line()))
        except ConnectionResetError:
            lengths.append(0)
    assert sorted(length == 16 << 20 for length in lengths) == [False, True]


def test_the_kernel_holds_little_of_what_is_not_read(start: Start, connect: Connect) -> None:
    server = start(receive_buffer_bytes=16_384)
    with socket.socket(fileno=socket.dup(server.fileno())) as listening:
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * 16_384
