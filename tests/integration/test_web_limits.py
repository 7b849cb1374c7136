"""What a peer can do to the web process, and what it is answered: slow heads and bodies, floods, readers that stall."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inventory_server.config import Settings
from inventory_server.domain.roles import Actor, User
from inventory_server.web import admission, bodies, connections
from inventory_server.web.application import make_application
from inventory_server.web.limits import HEADER_BYTES_MAX
from pos_client.protocol.address import Address
from tests.support.waiting import HANG_SECONDS, wait_until
from tests.support.web import SignedIn, client_of, quick_accounts, serving

LARGE = 2 << 20
REQUEST = b"GET /api/v1/locations HTTP/1.1\r\nHost: hq\r\n\r\n"


class EmptyDoor:
    """A ledger with nothing in it, which may be held up."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.asked = 0

    def ask(self, question: Any, actor: Actor) -> Any:
        self.asked += 1
        assert self.go_on.wait(HANG_SECONDS)
        return []

    def ask_servers(self, question: Any, actor: Any) -> list[Any]:
        return []

    def follow(self, question: Any) -> Any:
        return []

    def change(self, change: Any, actor: User) -> Any:
        return None

    def post(self, speaker: Any, postings: Any) -> Any:
        return None


def make(door: EmptyDoor, **options: Any) -> Starlette:
    def large(request: Request) -> Response:
        return Response(b"x" * LARGE)

    accounts = quick_accounts(door)
    return make_application(
        door, SignedIn("admin"), Settings(), accounts=accounts, pages=[Route("/large", large)], **options
    )


@pytest.fixture
def door() -> EmptyDoor:
    return EmptyDoor()


