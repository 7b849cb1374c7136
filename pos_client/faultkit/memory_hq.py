"""A headquarters in memory, without sockets: it implements the protocol for tills, and its answers are always true."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from msgspec import UnsetType

from pos_client.protocol import wire
from pos_client.protocol.errors import BodyError, ErrorCode, RequestError
from pos_client.protocol.limits import METHOD_LENGTH_MAX
from pos_client.protocol.messages import (
    CHAIN_START,
    FEATURES,
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
    StockParams,
    StockResult,
    Totals,
)

_ANSWERED_METHODS = ("hello", "ping", "post", "bye", "stock")


class Held(NamedTuple):
    """A posting in the ledger."""

    position: int
    digest: bytes
    body: bytes
    reference: str | None
    recorded_at: datetime


@dataclass
class KnownTill:
    """What HQ knows of a till: its epoch, the head of its chain, and which id has which seq in each lineage."""

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
class TillSession:
    """The till that sent `hello` on a connection, and its epoch then."""

    terminal: KnownTill
    epoch: int
    lineage: UUID | None


def utc_now() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


class MemoryHq:
    """Answers requests one at a time: callers with several threads serialize them. `limits` is what `hello` says."""

    def __init__(self, limits: Limits, heartbeat_seconds: int, clock: Callable[[], datetime] = utc_now) -> None:
        self.limits = limits
        self.ledger: dict[UUID, Held] = {}
        self.refused: dict[UUID, str] = {}
        self.terminals: dict[str, KnownTill] = {}
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock

    def answer(self, request: Request, session: TillSession | None) -> tuple[Message, TillSession | None]:
        """The result of a request and the session from now on; RequestError where it is refused."""
        params = wire.decode_params(request) if request.method in _ANSWERED_METHODS else None
        if isinstance(params, HelloParams):
            return self.hello(params)
        if isinstance(params, PingParams):
            return self.ping(params), session
        if params is None:
            raise RequestError(
                ErrorCode.method_not_found, f"The fault kit does not know {request.method[:METHOD_LENGTH_MAX]!r}."
            )
        if session is None:
            raise RequestError(ErrorCode.unauthenticated, f"Send hello before {request.method}.")
        if isinstance(params, PostParams):
            return self.post(params, session), session
        if isinstance(params, ByeParams):
            return self.bye(params, session), session
        assert isinstance(params, StockParams)
        return self.stock(params), session

    def hello(self, params: HelloParams) -> tuple[HelloResult, TillSession]:
        """Welcome a till, which fences its earlier connections."""
        lineage = None if isinstance(params.lineage, UnsetType) else params.lineage
        terminal = self.terminals.setdefault(params.terminal, KnownTill())
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
            server_time=self._clock(),
            heartbeat_s=self._heartbeat_seconds,
            limits=self.limits,
            features=FEATURES,
        )
        return result, TillSession(terminal, terminal.epoch, lineage)

    def ping(self, _params: PingParams) -> PingResult:
        """The time."""
        return PingResult(self._clock())

    def bye(self, params: ByeParams, session: TillSession) -> ByeResult:
        """Compare the till's last seq with what is held of its lineage."""
        held = session.terminal.seqs.get(session.lineage, {}) if session.lineage else {}
        said = 0 if isinstance(params.last_seq, UnsetType) else params.last_seq
        missing = [(seq, seq) for seq in range(1, said + 1) if seq not in held]
        totals = Totals(max(held, default=0), len(held), 0)
        return ByeResult("mismatch" if missing else "balanced", missing, totals)

    def stock(self, _params: StockParams) -> StockResult:
        """No levels: it keeps none."""
        return StockResult([], len(self.ledger), {})

    def post(self, params: PostParams, session: TillSession) -> PostResult:
        """Post a frame, or refuse it as a whole: where the session is fenced, the outbox forked, the frame too long."""
        terminal = session.terminal
        if terminal.epoch != session.epoch:
            raise RequestError(ErrorCode.fenced, "Another connection has sent hello since.", epoch=terminal.epoch)
        if not 1 <= (came := len(params.postings)) <= self.limits.max_postings:
            expected = f"1 to {self.limits.max_postings} postings"
            message = f"$.postings: expected {expected}, got {came}."
            raise RequestError(ErrorCode.invalid_params, message, path="$.postings", expected=expected, came=str(came))
        self._assert_no_fork(params, session)
        results = [self.post_item(item, session) for item in params.postings]
        return PostResult(results, terminal.head.hex(), len(self.ledger), [])

    def _assert_no_fork(self, params: PostParams, session: TillSession) -> None:
        terminal = session.terminal
        new = [item for item in params.postings if item.id not in self.ledger and item.id not in self.refused]
        seqs = terminal.seqs.get(session.lineage, {}) if session.lineage else {}
        parted = not isinstance(params.parent, UnsetType) and params.parent != terminal.head.hex()
        taken = any(isinstance(item.seq, int) and seqs.get(item.seq, item.id) != item.id for item in new)
        if new and (parted or taken):
            acked = terminal.acked_seq(session.lineage)
            raise RequestError(
                ErrorCode.fork,
                "The ledger's chain is not the one this outbox left behind.",
                parent=terminal.head.hex(),
                seq=acked,
            )

    def post_item(self, item: PostItem, session: TillSession) -> PostingResult:
        """Post one posting of a frame."""
        raw = bytes(item.body)
        digest = hashlib.sha256(raw).digest()
        if session.lineage and not isinstance(item.seq, UnsetType):
            session.terminal.seqs.setdefault(session.lineage, {}).setdefault(item.seq, item.id)
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
        held = self.ledger[item.id] = Held(len(self.ledger) + 1, digest, raw, reference, self._clock())
        session.terminal.head = hashlib.sha256(session.terminal.head + item.id.bytes + digest).digest()
        return PostingResult(item.id, "posted", held.position, held.recorded_at)
