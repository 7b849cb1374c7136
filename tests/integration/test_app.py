"""The whole edge over real sockets: listeners, sessions and a store in memory, put together as in production."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory_server.app import Application, openrpc_document
from inventory_server.clock import now_microseconds
from inventory_server.config import LARGE_FRAME_BYTES, Settings
from inventory_server.domain.door import OnOutcome, Progress, no_progress
from inventory_server.domain.requests import Change, StoreRequest
from inventory_server.store.administration import Settled
from pos_client.protocol.address import Address
from pos_client.protocol.methods import METHODS
from tests.support.edge import ID, SALE, LineClient, MemoryStore
from tests.support.lines import SOON
from tests.support.waiting import HANG_SECONDS, wait_until

POST = {"postings": [{"id": ID, "body": SALE}]}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def application(store: MemoryStore, tmp_path: Path) -> Iterator[Application]:
    application = Application(
        Settings(max_connections=50, linger_seconds=int(HANG_SECONDS)),
        store,
        [Address("127.0.0.1", 0), Address.unix(str(tmp_path / "hq.sock"))],
        dev=True,
        new_incident_id=lambda: "incident-1",
    )
    application.start()
    yield application
    application.stop()


@pytest.fixture
def client(application: Application) -> Iterator[LineClient]:
    with LineClient(application.addresses[0]) as client:
        yield client


def test_a_day_at_the_till(application: Application, client: LineClient, store: MemoryStore) -> None:
    hello = client.call("hello", terminal="till-1", location="north")["result"]
    assert hello["location"] == "north"
    assert hello["limits"]["max_connections"] == 50
    assert client.call("post", **POST)["result"]["results"][0]["status"] == "posted"
    assert client.call("stock")["result"]["position"] == 1
    assert "server_time" in client.call("ping")["result"]
    client.send(b"bye\n")
    assert json.loads(client.read_line())["result"]["status"] == "balanced"
    assert client.read_line() == b""
    assert len(store.posted) == 1


def test_a_unix_socket_peer_needs_no_token_in_development(application: Application) -> None:
    with LineClient(application.addresses[1]) as client:
        assert client.call("hello", terminal="till-1")["result"]["role"] == "till"


def test_without_development_mode_a_token_is_needed(store: MemoryStore) -> None:
    application = Application(Settings(), store, [Address("127.0.0.1", 0)])
    application.start()
    with LineClient(application.addresses[0]) as client:
        assert client.call("hello", terminal="till-1")["error"]["code"] == -32001
        assert client.call("hello", terminal="till-1", token="right")["result"]["terminal"] == "till-1"
    application.stop()
    assert store.closed


def test_discovery_answers_with_the_document_on_one_line(client: LineClient) -> None:
    document = client.call("rpc.discover")["result"]
    assert {method["name"] for method in document["methods"]} == set(METHODS)
    assert document == json.loads(openrpc_document())


def test_what_the_server_itself_refuses_is_a_json_rpc_error(store: MemoryStore) -> None:
    limits = Settings(max_connections=1, max_frame_bytes=10_000, linger_seconds=int(HANG_SECONDS))
    application = Application(limits, store, [Address("127.0.0.1", 0)])
    application.start()
    with LineClient(application.addresses[0]) as first:
        first.call("hello", terminal="till-1", token="right")
        with LineClient(application.addresses[0]) as second:
            busy = json.loads(second.read_line())
        assert (busy["id"], busy["error"]["code"]) == (None, -32005)
        assert busy["error"]["data"] == {"name": "busy", "retryable": True, "retry_after_ms": 500}
        first.send(b"x" * 10_001)
        too_large = json.loads(first.read_line())
        assert (too_large["id"], too_large["error"]["code"]) == (None, -32007)
        assert too_large["error"]["data"] == {"name": "too_large", "retryable": False, "limit": 10_000}
    application.stop()


def test_who_says_no_hello_is_refused_with_the_next_step(store: MemoryStore) -> None:
    application = Application(Settings(newcomer_seconds=SOON), store, [Address("127.0.0.1", 0)])
    application.start()
    for sent, reason in (
        (b"", "the client did not identify itself within 0.2 seconds"),
        (b"x" * 8_192, "8192 bytes of a frame came before the client had identified itself"),
    ):
        with LineClient(application.addresses[0]) as client:
            client.send(sent)
            error = json.loads(client.read_line())["error"]
            assert error["message"] == f"Say hello first, in one short line, soon after connecting: {reason}."
            assert error["data"] == {"name": "unauthenticated", "retryable": False, "expected": "hello"}
    application.stop()


def test_everything_may_come_in_one_burst(store: MemoryStore) -> None:
    application = Application(Settings(), store, [Address("127.0.0.1", 0)])
    application.start()
    hello = {"id": 1, "method": "hello", "params": {"terminal": "till-1", "token": "right"}}
    posting = {"id": ID, "body": {**SALE, "ext": {"note": "x" * 200_000}}}
    post = {"id": 2, "method": "post", "params": {"postings": [posting]}}
    with LineClient(application.addresses[0]) as client:
        client.send(b"".join(json.dumps(each).encode() + b"\n" for each in (hello, post)) + b"BYE\n")
        said = [json.loads(client.read_line()) for _ in range(3)]
    assert said[1]["result"]["results"][0]["status"] == "posted"
    assert said[2]["result"]["status"] == "balanced"
    application.stop()


def test_wrong_tokens_are_refused_in_time_and_the_right_one_is_taken(store: MemoryStore) -> None:
    application = Application(Settings(), store, [Address("127.0.0.1", 0)])
    application.start()
    with LineClient(application.addresses[0]) as client:
        for _ in range(2):
            assert client.call("hello", terminal="till-1", token="wrong")["error"]["code"] == -32001
        assert "result" in client.call("hello", terminal="till-1", token="right")
    application.stop()
    assert [type(work).__name__ for work in store.works] == ["CheckToken"] * 3 + ["Hello"]


def test_the_clock_counts_microseconds() -> None:
    assert 1_700_000_000_000_000 < now_microseconds() < 10_000_000_000_000_000


def test_a_failing_store_is_an_incident_and_the_connection_lives(
    client: LineClient, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    client.call("hello", terminal="till-1")

    def fail(work: StoreRequest) -> None:
        raise ZeroDivisionError

    store.before = fail
    assert client.call("post", **POST)["error"]["data"]["incident"] == "incident-1"
    assert "incident-1" in caplog.text
    store.before = lambda _: None
    assert client.call("post", **POST)["result"]["results"][0]["status"] == "posted"


class HeldStore(MemoryStore):
    """Carries out what is submitted only once the test does."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[tuple[Change, OnOutcome | None]] = []

    def submit(self, change: Change, then: OnOutcome | None = None, progress: Progress = no_progress) -> Settled:
        self.held.append((change, then))
        return Settled(None, None)

    def carry_out(self, at: int) -> None:
        """What was submitted as number `at`, from 0."""
        super().submit(*self.held[at])


