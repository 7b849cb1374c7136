"""A webhook's receiver in a test: takes events on loopback, and answers as the test says."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from msgspec.json import decode

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True, slots=True)
class Received:
    """A request that was received."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = decode(self.body)
        return event


@dataclass
class Receiver:
    """What was received whole, in order; `answer` is the status and what follows it. `broken_off`: how many not."""

    url: str = ""
    answer: tuple[int, Mapping[str, str], bytes] = (204, {}, b"")
    hold: threading.Event = field(default_factory=threading.Event)
    received: list[Received] = field(default_factory=list)
    broken_off: int = 0


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that answers at once; where `hold` is cleared, only once it is set."""
    receiver = Receiver()
    receiver.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            body = self.rfile.read(size)
            if len(body) < size:  # the sender was killed before it had sent all
                receiver.broken_off += 1
                return
            receiver.received.append(Received({k.lower(): v for k, v in self.headers.items()}, body))
            receiver.hold.wait()
            try:
                self._answer(*receiver.answer)
            except OSError:  # the sender has hung up, or was killed
                receiver.broken_off += 1

        def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/alerts"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()
