"""What waits for the database holds up nobody else, and what nobody waits for any more is not asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from inventory_server.app import Application, openrpc_document
from inventory_server.config import BATCH_THREADS, LARGE_FRAME_BYTES, QUESTION_THREADS, Settings
from inventory_server.domain.requests import Stock, StoreRequest
from inventory_server.resources import schema_path
from pos_client.protocol.address import Address
from tests.support.edge import LineClient, MemoryStore
from tests.support.lines import SOON
from tests.support.waiting import HANG_SECONDS, wait_until

QUESTION = json.dumps({"id": 2, "method": "stock", "params": {}}).encode()
BATCH = b"[" + b",".join([QUESTION] * 3) + b"]"
PING = b'{"id": 3, "method": "ping"}'
LARGE_PING = PING + b" " * LARGE_FRAME_BYTES


class Gate:
    """A store whose questions wait until they are let."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.waiting: list[StoreRequest] = []
        self.store = MemoryStore(self._hold)

    def _hold(self, request: StoreRequest) -> None:
        if isinstance(request, Stock):
            self.waiting.append(request)
            assert self.opened.wait(HANG_SECONDS)

    def held(self, count: int) -> None:
        """Return once so many questions wait."""
        wait_until(lambda: len(self.waiting) == count)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def application(gate: Gate, exits: ExitStack) -> Application:
    settings = Settings(half_closed_seconds=SOON, large_frames_max=1, handler_threads=1)
    application = Application(settings, gate.store, [Address("127.0.0.1", 0)], dev=True)
    application.start()
    exits.callback(application.stop)
    exits.callback(gate.opened.set)
    return application


@pytest.fixture
def exits() -> Iterator[ExitStack]:
    with ExitStack() as exits:
        yield exits


def ask(application: Application, exits: ExitStack, frame: bytes) -> LineClient:
    """A till that has sent `frame`, whose answer is not read."""
    client = exits.enter_context(LineClient(application.addresses[0]))
    assert "result" in client.call("hello", terminal=f"till-{client.socket.getsockname()[1]}")
    client.send(frame + b"\n")
    return client


def error_of(client: LineClient) -> Any:
    answer = json.loads(client.read_line())
    return answer["error"]["data"]


def test_batches_hold_up_neither_questions_nor_large_frames(
    application: Application, gate: Gate, exits: ExitStack
) -> None:
    batches = [ask(application, exits, BATCH) for _ in range(BATCH_THREADS + 1)]
    gate.held(BATCH_THREADS)
    assert b"result" in ask(application, exits, LARGE_PING).read_line()
    question = ask(application, exits, QUESTION)
    gate.held(BATCH_THREADS + 1)
    gate.opened.set()
    assert all(len(json.loads(client.read_line())) == 3 for client in batches)
    assert b"result" in question.read_line()


def test_large_frames_without_a_slot_wait_in_order_and_on_no_thread(
    application: Application, gate: Gate, exits: ExitStack
) -> None:
    first = ask(application, exits, BATCH + b" " * LARGE_FRAME_BYTES)
    gate.held(1)
    others = [ask(application, exits, LARGE_PING) for _ in range(3)]
    wait_until(lambda: len(application._large_frames._waiting) == 3)
    before = threading.active_count()
    others += [ask(application, exits, LARGE_PING) for _ in range(5)]
    wait_until(lambda: len(application._large_frames._waiting) == 8)
    assert threading.active_count() == before
    assert b"result" in ask(application, exits, PING).read_line()
    others.pop(0).close()
    wait_until(lambda: len(application._large_frames._waiting) == 7, "the place of one that left to be free")
    gate.opened.set()
    assert len(json.loads(first.read_line())) == 3
    assert all(b"result" in other.read_line() for other in others)


@pytest.mark.parametrize(("frame", "threads"), [(QUESTION, QUESTION_THREADS), (BATCH, BATCH_THREADS)])
def test_what_was_asked_by_tills_that_left_is_not_asked(
    application: Application, gate: Gate, exits: ExitStack, frame: bytes, threads: int
) -> None:
    asked = [ask(application, exits, frame) for _ in range(threads)]
    gate.held(threads)
    for _ in range(3):
        ask(application, exits, frame).close()
    wait_until(lambda: application.connections == threads)
    gate.opened.set()
    assert all(b"result" in client.read_line() for client in asked)
    assert b"result" in ask(application, exits, frame).read_line()
    assert len(gate.waiting) == (threads + 1) * frame.count(b"stock")


@pytest.mark.parametrize("frame", [QUESTION, BATCH])
def test_more_questions_than_may_wait_are_answered_busy(
    monkeypatch: pytest.MonkeyPatch, gate: Gate, exits: ExitStack, frame: bytes
) -> None:
    for name in ("QUESTION_THREADS", "BATCH_THREADS", "QUESTIONS_WAITING_MAX"):
        monkeypatch.setattr(f"inventory_server.asking.{name}", 1)
    application = Application(Settings(), gate.store, [Address("127.0.0.1", 0)], dev=True)
    application.start()
    exits.callback(application.stop)
    first = ask(application, exits, frame)
    gate.held(1)
    second, refused = ask(application, exits, frame), ask(application, exits, frame)
    assert error_of(refused) == {"name": "busy", "retryable": True, "retry_after_ms": 500}
    refused.send(PING + b"\n")
    assert b"result" in refused.read_line()
    gate.opened.set()
    assert b"result" in first.read_line()
    assert b"result" in second.read_line()


def test_the_openrpc_document_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    document = openrpc_document()
    monkeypatch.setattr("inventory_server.app.schema_path", lambda _: pytest.fail("it is read again"))
    assert openrpc_document() is document
    assert json.loads(document) == json.loads(schema_path("openrpc.json").read_bytes())