def test_draining_turns_new_posts_away_and_answers_those_in_flight() -> None:
    store = HeldStore()
    application = Application(Settings(), store, [Address("127.0.0.1", 0)], dev=True)
    application.start()
    with LineClient(application.addresses[0]) as early, LineClient(application.addresses[0]) as late:
        for at, client in enumerate((early, late)):
            client.send(b'{"id":1,"method":"hello","params":{"terminal":"till-1"}}\n')
            wait_until(lambda at=at: len(store.held) == at + 1)  # type: ignore[misc]
            store.carry_out(at)
            assert b"result" in client.read_line()
        early.send(json.dumps({"id": 5, "method": "post", "params": POST}).encode() + b"\n")
        wait_until(lambda: len(store.held) == 3)
        application.drain()
        error = late.call("post", **POST)["error"]
        assert error["data"] == {"name": "draining", "retryable": True, "retry_after_ms": 500}
        stopped: list[int] = []
        stopping = threading.Thread(target=lambda: stopped.append(application.stop()))
        stopping.start()
        assert late.read_line() == b""
        assert not store.closed, "the store serves until the last answer is out"
        store.carry_out(2)
        assert json.loads(early.read_line())["result"]["results"][0]["status"] == "posted"
        assert early.read_line() == b""
        stopping.join(HANG_SECONDS)
        assert stopped == [0]
    assert store.closed


