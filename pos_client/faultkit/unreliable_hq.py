"""The fault kit's HQ: it implements the protocol correctly, and is as unreliable as a network can be.

Its ledger is in memory. Its answers are always true; the faults are dropped requests, late or lost answers, and posts
that are refused for a moment.
"""

from __future__ import annotations

import hashlib
import random
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import UnsetType

from pos_client.protocol import wire
from pos_client.protocol.errors import BodyError, ErrorCode, RequestError
from pos_client.protocol.framing import MAX_FRAME_BYTES
from pos_client.protocol.limits import MAX_LINES
from pos_client.protocol.messages import (
    CHAIN_START,
    PROTOCOL_VERSION,
    ByeParams,
    ByeResult,
    HelloParams,
    HelloResult,
    Limits,
    Message,
    PingParams,
    PingResult,
    PostingResult,
    PostItem,
    PostParams,
    PostResult,
    Request,
    StockResult,
    Totals,
)

FAULTS = {
    "drop_request": "the connection is cut before the post is executed",
    "drop_answer": "the post is executed, its answer never arrives",
    "cut_answer": "the post is executed, half of its answer arrives",
    "delay": "the answer comes late",
    "duplicate": "the post arrives twice, as after a lost packet",
    "busy": "the post is refused for a moment, with `busy` or `draining`",
    "fenced": "another device connects as this till",
    "kill": "the till program is killed before its post is answered",
}
"""What can happen to a `post`, by name."""
DELAY_SECONDS = 1.5
"""Longest delay of an answer: longer than a hasty program's time-out."""
HEARTBEAT_SECONDS = 5
"""What `hello` asks for: an idle program shows up within one case."""
RETRY_AFTER_MS = (20, 300)
"""The range of waits that `busy` and `draining` ask for."""
LIMITS = Limits(max_frame_bytes=MAX_FRAME_BYTES, max_postings=50, max_lines=MAX_LINES, max_connections=50)
"""Fewer postings per frame than usual, to catch a program that ignores the limits of `hello`."""


class Held(NamedTuple):
    """A posting in the ledger."""

    position: int
    digest: bytes
    reference: str | None
    recorded_at: datetime


@dataclass
class _Terminal:
    epoch: int = 0
    head: bytes = bytes.fromhex(CHAIN_START)
    seqs: dict[UUID, dict[int, UUID]] = field(default_factory=dict)

    def acked_seq(self, lineage: UUID | None) -> int:
        """The highest seq of a lineage up to which there is no hole."""
        taken = self.seqs.get(lineage, {}) if lineage else {}
        acked = 0
        while acked + 1 in taken:
            acked += 1
        return acked


@dataclass
class _Speaker:
    terminal: _Terminal
    epoch: int
    lineage: UUID | None


class ConnectionCut(Exception):
    """Cut the connection, after some last bytes."""

    def __init__(self, last_words: bytes = b"") -> None:
        super().__init__("cut")
        self.last_words = last_words


