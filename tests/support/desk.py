"""A sender between its outbox and an HQ that answers as a test says. No sockets, no time but its own."""

from __future__ import annotations

import hashlib
import itertools
import random
from pathlib import Path
from typing import Any
from uuid import UUID

from pos_client.protocol.messages import (
    CHAIN_START,
    HelloResult,
    Limits,
    PostingResult,
    PostingStatus,
    PostItem,
    PostResult,
)
from pos_client.protocol.units import instant
from pos_client.protocol.uuid7 import Uuid7
from pos_client.till.actions import Action, Connect, Idle, SendHello, SendPost
from pos_client.till.outbox import Outbox
from pos_client.till.policy import Identity
from pos_client.till.sender import Sender
from tests.support.outboxes import NOON, posting, posting_id

SECOND = 1_000_000
LIMITS = Limits(1 << 20, 4, 1_000, 100)


class Desk:
    """A sender, its outbox and clock, and the HQ it talks to, in words of one line each."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        self.now = NOON
        self.outbox = Outbox(folder / "till.db", clock=self.clock, ids=Uuid7(self.clock, random.Random(seed)))
        self.results: list[PostingResult] = []
        self.sender = Sender(
            self.outbox,
            Identity("T1", "secret"),
            clock=self.clock,
            rng=random.Random(seed),
            on_result=self.results.append,
        )
        self.epoch = 0
        self.restart_hq()

    def restart_hq(self) -> None:
        """HQ knows nothing, as at first."""
        self.head = CHAIN_START
        self.positions: dict[UUID, int] = {}
        self.held: set[tuple[UUID, int]] = set()  # lineage and seq

    def move(self) -> None:
        """The outbox goes to another terminal, of which HQ has never heard."""
        self.sender.on_lost()
        self.head, self.held = CHAIN_START, set()

    def clock(self) -> int:
        return self.now

    def sell(self, *numbers: int) -> None:
        self.outbox.add(*[posting(number) for number in numbers])

    def hello_result(self, limits: Limits = LIMITS, acked_seq: int | None = None) -> HelloResult:
        self.epoch += 1
        if acked_seq is None:
            lineage = self.outbox.lineage
            acked_seq = next(seq for seq in itertools.count() if (lineage, seq + 1) not in self.held)
        who = ("T1", "till", "S1", self.epoch, self.head, acked_seq)
        return HelloResult("hq", 1, *who, instant(self.now), 30, limits)  # type: ignore[arg-type]

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

    def take(self, items: list[PostItem]) -> None:
        """HQ's chain takes `items`, all new."""
        lineage = self.outbox.lineage
        for item in items:
            assert isinstance(item.seq, int)
            self.held.add((lineage, item.seq))
            self.positions[item.id] = len(self.positions) + 1
            link = bytes.fromhex(self.head) + item.id.bytes + hashlib.sha256(bytes(item.body)).digest()
            self.head = hashlib.sha256(link).hexdigest()

    def answer(self, items: list[PostItem], status: PostingStatus = "posted") -> None:
        if status == "posted":
            self.take(items)
        self.sender.on_post(PostResult([self._result(item, status) for item in items], self.head, 1, []))

    def answer_truly(self, items: list[PostItem]) -> list[PostingStatus]:
        """`posted` for what is new to HQ, `duplicate` for the rest; what was said."""
        said: list[PostingStatus] = []
        for item in items:
            said.append("duplicate" if item.id in self.positions else "posted")
            if said[-1] == "posted":
                self.take([item])
            assert isinstance(item.seq, int)
            self.held.add((self.outbox.lineage, item.seq))
        results = [self._result(item, status) for item, status in zip(items, said, strict=True)]
        self.sender.on_post(PostResult(results, self.head, len(self.positions), []))
        return said

    def _result(self, item: PostItem, status: PostingStatus) -> PostingResult:
        position = self.positions.get(item.id)
        recorded_at = None if position is None else instant(NOON + position)
        return PostingResult(item.id, status, position, recorded_at, reason="why")

    def pending(self) -> list[UUID]:
        return [entry.id for entry in self.outbox.next_batch(1_000, 1 << 30)]


def ids(*numbers: int) -> list[UUID]:
    return [posting_id(number) for number in numbers]


def sent(items: list[PostItem]) -> list[UUID]:
    return [item.id for item in items]
