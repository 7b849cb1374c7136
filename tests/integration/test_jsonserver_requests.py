"""The server of one request a connection: text for text, JSON for JSON."""

import threading
from typing import Any

import pytest

from inventory_server.jsonserver import RequestServer
from tests.support.lines import connect
from tests.support.waiting import HANG_SECONDS, wait_until


class Times(RequestServer):
    def handle_request(self, request: Any) -> Any:
        if request == "lines":
            return "one\ntwo"
        return f"got {request}" if isinstance(request, str) else {"got": request}


def asked(server: RequestServer, line: bytes) -> bytes:
    with connect(server) as client:
        client.send(line + b"\n")
        reply = client.read_line()
        assert client.read_line() == b"", "the server hangs up"
        return reply


def test_a_request_server_answers_text_with_text_and_json_with_json(caplog: pytest.LogCaptureFixture) -> None:
    with Times("localhost:0") as server:
        assert asked(server, "\nwie spät?".encode()) == "got wie spät?".encode()
        assert asked(server, b'{"a":[1]}') == b'{"got":{"a":[1]}}'
        assert asked(server, b"{") == b'{"error":"expected a JSON text: Input data was truncated"}'
        assert asked(server, b"\xff").startswith(b'{"error":"expected a line of UTF-8 text: ')
        assert asked(server, b"lines") == b""
        assert "expected a reply in one line to a request in text, got 2 lines" in caplog.text


def test_a_function_may_answer_and_all_requests_may_be_text() -> None:
    with RequestServer("localhost:0", handle_request=lambda request: request * 2, text_only=True) as server:
        assert asked(server, b"[1]") == b"[1][1]"
    with RequestServer("localhost:0", handle_request=lambda request: request * 2) as server:
        assert asked(server, b"[1]") == b"[1,1]"


def test_several_request_servers_run_side_by_side() -> None:
    with Times("localhost:0") as one, Times("localhost:0") as two:
        threads = [threading.Thread(target=asked, args=(server, b"x")) for server in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANG_SECONDS)
    served = Times("localhost:0")
    running = threading.Thread(target=served.run)
    running.start()
    wait_until(lambda: len(served.addresses) > 0)
    assert asked(served, b"x") == b"got x"
    served.stop()
    running.join(HANG_SECONDS)
