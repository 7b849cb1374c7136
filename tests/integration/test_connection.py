"""A connection answers, or says that nobody knows; `request_once` is that in one call."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from pos_client import Connection, ConnectionLost, ErrorCode, RequestError, request_once
from pos_client.protocol.address import Address
from pos_client.protocol.messages import PingParams, PingResult
from tests.support.scripted_hq import ScriptedHq
from tests.support.waiting import HANG_SECONDS, wait_until


@contextmanager
def peer(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Something that listens, accepts one connection and talks as a test says."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        accepted, _ = listener.accept()
        with accepted:
            talk(accepted)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        thread.join(HANG_SECONDS)


def says(*lines: bytes) -> Callable[[socket.socket], None]:
    def talk(accepted: socket.socket) -> None:
        accepted.recv(1 << 16)
        for line in lines:
            accepted.sendall(line)
        accepted.recv(1 << 16)  # until the other side hangs up

    return talk


PONG = b'{"jsonrpc":"2.0","id":1,"result":{"server_time":"2026-01-01T00:00:00Z"}}\n'
NOTE = b'{"jsonrpc":"2.0","method":"changed","params":{}}\n'


@pytest.mark.parametrize("lines", [(PONG,), (NOTE, PONG), (PONG[:20], PONG[20:]), (NOTE + PONG,)])
def test_an_answer_is_found_in_whatever_pieces_it_comes(lines: tuple[bytes, ...]) -> None:
    with peer(says(*lines)) as address:
        connection = Connection.open(address)
        assert isinstance(connection.request("ping", PingParams(), HANG_SECONDS), PingResult)
        assert not connection.is_dropped()
        connection.close()


@pytest.mark.parametrize(
    ("talk", "says_why"),
    [
        (lambda _: None, "was lost"),
        (says(b"HTTP/1.1 400 Bad Request\r\n"), "does not speak the protocol"),
        (says(PONG.replace(b'"id":1', b'"id":2')), "instead of 1"),
        (says(PONG.replace(b"server_time", b"time")), "does not speak the protocol"),
        (says(b'{"id":1}\n'), "does not speak the protocol"),
        (says(b"\xff\xfe\n"), "does not speak the protocol"),
    ],
)
def test_what_is_no_answer_means_that_nobody_knows(talk: Callable[[socket.socket], None], says_why: str) -> None:
    with peer(talk) as address:
        connection = Connection.open(address)
        with pytest.raises(ConnectionLost, match=says_why):
            connection.request("ping", PingParams(), HANG_SECONDS)
        with pytest.raises(ConnectionLost):  # and it stays lost
            connection.request("ping", PingParams(), HANG_SECONDS)
        assert connection.is_dropped()
        connection.interrupt()


def test_half_an_answer_by_the_deadline_means_that_nobody_knows() -> None:
    with peer(says(PONG[:20])) as address:
        connection = Connection.open(address)
        with pytest.raises(ConnectionLost, match=r"deadline|timed out"):
            connection.request("ping", PingParams(), 0.1)
        assert connection.is_dropped()


def test_a_server_that_cannot_read_the_request_answers_without_its_id() -> None:
    line = (
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32007,"message":"long","data":{"name":"too_large","limit":5}}}\n'
    )
    with peer(says(line)) as address:
        connection = Connection.open(address)
        with pytest.raises(RequestError) as caught:
            connection.request("ping", PingParams(), HANG_SECONDS)
        connection.close()
    assert (caught.value.code, caught.value.data) == (ErrorCode.too_large, {"limit": 5})


@pytest.mark.parametrize("address", ["127.0.0.1:1", "unix:/nowhere/hq.sock", "no-such-host.invalid"])
def test_who_cannot_be_reached_is_named(address: str) -> None:
    with pytest.raises(ConnectionLost, match=f"HQ at {Address.parse(address).path or address}|cannot be reached"):
        Connection.open(address, 5)


def test_it_is_noticed_when_hq_hangs_up_while_nothing_was_asked() -> None:
    with ScriptedHq() as hq:
        connection = Connection.open(hq.address)
        connection.request("ping", PingParams())
        hq.hang_up()
        wait_until(connection.is_dropped, "the connection to be seen as lost")
        connection.close()


# ---------------------------------------------------------------------------------- request_once


def test_a_script_asks_in_one_call_and_gets_plain_exact_data(tmp_path: Path) -> None:
    for hq in (ScriptedHq(), ScriptedHq(unix=tmp_path / "hq.sock")):
        with hq:
            assert request_once(hq.address, "ping", {})["server_time"].endswith("Z")
            assert hq.hellos == []
            levels = request_once(hq.address, "stock", {"below": Decimal("2.5")}, terminal="office", token="secret")
            assert levels["items"][0]["on_hand"] == 3
            assert [(hello.terminal, hello.token) for hello in hq.hellos] == [("office", "secret")]
            request_once(hq.address, "stock", {})
            assert len(hq.hellos) == 2


def test_a_unix_socket_is_reached_however_long_its_path_is(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    with ScriptedHq(unix=Path(f"/proc/self/fd/{descriptor}/hq.sock")):
        assert request_once(f"unix:{folder}/hq.sock", "ping", {})["server_time"].endswith("Z")
    os.close(descriptor)
    with pytest.raises(ConnectionLost, match="No such file"):
        Connection.open(f"unix:{tmp_path}/{'y' * 120}/hq.sock")


def test_fractions_come_as_decimals_and_bodies_as_they_were_sent() -> None:
    stored = (
        b'{"id":2,"result":{"id":"01920000-0000-7000-8000-000000000001","status":"posted","digest":"%s","terminal":"T",'
        b'"recorded_at":"2026-01-01T00:00:00Z","body":{"ext":{"price":1.10}}}}\n' % (b"0" * 64)
    )
    hello = (
        b'{"id":1,"result":{"server":"s","protocol":1,"terminal":"T","role":"reader","location":"S1","epoch":1,"parent":'
        b'"%s","acked_seq":0,"server_time":"2026-01-01T00:00:00Z","heartbeat_s":30,"limits":{"max_frame_bytes":1,'
        b'"max_postings":1,"max_lines":1,"max_connections":1}}}\n' % (b"0" * 64)
    )

    def talk(accepted: socket.socket) -> None:
        for line in (hello, stored):
            accepted.recv(1 << 16)
            accepted.sendall(line)

    with peer(talk) as address:
        found = request_once(address, "posting", {"id": UUID(int=1)})
    assert found["body"] == {"ext": {"price": Decimal("1.10")}}
    assert found["id"] == "01920000-0000-7000-8000-000000000001"


def test_a_script_hears_a_refusal_as_it_is() -> None:
    with ScriptedHq() as hq:
        hq.token = "other"
        with pytest.raises(RequestError, match="not known") as caught:
            request_once(hq.address, "stock", token="wrong")
    assert caught.value.code is ErrorCode.unauthenticated


def test_a_script_gives_up_at_its_deadline() -> None:
    with peer(says()) as address, pytest.raises(ConnectionLost):
        request_once(address, "ping", {}, timeout=0.2)