@pytest.fixture
def web(door: EmptyDoor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """A real server that looks at its connections all the time, and has no patience."""
    monkeypatch.setattr(connections, "WATCH_SECONDS", 0.01)
    with serving(make(door)) as address:
        yield address


def connected(address: Address, sent: bytes = b"") -> socket.socket:
    made = socket.create_connection((address.host, address.port), HANG_SECONDS)
    made.sendall(sent)
    return made


def all_of(peer: socket.socket) -> bytes:
    """All that comes until the server hangs up."""
    found = b""
    try:
        while data := peer.recv(65_536):
            found += data
    except ConnectionResetError:
        return found
    return found


@pytest.mark.parametrize(
    "sent", [b"", b"GET /api", REQUEST[:-2], REQUEST + b"GET"], ids=["nothing", "a", "b", "second"]
)
def test_a_head_that_does_not_end_is_hung_up_on(sent: bytes, web: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.05)
    with connected(web, sent) as peer:
        answered = all_of(peer)
    assert answered.startswith(b"HTTP/1.1 200" if sent.startswith(REQUEST) else b"")
    assert answered.count(b"HTTP/1.1") == sent.startswith(REQUEST)


def test_a_head_that_is_too_long_is_refused(web: Address) -> None:
    with connected(web, REQUEST[:-2] + b"X-Long: " + b"x" * (HEADER_BYTES_MAX + 70_000)) as peer:
        assert all_of(peer).startswith(b"HTTP/1.1 400")


def test_a_slow_body_is_answered_and_hung_up_on(web: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    head = b"POST /api/v1/set_location HTTP/1.1\r\nHost: hq\r\nContent-Length: 100\r\n\r\n{"
    with connected(web, head) as peer:
        answer = all_of(peer)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"name":"invalid_request"' in answer


def test_a_body_that_is_chunked_and_endless_is_refused(web: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    head = b"POST /api/v1/session HTTP/1.1\r\nHost: hq\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connected(web, head + (b"1000\r\n" + b"x" * 0x1000 + b"\r\n") * 4) as peer:
        assert all_of(peer).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("times", [1, 3])
def test_a_reader_that_takes_nothing_is_hung_up_on(times: int, web: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (admission, connections):
        monkeypatch.setattr(module, "STALL_SECONDS", 0.1)
    hung_up = threading.Event()
    abort = connections.GuardedProtocol.abort

    def noted(connection: connections.GuardedProtocol) -> None:
        abort(connection)
        hung_up.set()

    monkeypatch.setattr(connections.GuardedProtocol, "abort", noted)
    with connected(web, b"GET /large HTTP/1.1\r\nHost: hq\r\n\r\n" * times) as peer:
        assert hung_up.wait(HANG_SECONDS)
        assert len(all_of(peer)) < times * LARGE


def test_too_many_connections_cost_the_one_that_waits_longest(
    web: Address, door: EmptyDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 2)
    door.go_on.clear()
    with connected(web, REQUEST) as busy:
        wait_until(lambda: door.asked == 1)
        with connected(web) as idle, connected(web, REQUEST) as late:
            assert all_of(idle) == b""
            wait_until(lambda: door.asked == 2)
            with connected(web) as one_more:
                assert all_of(one_more) == b"", "all others are being answered"
            door.go_on.set()
            for peer in (busy, late):
                assert peer.recv(100).startswith(b"HTTP/1.1 200")


def test_too_many_requests_at_once_are_told_so(door: EmptyDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "REQUESTS_WAITING_MAX", 1)
    door.go_on.clear()
    with client_of(make(door)) as client:
        thread = threading.Thread(target=client.get, args=("/api/v1/locations",))
        thread.start()
        wait_until(lambda: door.asked == 1)
        refused = client.get("/api/v1/locations")
        door.go_on.set()
        thread.join()
        assert (refused.status_code, refused.json()["name"], refused.headers["retry-after"]) == (503, "busy", "1")
        assert client.get("/api/v1/locations").status_code == 200


@pytest.mark.parametrize("name", ["REQUESTS", "PEER_REQUESTS"])
def test_who_asks_too_often_waits(name: str, door: EmptyDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, f"{name}_BURST_MAX", 2.0)
    monkeypatch.setattr(admission, f"{name}_PER_SECOND", 0.001)
    client = client_of(make(door))
    answers = [client.get("/api/v1/locations").status_code for _ in range(3)]
    assert answers == [200, 200, 429]


def test_no_more_is_asked_while_answers_pile_up(door: EmptyDoor, web: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "UNSENT_BYTES_MAX", 1 << 20)
    with connected(web, b"GET /large HTTP/1.1\r\nHost: hq\r\n\r\n") as greedy:
        assert greedy.recv(1)
        with connected(web, REQUEST.replace(b"1.1", b"1.0")) as other:
            assert b"Too many answers wait" in all_of(other)
        received = 1
        while received < LARGE:
            received += len(greedy.recv(65_536))
        with connected(web, REQUEST.replace(b"1.1", b"1.0")) as other:
            assert all_of(other).startswith(b"HTTP/1.1 200")


def test_pages_of_named_origins_alone_may_call_the_api(door: EmptyDoor) -> None:
    client = client_of(make(door, origins=["https://shop.example"]))
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "Authorization"}
    for origin, status in (("https://shop.example", 200), ("https://evil.example", 400)):
        answer = client.options("/api/v1/postings/x", headers={"Origin": origin, **asked})
        assert answer.status_code == status
    assert (
        client.get("/api/v1/locations", headers={"Origin": "https://shop.example"}).headers[
            "access-control-allow-origin"
        ]
        == "https://shop.example"
    )
    plain = client_of(make(door)).get("/api/v1/locations", headers={"Origin": "https://shop.example"})
    assert "access-control-allow-origin" not in plain.headers


def test_an_unexpected_error_tells_an_incident_and_nothing_else(
    door: EmptyDoor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "ask", lambda *_: 1 // 0)
    answer = client_of(make(door)).get("/api/v1/locations")
    assert (answer.status_code, answer.json()["name"]) == (500, "internal")
    assert answer.json()["incident"] in caplog.text
    assert "ZeroDivision" not in answer.text
