"""What the tests of the server's edge share: a store in memory, a driver for sessions, a client of plain lines."""

import json
import select
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from inventory_server.config import Settings
from inventory_server.domain.door import IsWanted, OnOutcome, Outcome, Progress, Store, always, no_progress, perform
from inventory_server.domain.requests import (
    Bye,
    Change,
    CheckToken,
    Hello,
    Item,
    Ping,
    Post,
    Stock,
    StoreRequest,
    Welcome,
)
from inventory_server.domain.roles import Speaker
from inventory_server.jsonserver import EncodedReply, Peer
from inventory_server.protocol.session import Session, advance, drive
from inventory_server.store.administration import Settled
from pos_client.protocol.address import Address
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.fields import Role
from pos_client.protocol.messages import CHAIN_START, ByeResult, PostingResult, PostResult, StockResult
from pos_client.protocol.units import instant
from tests.support.waiting import HANG_SECONDS

NOON = 1_700_000_000_000_000
LOOPBACK = Peer("127.0.0.1:1", loopback=True)
ELSEWHERE = Peer("192.0.2.1:1", loopback=False)
ROLES: dict[str, Role] = {"reader-1": "reader", "operator-1": "operator"}
ID = "018f4e6a-0000-7000-8000-000000000001"
SALE = {
    "type": "sale",
    "occurred_at": "2024-01-02T03:04:05Z",
    "lines": [{"quantity": 1, "sku": "a"}],
}


class MemoryStore:
    """A store that remembers ids; `before` is called with each work and may wait or raise."""

    def __init__(self, before: Callable[[StoreRequest], None] = lambda _: None) -> None:
        self.before = before
        self.works: list[StoreRequest] = []
        self.closed = False
        self.posted: dict[Any, bytes] = {}
        self._lock = threading.Lock()  # guards `works` and `posted`

    def ask(self, question: StoreRequest, progress: Progress = no_progress, is_wanted: IsWanted = always) -> Outcome:
        self.before(question)
        with self._lock:
            self.works.append(question)
            return self._perform(question)

    def submit(self, change: Change, then: OnOutcome | None = None, progress: Progress = no_progress) -> Settled:
        outcome, error = None, None
        try:
            outcome = self.ask(change)
        except Exception as failure:  # noqa: BLE001 (whatever `before` raises)
            error = failure
        if then is not None:
            then(outcome, error)
        return Settled(outcome, error)

    def close(self) -> None:
        self.closed = True

    def _perform(self, work: StoreRequest) -> Outcome:
        if isinstance(work, CheckToken):
            return self._check(work.hello)
        if isinstance(work, Hello):
            self._check(work)
            role = ROLES.get(work.terminal, "till")
            return Welcome(Speaker(work.terminal, role, work.enrol or "store", 1, work.lineage), CHAIN_START, 0)
        if isinstance(work, Post):
            return PostResult([self._judge(item) for item in work.items], CHAIN_START, len(self.posted), [])
        if isinstance(work, Ping):
            return None
        if isinstance(work, Bye):
            return ByeResult("closed" if work.totals.count == 0 else "balanced", [])
        if isinstance(work, Stock):
            return StockResult([], len(self.posted), {})
        raise RequestError(ErrorCode.not_found, "There is no such thing.")

    def _check(self, hello: Hello) -> bool:
        if not hello.trusted and hello.token != "right":
            raise RequestError(ErrorCode.unauthenticated, "The token is not right.")
        return True

    def _judge(self, item: Item) -> PostingResult:
        if item.refused:
            return PostingResult(item.id, "rejected", reason=str(item.refused))
        known = self.posted.setdefault(item.id, item.digest)
        if known != item.digest:
            return PostingResult(item.id, "conflict")
        return PostingResult(item.id, "posted", len(self.posted), instant(NOON))


def raising(error: Exception) -> Callable[[StoreRequest], None]:
    """For `MemoryStore`: every request meets `error`."""

    def before(_request: StoreRequest) -> None:
        raise error

    return before


class Talker:
    """One session driven by hand against `store`."""

    def __init__(
        self,
        store: Store | None = None,
        peer: Peer = LOOPBACK,
        settings: Settings | None = None,
        dev: bool = True,
        draining: Callable[[], bool] = lambda: False,
        describe: Callable[[], bytes] = lambda: b'{"openrpc":"1.3.2"}',
    ) -> None:
        self.memory = MemoryStore()
        self.store = store or self.memory
        self.session = Session(
            settings or Settings(), peer, lambda: NOON, lambda: "incident-1", describe, draining, dev
        )

    def frame(self, frame: bytes) -> EncodedReply | None:
        steps = self.session.handle(frame)
        return drive(steps, partial(perform, self.store), advance(steps))

    def line(self, line: bytes | str) -> Any:
        """The parsed reply to a line; None where there is none."""
        reply = self.frame(line.encode() if isinstance(line, str) else line)
        if reply is None or not reply.data:
            return None
        assert reply.data.endswith(b"\n")
        assert reply.data.count(b"\n") == 1
        return json.loads(reply.data)

    def call(self, method: str, **params: Any) -> Any:
        return self.line(json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}))

    def result(self, method: str, **params: Any) -> Any:
        answer = self.call(method, **params)
        assert "error" not in answer, answer
        return answer["result"]

    def error(self, method: str, **params: Any) -> Any:
        answer = self.call(method, **params)
        assert "result" not in answer, answer
        assert answer["id"] == 7
        return answer["error"]

    def hello(self, terminal: str = "till-1") -> "Talker":
        self.result("hello", terminal=terminal, token="right")
        return self


class LineClient:
    """A socket that reads lines; no wait is for ever."""

    def __init__(self, address: Address) -> None:
        if address.path is not None:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(HANG_SECONDS)
            self.socket.connect(address.path)
        else:
            self.socket = socket.create_connection((address.host, address.port), timeout=HANG_SECONDS)
        self._rest = bytearray()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read_line(self) -> bytes:
        """The next line without its end; what is left, or nothing, where the server has closed."""
        searched = 0
        while (end := self._rest.find(b"\n", searched)) < 0:
            searched = len(self._rest)
            data = self.socket.recv(65_536)
            if not data:
                end = searched
                break
            self._rest += data
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return line

    def has_unread(self) -> bool:
        """True once something has arrived that has not been read; does not wait."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def ask(self, line: bytes) -> Any:
        self.send(line + b"\n")
        return json.loads(self.read_line())

    def call(self, method: str, **params: Any) -> Any:
        return self.ask(json.dumps({"id": 1, "method": method, "params": params}).encode())

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "LineClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