class UnreliableHq:
    """Listens on a free port of this machine until `close`. `chances` is the probability of each fault per post.

    While `away` is set, connections are closed at once. `kill` is called to kill the till program. Any thread may read
    `ledger`, `refused` and `done`, which only ever grow.
    """

    def __init__(self, rng: random.Random, kill: Callable[[], None]) -> None:
        self.chances: Mapping[str, float] = {}
        self.away = threading.Event()
        self.ledger: dict[UUID, Held] = {}
        self.refused: dict[UUID, str] = {}
        self.done: Counter[str] = Counter()
        self._random = rng
        self._kill = kill
        self._terminals: dict[str, _Terminal] = {}
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

    def answer(self, request: Request, speaker: _Speaker | None) -> tuple[Message, _Speaker | None]:
        """The result of a request and the speaker from now on; RequestError, or ConnectionCut to end the connection."""
        params = wire.decode_params(request) if request.method in _ANSWERED_METHODS else None
        if isinstance(params, HelloParams):
            return self._hello(params)
        if isinstance(params, PingParams):
            return PingResult(_now()), speaker
        if params is None:
            raise RequestError(ErrorCode.method_not_found, f"The fault kit does not know {request.method[:64]!r}.")
        if speaker is None:
            raise RequestError(ErrorCode.unauthenticated, f"Send hello before {request.method}.")
        if isinstance(params, PostParams):
            return self._post(params, speaker), speaker
        if isinstance(params, ByeParams):
            return self._bye(params, speaker), speaker
        return StockResult([], len(self.ledger), {}), speaker

    def _hello(self, params: HelloParams) -> tuple[Message, _Speaker]:
        lineage = None if isinstance(params.lineage, UnsetType) else params.lineage
        with self._lock:
            terminal = self._terminals.setdefault(params.terminal, _Terminal())
            terminal.epoch += 1
            result = HelloResult(
                server="tillwire fault kit",
                protocol=PROTOCOL_VERSION,
                terminal=params.terminal,
                role="till",
                location=params.terminal if isinstance(params.location, UnsetType) else params.location,
                epoch=terminal.epoch,
                parent=terminal.head.hex(),
                acked_seq=terminal.acked_seq(lineage),
                server_time=_now(),
                heartbeat_s=HEARTBEAT_SECONDS,
                limits=LIMITS,
            )
            return result, _Speaker(terminal, terminal.epoch, lineage)

    def _bye(self, params: ByeParams, speaker: _Speaker) -> ByeResult:
        with self._lock:
            held = speaker.terminal.seqs.get(speaker.lineage, {}) if speaker.lineage else {}
            said = 0 if isinstance(params.last_seq, UnsetType) else params.last_seq
            missing = [(seq, seq) for seq in range(1, said + 1) if seq not in held]
            totals = Totals(max(held, default=0), len(held), 0)
        return ByeResult("mismatch" if missing else "balanced", missing, totals)

    # ------------------------------------------------------------------------------ posts

    def _post(self, params: PostParams, speaker: _Speaker) -> PostResult:
        fault = self._choose()
        if fault == "drop_request":
            raise ConnectionCut
        if fault == "busy":
            code = self._random.choice((ErrorCode.busy, ErrorCode.draining))
            raise RequestError(code, "Not now.", retry_after_ms=self._random.randint(*RETRY_AFTER_MS))
        with self._lock:
            if fault == "fenced":
                speaker.terminal.epoch += 1
            result = self._execute(params, speaker)
            if fault == "duplicate":
                result = self._execute(params, speaker)
        return self._deliver(result, fault)

    def _deliver(self, result: PostResult, fault: str | None) -> PostResult:
        if fault == "kill":
            self._kill()
            raise ConnectionCut
        if fault == "drop_answer":
            raise ConnectionCut
        if fault == "cut_answer":
            line = wire.encode_result(None, result)
            raise ConnectionCut(line[: len(line) // 2])
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

    def _execute(self, params: PostParams, speaker: _Speaker) -> PostResult:
        terminal = speaker.terminal
        if terminal.epoch != speaker.epoch:
            raise RequestError(ErrorCode.fenced, "Another connection has sent hello since.", epoch=terminal.epoch)
        if not 1 <= len(params.postings) <= LIMITS.max_postings:
            raise RequestError(
                ErrorCode.invalid_params,
                f"$.postings: expected 1 to {LIMITS.max_postings} postings, the limit given by `hello`.",
                path="$.postings",
            )
        self._assert_no_fork(params, speaker)
        results = [self._enter(item, speaker) for item in params.postings]
        return PostResult(results, terminal.head.hex(), len(self.ledger), [])

    def _assert_no_fork(self, params: PostParams, speaker: _Speaker) -> None:
        terminal = speaker.terminal
        new = [item for item in params.postings if item.id not in self.ledger and item.id not in self.refused]
        taken = terminal.seqs.get(speaker.lineage, {}) if speaker.lineage else {}
        parted = not isinstance(params.parent, UnsetType) and params.parent != terminal.head.hex()
        if new and (parted or any(item.seq in taken for item in new)):
            acked = terminal.acked_seq(speaker.lineage)
            raise RequestError(
                ErrorCode.fork,
                "The ledger's chain is not the one this outbox left behind.",
                parent=terminal.head.hex(),
                seq=acked,
            )

    def _enter(self, item: PostItem, speaker: _Speaker) -> PostingResult:
        raw = bytes(item.body)
        digest = hashlib.sha256(raw).digest()
        if speaker.lineage and not isinstance(item.seq, UnsetType):
            speaker.terminal.seqs.setdefault(speaker.lineage, {}).setdefault(item.seq, item.id)
        held = self.ledger.get(item.id)
        if held is not None and held.digest != digest:
            self.refused[item.id] = "the same id was sent with different content"
            return PostingResult(item.id, "conflict", code="id_taken", reason=self.refused[item.id])
        if held is not None:
            return PostingResult(item.id, "duplicate", held.position, held.recorded_at)
        try:
            body = wire.decode_body(raw)
            wire.check_body(body)
        except BodyError as error:
            self.refused[item.id] = str(error)
            return PostingResult(item.id, "rejected", code="invalid_body", reason=str(error))
        reference = None if isinstance(body.reference, UnsetType) else body.reference
        held = self.ledger[item.id] = Held(len(self.ledger) + 1, digest, reference, _now())
        speaker.terminal.head = hashlib.sha256(speaker.terminal.head + item.id.bytes + digest).digest()
        return PostingResult(item.id, "posted", held.position, held.recorded_at)


_ANSWERED_METHODS = ("hello", "ping", "post", "bye", "stock")


def _now() -> datetime:
    return datetime.now(UTC)


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
        speaker: _Speaker | None = None
        hq = self.server.hq
        try:
            while not hq.away.is_set() and (line := self.rfile.readline(MAX_FRAME_BYTES)).strip():
                if hq.away.is_set():
                    return
                reply, speaker = self._answer(hq, line, speaker)
                self.wfile.write(reply)
        except ConnectionCut as cut:
            self.wfile.write(cut.last_words)
        except OSError:
            return  # the till program closed the connection, or was killed

    def _answer(self, hq: UnreliableHq, line: bytes, speaker: _Speaker | None) -> tuple[bytes, _Speaker | None]:
        request: Any = None
        try:
            request = wire.decode_frame(line.strip())
            if not isinstance(request, Request):
                raise RequestError(ErrorCode.invalid_request, "The fault kit accepts one request per frame.")
            result, speaker = hq.answer(request, speaker)
        except RequestError as error:
            return wire.encode_error(_id(request), error), speaker
        return wire.encode_result(_id(request), result), speaker


def _id(request: Any) -> Any:
    return None if not isinstance(request, Request) or isinstance(request.id, UnsetType) else request.id