def test_a_till_that_left_releases_the_slot_of_its_large_frame_once() -> None:
    """Its frame is committed later all the same."""
    store = HeldStore()
    limits = Settings(large_frames_max=1, half_closed_seconds=SOON)
    application = Application(limits, store, [Address("127.0.0.1", 0)], dev=True)
    application.start()
    large = json.dumps({"id": 2, "method": "post", "params": POST}).encode() + b" " * LARGE_FRAME_BYTES + b"\n"
    for leaves in (True, False):
        with LineClient(application.addresses[0]) as client:
            said = len(store.held)
            client.send(b'{"id":1,"method":"hello","params":{"terminal":"till-1"}}\n')
            wait_until(lambda said=said: len(store.held) == said + 1)  # type: ignore[misc]
            store.carry_out(said)
            assert b"result" in client.read_line()
            client.send(large)
            wait_until(lambda said=said: len(store.held) == said + 2)  # type: ignore[misc]
            if not leaves:
                for at in (1, 3):  # the first one's answer finds nobody
                    store.carry_out(at)
                assert json.loads(client.read_line())["result"]["results"][0]["status"] == "posted"
    assert application.stop() == 0


def test_a_large_frame_that_never_gets_a_slot_holds_no_connection() -> None:
    store = HeldStore()
    limits = Settings(large_frames_max=1, frame_seconds=3)
    application = Application(limits, store, [Address("127.0.0.1", 0)], dev=True)
    application.start()
    ping = b'{"id":1,"method":"ping"}' + b" " * LARGE_FRAME_BYTES + b"\n"
    hello = b'{"id":1,"method":"hello","params":{"terminal":"till-1"}}' + ping[-LARGE_FRAME_BYTES:]
    with LineClient(application.addresses[0]) as first, LineClient(application.addresses[0]) as second:
        first.send(hello)
        wait_until(lambda: len(store.held) == 1)
        second.send(ping)
        assert second.read_line() == b""
        store.carry_out(0)
        assert b"result" in first.read_line()
    with LineClient(application.addresses[0]) as third:
        third.send(ping)
        assert b"server_time" in third.read_line()
    assert application.stop() == 0


def test_many_tills_post_at_once_and_each_id_once(application: Application, store: MemoryStore) -> None:
    def trade(number: int, statuses: list[str]) -> None:
        with LineClient(application.addresses[0]) as client:
            client.call("hello", terminal=f"till-{number}")
            for at in range(20):
                sale: dict[str, Any] = {"id": f"{ID[:-4]}{at:04x}", "body": SALE}
                statuses.append(client.call("post", postings=[sale])["result"]["results"][0]["status"])

    statuses: list[str] = []
    tills = [threading.Thread(target=trade, args=(number, statuses)) for number in range(8)]
    for till in tills:
        till.start()
    for till in tills:
        till.join(HANG_SECONDS)
    assert statuses == ["posted"] * 160
    assert len(store.posted) == 20


# ---------------------------------------------------------------------------------- anything at all

_pieces = st.lists(
    st.binary(max_size=40)
    | st.sampled_from([b"\n", b"\r\n", b'{"method":', b'"ping"', b"}", b"[", b"]", b'{"id":1,', b"BYE"]),
    max_size=30,
).filter(lambda pieces: not b"".join(pieces).startswith(b"JSN1"))  # whose replies are no lines


def _answers_until_end(client: LineClient, sent: bytes) -> None:
    """Each line in `sent` has at most one JSON answer, and then the server answers or closes."""
    client.send(sent + b'\n{"id":"end","method":"ping"}\n')
    client.socket.shutdown(1)
    seen = 0
    while line := client.read_line():
        answer = json.loads(line)
        seen += 1
        if isinstance(answer, dict) and answer.get("id") == "end":
            break
    assert seen <= sent.count(b"\n") + 2


@settings(max_examples=150)
@given(_pieces)
def test_any_bytes_get_answers_or_a_close_and_never_a_hang(fuzzed: Any, pieces: list[bytes]) -> None:
    with LineClient(fuzzed) as client:
        _answers_until_end(client, b"".join(pieces))


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Any]:
    application = Application(Settings(linger_seconds=1), MemoryStore(), [Address("127.0.0.1", 0)], dev=True)
    application.start()
    yield application.addresses[0]
    assert application.stop() == 0
