"""The fault kit's HQ: it implements the protocol correctly, and is as unreliable as a network can be.

Its ledger is in memory. Its answers are always true; the faults are dropped requests, late or lost answers, and posts
that are refused for a moment.
"""

from __future__ import annotations

import random
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UnsetType

from pos_client.faultkit.limits import DELAY_SECONDS, HEARTBEAT_SECONDS, RETRY_AFTER_MS
from pos_client.faultkit.memory_hq import MemoryHq, TillSession
from pos_client.protocol import wire
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.framing import MAX_FRAME_BYTES
from pos_client.protocol.limits import MAX_LINES
from pos_client.protocol.messages import (
    ByeParams,
    ByeResult,
    HelloParams,
    HelloResult,
    Limits,
    PostParams,
    PostResult,
    Request,
)

FAULTS = {
    "drop_request": "the connection is closed before the post is executed",
    "drop_answer": "the post is executed, its answer never arrives",
    "cut_answer": "the post is executed, half of its answer arrives",
    "delay": "the answer comes late",
    "duplicate": "the post arrives twice, as after a lost packet",
    "busy": "the post is refused for a moment, with `busy` or `draining`",
    "fenced": "another device connects as this till",
    "kill": "the till program is killed before its post is answered",
}
"""What can happen to a `post`, by name."""
LIMITS = Limits(max_frame_bytes=MAX_FRAME_BYTES, max_postings=50, max_lines=MAX_LINES, max_connections=50)
"""Fewer postings per frame than usual, to catch a program that ignores the limits of `hello`."""


class ConnectionDropped(Exception):
    """End the connection, after some last bytes."""

    def __init__(self, last_bytes: bytes = b"") -> None:
        super().__init__("connection dropped")
        self.last_bytes = last_bytes


class UnreliableHq(MemoryHq):
    """Listens on a free port of this machine until `close`. `chances` is the probability of each fault per post.

    While `away` is set, connections are closed at once. `kill` is called to kill the till program. Any thread may read
    `ledger`, `refused` and `done`, which only ever grow.
    """

    def __init__(self, rng: random.Random, kill: Callable[[], None]) -> None:
        super().__init__(LIMITS, HEARTBEAT_SECONDS)
        self.chances: Mapping[str, float] = {}
        self.away = threading.Event()
        self.done: Counter[str] = Counter()
        self._random = rng
        self._kill = kill
        self._lock = threading.Lock()  # guards all of the above; slow work happens outside it
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hq = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="faultkit")
        self._thread.start()

    @property
    def address(self) -> str:
        """Where the till program connects."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def close(self) -> None:
        """Stop listening; open connections end with their peers."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def hello(self, params: HelloParams) -> tuple[HelloResult, TillSession]:
        """Welcome a till."""
        with self._lock:
            return super().hello(params)

    def bye(self, params: ByeParams, session: TillSession) -> ByeResult:
        """Compare control totals."""
        with self._lock:
            return super().bye(params, session)

    # ------------------------------------------------------------------------------ posts

    def post(self, params: PostParams, session: TillSession) -> PostResult:
        """Post a frame, or do to it what the chances say; ConnectionDropped to end the connection."""
        fault = self._choose()
        if fault == "drop_request":
            raise ConnectionDropped
        if fault == "busy":
            code = self._random.choice((ErrorCode.busy, ErrorCode.draining))
            raise RequestError(code, "Not now.", retry_after_ms=self._random.randint(*RETRY_AFTER_MS))
        with self._lock:
            if fault == "fenced":
                session.terminal.epoch += 1
            result = super().post(params, session)
            if fault == "duplicate":
                result = super().post(params, session)
        return self._deliver(result, fault)

    def _deliver(self, result: PostResult, fault: str | None) -> PostResult:
        if fault == "kill":
            self._kill()
            raise ConnectionDropped
        if fault == "drop_answer":
            raise ConnectionDropped
        if fault == "cut_answer":
            line = wire.encode_result(None, result)
            raise ConnectionDropped(line[: len(line) // 2])
        if fault == "delay":
            time.sleep(self._random.uniform(0, DELAY_SECONDS))
        return result

    def _choose(self) -> str | None:
        with self._lock:
            for name, chance in self.chances.items():
                if self._random.random() < chance:
                    self.done[name] += 1
                    return name
        return None


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    hq: UnreliableHq


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        """Answer the lines of one connection."""
        session: TillSession | None = None
        hq = self.server.hq
        try:
            while not hq.away.is_set() and (line := self.rfile.readline(MAX_FRAME_BYTES)).strip():
                if hq.away.is_set():
                    return
                reply, session = self._answer(hq, line, session)
                self.wfile.write(reply)
        except ConnectionDropped as dropped:
            self.wfile.write(dropped.last_bytes)
        except OSError:
            return  # the till program closed the connection, or was killed

    def _answer(self, hq: UnreliableHq, line: bytes, session: TillSession | None) -> tuple[bytes, TillSession | None]:
        request: Any = None
        try:
            request = wire.decode_frame(line.strip())
            if not isinstance(request, Request):
                raise RequestError(ErrorCode.invalid_request, "The fault kit accepts one request per frame.")
            result, session = hq.answer(request, session)
        except RequestError as error:
            return wire.encode_error(_id(request), error), session
        return wire.encode_result(_id(request), result), session


def _id(request: Any) -> Any:
    return None if not isinstance(request, Request) or isinstance(request.id, UnsetType) else request.id
