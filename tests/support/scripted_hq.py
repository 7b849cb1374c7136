"""A small HQ on real sockets that does to a till what a test tells it to: refuse, cut, lose answers, be away."""

from __future__ import annotations

import hashlib
import socket
import socketserver
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from uuid import UUID

from msgspec import UNSET, UnsetType

from pos_client.protocol import wire
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.framing import MAX_FRAME_BYTES
from pos_client.protocol.messages import (
    CHAIN_START,
    ByeParams,
    ByeResult,
    HelloParams,
    HelloResult,
    Limits,
    Message,
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


@dataclass
class Terminal:
    epoch: int = 0
    head: str = CHAIN_START
    lineages: dict[UUID, dict[int, UUID]] = field(default_factory=dict)


@dataclass
class Speaker:
    terminal: Terminal
    epoch: int
    lineage: UUID | None


class ScriptedHq:
    """One lock guards everything; `faults` are used up by posts, one each, before posts are answered properly."""

    def __init__(
        self, *, unix: Path | None = None, max_postings: int = 500, max_frame_bytes: int = MAX_FRAME_BYTES
    ) -> None:
        self.limits = Limits(max_frame_bytes, max_postings, 1_000, 100)
        self.heartbeat_seconds = 30
        self.faults: deque[Fault] = deque()
        self.poison: set[UUID] = set()  # a frame that holds one kills its connection
        self.refused: dict[UUID, str] = {}  # rejected with this reason
        self.token: str | None = None
        self.frames: list[list[UUID]] = []
        self.posted: dict[UUID, tuple[int, str, bytes]] = {}  # position, digest, body
        self.answered: list[PostingResult] = []
        self.hellos: list[HelloParams] = []
        self.reports: list[OutboxReport] = []
        self.terminals: dict[str, Terminal] = {}
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
        speaker: list[Speaker] = []
        try:
            for line in handler.rfile:
                answer = self._answer(line, speaker)
                if answer is None:
                    return
                handler.wfile.write(answer)
        except OSError:
            return
        finally:
            with self.lock:
                self._connections.discard(handler.connection)

    def _answer(self, line: bytes, speaker: list[Speaker]) -> bytes | None:
        request = wire.decode_frame(line)
        assert isinstance(request, Request)
        request_id = None if isinstance(request.id, UnsetType) else request.id
        fault = self.faults.popleft() if request.method == "post" and self.faults else None
        if fault == "cut":
            return None
        if fault == "garbage":
            return b"HTTP/1.1 400 Bad Request\r\n"
        try:
            if isinstance(fault, RequestError):
                raise fault
            if request.method not in self._METHODS:
                raise RequestError(ErrorCode.method_not_found, f"There is no method {request.method}.")
            with self.lock:
                result = self._METHODS[request.method](self, wire.decode_params(request), speaker)
        except RequestError as error:
            return wire.encode_error(request_id, error)
        if result is None or fault == "lose_answer":
            return None
        return wire.encode_result(request_id, result)

    def _hello(self, params: Any, speaker: list[Speaker]) -> Message:
        assert isinstance(params, HelloParams)
        self.hellos.append(params)
        if self.token is not None and params.token != self.token:
            raise RequestError(ErrorCode.unauthenticated, "This token is not known.")
        terminal = self.terminals.setdefault(params.terminal, Terminal())
        terminal.epoch += 1
        lineage = None if isinstance(params.lineage, UnsetType) else params.lineage
        speaker[:] = [Speaker(terminal, terminal.epoch, lineage)]
        self._hear(params.outbox)
        held = {} if lineage is None else terminal.lineages.setdefault(lineage, {})
        acked = next(seq for seq in range(len(held) + 1) if seq + 1 not in held)
        now = datetime.now(UTC)
        who = (params.terminal, "till", "S1", terminal.epoch, terminal.head, acked)
        return HelloResult("scripted", 1, *who, now, self.heartbeat_seconds, self.limits)  # type: ignore[arg-type]

    def _post(self, params: Any, speaker: list[Speaker]) -> Message | None:
        assert isinstance(params, PostParams)
        who = speaker[0]
        self.frames.append([item.id for item in params.postings])
        if self.poison & set(self.frames[-1]):
            return None
        if who.epoch != who.terminal.epoch:
            raise RequestError(ErrorCode.fenced, "Another connection spoke since.", epoch=who.terminal.epoch)
        seqs = {} if who.lineage is None else who.terminal.lineages.setdefault(who.lineage, {})
        self._assert_no_fork(params, who.terminal, seqs)
        results = [self._post_item(item, who.terminal, seqs) for item in params.postings]
        self.answered += results
        return PostResult(results, who.terminal.head, len(self.posted), [])

    def _assert_no_fork(self, params: PostParams, terminal: Terminal, seqs: dict[int, UUID]) -> None:
        new = [item for item in params.postings if item.id not in self.posted]
        taken = [item for item in new if isinstance(item.seq, int) and seqs.get(item.seq, item.id) != item.id]
        if taken or (new and params.parent not in (UNSET, terminal.head)):
            raise RequestError(ErrorCode.fork, "This outbox has parted from HQ.", parent=terminal.head, seq=0)

    def _post_item(self, item: PostItem, terminal: Terminal, seqs: dict[int, UUID]) -> PostingResult:
        body = bytes(item.body)
        digest = hashlib.sha256(body).hexdigest()
        if isinstance(item.seq, int):
            seqs[item.seq] = item.id
        if item.id in self.refused:
            return PostingResult(item.id, "rejected", code="refused", reason=self.refused[item.id])
        if item.id in self.posted:
            position, known, _ = self.posted[item.id]
            return PostingResult(item.id, "duplicate" if known == digest else "conflict", position)
        self.posted[item.id] = (len(self.posted) + 1, digest, body)
        link = bytes.fromhex(terminal.head) + item.id.bytes + bytes.fromhex(digest)
        terminal.head = hashlib.sha256(link).hexdigest()
        return PostingResult(item.id, "posted", len(self.posted), datetime.now(UTC))

    def _ping(self, params: Any, speaker: list[Speaker]) -> Message:
        assert isinstance(params, PingParams)
        self._hear(params.outbox)
        return PingResult(datetime.now(UTC))

    def _bye(self, params: Any, speaker: list[Speaker]) -> Message:
        assert isinstance(params, ByeParams)
        return ByeResult("balanced", [])

    def _stock(self, params: Any, speaker: list[Speaker]) -> Message:
        assert isinstance(params, StockParams)
        return StockResult([StockItem("milk", "S1", 3, 0, 3, 0)], len(self.posted), {})

    def _discover(self, params: Any, speaker: list[Speaker]) -> Message:
        assert isinstance(params, NoParams)
        return NoParams()

    def _hear(self, report: OutboxReport | UnsetType) -> None:
        if not isinstance(report, UnsetType):
            self.reports.append(report)

    _METHODS: dict[str, Callable[[ScriptedHq, Any, list[Speaker]], Message | None]] = {  # noqa: RUF012
        "hello": _hello,
        "post": _post,
        "ping": _ping,
        "bye": _bye,
        "stock": _stock,
        "rpc.discover": _discover,
    }
