"""A sender between its outbox and an HQ in memory, which answers when a test says so. No time but its own."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from uuid import UUID

from msgspec import structs

from pos_client.faultkit.memory_hq import MemoryHq
from pos_client.protocol.fields import PostingStatus
from pos_client.protocol.messages import (
    CHAIN_START,
    HelloParams,
    HelloResult,
    Limits,
    PingResult,
    PostingResult,
    PostItem,
    PostParams,
    PostResult,
)
from pos_client.protocol.tick import Tick
from pos_client.protocol.units import instant
from pos_client.protocol.uuid7 import Uuid7
from pos_client.till.actions import Action, Connect, Idle, SendHello, SendPost
from pos_client.till.outbox import Outbox
from pos_client.till.policy import Identity
from pos_client.till.sender import Sender
from tests.support.outboxes import NOON, posting, posting_id

SECOND = 1_000_000
TERMINAL = "T1"
BOOT = UUID(int=1)
LIMITS = Limits(1 << 20, 4, 1_000, 100)


class Desk:
    """A sender, its outbox and clock, and the HQ it talks to, in words of one line each."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        self.now = NOON
        self.outbox = Outbox(folder / "till.db", clock=self.clock, ids=Uuid7(self.clock, random.Random(seed)))
        self.results: list[PostingResult] = []
        self.sender = Sender(
            self.outbox,
            Identity(TERMINAL, "secret"),
            clock=self.clock,
            tick_clock=self.tick,
            rng=random.Random(seed),
            on_result=self.results.append,
        )
        self.restart_hq()

    def restart_hq(self) -> None:
        """HQ knows nothing, as at first."""
        self.hq = MemoryHq(LIMITS, heartbeat_seconds=30, clock=lambda: instant(self.now))

    def move(self) -> None:
        """The outbox goes to another terminal, of which HQ has never heard."""
        self.sender.on_lost()
        self.hq.terminals.clear()

    @property
    def head(self) -> str:
        """The head of the till's chain at HQ."""
        return self.hq.terminals[TERMINAL].head.hex() if TERMINAL in self.hq.terminals else CHAIN_START

    @head.setter
    def head(self, head: str) -> None:
        self.hq.terminals[TERMINAL].head = bytes.fromhex(head)

    def clock(self) -> int:
        return self.now

    def tick(self) -> Tick:
        """The machine booted an hour before the test began."""
        return Tick(BOOT, (self.now - NOON) // 1_000 + 3_600_000)

    def sell(self, *numbers: int) -> None:
        self.outbox.add(*[posting(number) for number in numbers])

    def hello_result(self, limits: Limits = LIMITS, acked_seq: int | None = None) -> HelloResult:
        self.hq.limits = limits
        result, self._speaker = self.hq.hello(HelloParams(TERMINAL, location="S1", lineage=self.outbox.lineage))
        return result if acked_seq is None else structs.replace(result, acked_seq=acked_seq)

    def pong(self) -> PingResult:
        return PingResult(instant(self.now))

    def connect(self, **fields: Any) -> None:
        assert isinstance(self.next(), Connect)
        self.sender.on_connected()
        assert isinstance(self.next(), SendHello)
        self.sender.on_hello(self.hello_result(**fields))

    def next(self) -> Action:
        return self.sender.next_action()

    def later(self) -> Action:
        """The next action but idling: time passes until there is one."""
        while isinstance(action := self.next(), Idle):
            assert action.until > self.now
            self.now = action.until
        return action

    def post(self) -> list[PostItem]:
        """What the sender posts next; it must post."""
        action = self.later()
        if isinstance(action, Connect):
            self.sender.on_connected()
            assert isinstance(self.next(), SendHello)
            self.sender.on_hello(self.hello_result())
            return self.post()
        assert isinstance(action, SendPost), action
        return action.params.postings

    def take(self, items: list[PostItem]) -> PostResult:
        """HQ posts `items`, and the sender has not heard of it."""
        return self.hq.post(PostParams(items), self._speaker)

    def answer(self, items: list[PostItem], status: PostingStatus = "posted") -> None:
        if status == "posted":
            self.take(items)
        self.sender.on_post(PostResult([self._result(item, status) for item in items], self.head, 1, []))

    def answer_truly(self, items: list[PostItem]) -> list[PostingStatus]:
        """`posted` for what is new to HQ, `duplicate` for the rest; what was said."""
        said = self.take(items)
        self.sender.on_post(said)
        return [result.status for result in said.results]

    def _result(self, item: PostItem, status: PostingStatus) -> PostingResult:
        held = self.hq.ledger.get(item.id)
        position, recorded_at = (held.position, held.recorded_at) if held else (None, None)
        return PostingResult(item.id, status, position, recorded_at, reason="why")

    def pending(self) -> list[UUID]:
        return [entry.id for entry in self.outbox.next_batch(1_000, 1 << 30)]


def ids(*numbers: int) -> list[UUID]:
    return [posting_id(number) for number in numbers]


def sent(items: list[PostItem]) -> list[UUID]:
    return [item.id for item in items]
