"""A small HQ on real sockets that does to a till what a test tells it to: refuse, cut, lose answers, be away."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from uuid import UUID

from msgspec import UnsetType

from pos_client.faultkit.memory_hq import MemoryHq, TillSession
from pos_client.protocol import wire
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.framing import MAX_FRAME_BYTES
from pos_client.protocol.messages import (
    HelloParams,
    HelloResult,
    Limits,
    NoParams,
    OutboxReport,
    PingParams,
    PingResult,
    PostingResult,
    PostItem,
    PostParams,
    PostResult,
    Request,
    StockItem,
    StockParams,
    StockResult,
)

Fault = Literal["cut", "lose_answer", "garbage"] | RequestError
"""What happens to one `post`: cut before it is executed, executed but not answered, answered with nonsense, refused."""


class ConnectionClosed(Exception):
    """HQ closes the connection without an answer."""


class ScriptedHq(MemoryHq):
    """One lock guards everything; `faults` are used up by posts, one each, before posts are answered properly."""

    def __init__(
        self, *, unix: Path | None = None, max_postings: int = 500, max_frame_bytes: int = MAX_FRAME_BYTES
    ) -> None:
        super().__init__(Limits(max_frame_bytes, max_postings, 1_000, 100), heartbeat_seconds=30)
        self.faults: deque[Fault] = deque()
        self.poison: set[UUID] = set()  # a frame that holds one kills its connection
        self.rejects: dict[UUID, str] = {}  # rejected with this reason
        self.token: str | None = None
        self.frames: list[list[UUID]] = []
        self.answered: list[PostingResult] = []
        self.hellos: list[HelloParams] = []
        self.reports: list[OutboxReport] = []
        self.lock = threading.RLock()
        self._connections: set[socket.socket] = set()
        self._server: socketserver.ThreadingTCPServer | None = None
        self._unix = unix
        self._port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}" if self._unix is None else f"unix:{self._unix}"

    def start(self) -> None:
        """Listen, again on the same port after `stop`."""
        hq = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                hq._converse(self)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            address_family = socket.AF_INET if hq._unix is None else socket.AF_UNIX

        if self._unix is None:
            self._server = Server(("127.0.0.1", self._port), Handler)
            self._port = self._server.server_address[1]
        else:
            self._server = Server(str(self._unix), Handler)  # type: ignore[arg-type]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Be away: stop listening and hang up on everybody."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        self.hang_up()

    def hang_up(self) -> None:
        with self.lock:
            connections = [*self._connections]
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                self._connections.discard(connection)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ------------------------------------------------------------------ the conversation

    def _converse(self, handler: socketserver.StreamRequestHandler) -> None:
        with self.lock:
            self._connections.add(handler.connection)
        session: TillSession | None = None
        try:
            for line in handler.rfile:
                answer, session = self._answer(line, session)
                if answer is None:
                    return
                handler.wfile.write(answer)
        except OSError:
            return
        finally:
            with self.lock:
                self._connections.discard(handler.connection)

    def _answer(self, line: bytes, session: TillSession | None) -> tuple[bytes | None, TillSession | None]:
        request = wire.decode_frame(line)
        assert isinstance(request, Request)
        request_id = None if isinstance(request.id, UnsetType) else request.id
        fault = self.faults.popleft() if request.method == "post" and self.faults else None
        if fault == "cut":
            return None, session
        if fault == "garbage":
            return b"HTTP/1.1 400 Bad Request\r\n", session
        try:
            if isinstance(fault, RequestError):
                raise fault
            if request.method == "rpc.discover":
                return wire.encode_result(request_id, NoParams()), session
            with self.lock:
                result, session = self.answer(request, session)
        except RequestError as error:
            return wire.encode_error(request_id, error), session
        except ConnectionClosed:
            return None, session
        return None if fault == "lose_answer" else wire.encode_result(request_id, result), session

    def hello(self, params: HelloParams) -> tuple[HelloResult, TillSession]:
        self.hellos.append(params)
        if self.token is not None and params.token != self.token:
            raise RequestError(ErrorCode.unauthenticated, "This token is not known.")
        self._hear(params.outbox)
        return super().hello(params)

    def post(self, params: PostParams, session: TillSession) -> PostResult:
        self.frames.append([item.id for item in params.postings])
        if self.poison & set(self.frames[-1]):
            raise ConnectionClosed
        result = super().post(params, session)
        self.answered += result.results
        return result

    def post_item(self, item: PostItem, session: TillSession) -> PostingResult:
        if item.id in self.rejects:
            return PostingResult(item.id, "rejected", code="refused", reason=self.rejects[item.id])
        return super().post_item(item, session)

    def ping(self, params: PingParams) -> PingResult:
        self._hear(params.outbox)
        return super().ping(params)

    def stock(self, _params: StockParams) -> StockResult:
        return StockResult([StockItem("milk", "S1", 3, 0, 3, 0)], len(self.ledger), {})

    def _hear(self, report: OutboxReport | UnsetType) -> None:
        if not isinstance(report, UnsetType):
            self.reports.append(report)
