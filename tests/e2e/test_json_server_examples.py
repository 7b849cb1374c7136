"""The programs in examples/json-server do what they say, started as a person starts them."""

import ast
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pos_client import JsonClient, request_once
from pos_client.protocol.address import Address
from tests.support.edge import LineClient
from tests.support.waiting import HANG_SECONDS

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "json-server"
PROGRAMS = sorted(EXAMPLES.glob("*.py"))


@contextmanager
def running(name: str) -> Iterator[tuple[Any, "subprocess.Popen[str]"]]:
    """A program and where it serves; Ctrl-C ends it."""
    command = [sys.executable, str(EXAMPLES / name), "localhost:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        try:
            yield ast.literal_eval(program.stdout.readline().removeprefix("serving on ")), program
        finally:
            program.send_signal(signal.SIGINT)
            program.communicate(timeout=HANG_SECONDS)
    assert program.returncode in (0, -signal.SIGINT), "the latter where Ctrl-C came before it waited for Ctrl-C"


def test_echo() -> None:
    with running("echo.py") as (address, _), JsonClient(address) as client:
        assert client.request({"a": 1}) == {"echo": {"a": 1}}


def test_what_one_says_in_a_chat_all_read() -> None:
    with running("chat.py") as (address, _), JsonClient(address) as ann, JsonClient(address, framing="lines") as bob:
        for client, name in ((ann, "ann"), (bob, "bob")):  # who has read its own words has joined
            client.send_obj(name)
            while client.read_obj()["says"] != name:
                pass
        bob.send_obj("hello")
        said = [message for message in (ann.read_obj(), ann.read_obj()) if message["says"] == "hello"]
        assert said == [bob.read_obj()]


def test_the_store_keeps_values_for_all_clients() -> None:
    with running("key_value.py") as (address, _), JsonClient(address) as one, JsonClient(address) as other:
        assert one.request({"set": "a", "to": [1, None]}) == {"set": "a"}
        assert other.request({"get": "a"}) == {"value": [1, None]}
        assert other.request({"delete": "a"}) == {"deleted": [1, None]}
        assert one.request({"get": "a"})["error"].startswith("expected set and to, or get or delete")


def test_one_request_gets_one_reply_and_one_stops_the_server() -> None:
    with running("request_reply.py") as (address, program):
        assert request_once(address, "time").startswith("20")
        assert request_once(address, {"add": [1, 2]}) == {"sum": 3}
        assert request_once(address, "stop") == "stopping"
        program.wait(HANG_SECONDS)


def test_the_ported_program_answers_lines_that_are_no_json() -> None:
    with running("stream_handler.py") as (address, _), LineClient(Address(*address)) as client:
        client.send(b"abc\nquit\nunheard\n")
        assert [client.read_line(), client.read_line(), client.read_line()] == [b"ABC", b"QUIT", b""]


@pytest.mark.parametrize("program", PROGRAMS, ids=[path.name for path in PROGRAMS])
def test_an_example_has_fewer_than_40_lines(program: Path) -> None:
    assert len(program.read_text().splitlines()) < 40
