"""Lineages and chains: the sequence numbers of an outbox file and the digest chain of a terminal. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from inventory_server.domain.limits import GAPS_MAX
from pos_client.protocol.fields import Range
from pos_client.protocol.messages import CHAIN_START

FIRST_HEAD = bytes.fromhex(CHAIN_START)
"""The head of the chain of a terminal that has posted nothing."""


def next_head(head: bytes, posting_id: bytes, digest: bytes) -> bytes:
    """The head of the chain after one more accepted posting."""
    return hashlib.sha256(head + posting_id + digest).digest()


@dataclass(frozen=True, slots=True)
class Said:
    """The control totals of a till's last `bye`; None for those it omitted. `quantity` in 10⁻⁵."""

    at: int
    last_seq: int | None
    count: int | None
    quantity: int | None


@dataclass(slots=True)
class Lineage:
    """What HQ has received from one outbox file: everything up to `acked_seq`, and ranges beyond the first hole.

    `count` and `quantity` (10⁻⁵, signed effect on stock) are the control totals that `bye` compares;
    `acked_at` is the instant of the last posting of the unbroken sequence.
    """

    acked_seq: int = 0
    beyond: list[Range] = field(default_factory=list)
    count: int = 0
    quantity: int = 0
    acked_at: int | None = None
    said: Said | None = None

    @property
    def last_seq(self) -> int:
        """The highest sequence number received."""
        return self.beyond[-1][1] if self.beyond else self.acked_seq

    @property
    def holes(self) -> list[Range]:
        """The missing ranges below `last_seq`."""
        found, expected = [], self.acked_seq + 1
        for first, last in self.beyond:
            found.append((expected, first - 1))
            expected = last + 1
        return found

    def holds(self, seq: int) -> bool:
        """True if `seq` has been received."""
        if not self.beyond:  # as nearly always
            return seq <= self.acked_seq
        return seq <= self.acked_seq or any(first <= seq <= last for first, last in self.beyond)

    def is_full(self, seq: int) -> bool:
        """True if receiving `seq` would open one gap too many."""
        return len(self.beyond) >= GAPS_MAX and seq > self.last_seq + 1

    def receive(self, seq: int, occurred_at: int | None) -> None:
        """Note that `seq` has been received for the first time; `occurred_at` is None if it could not be decoded."""
        if seq == self.acked_seq + 1:
            self.acked_seq = seq
            if occurred_at is not None:
                self.acked_at = occurred_at
            if self.beyond and self.beyond[0][0] == seq + 1:
                self.acked_seq = self.beyond.pop(0)[1]
            return
        merged = sorted([*self.beyond, (seq, seq)])
        self.beyond = [merged[0]]
        for first, last in merged[1:]:
            if first == self.beyond[-1][1] + 1:
                self.beyond[-1] = (self.beyond[-1][0], last)
            else:
                self.beyond.append((first, last))


def disagreements(held: Lineage, said: Said) -> list[str]:
    """The differences between the till's control totals and HQ's, in words; empty if they balance."""
    pairs = (
        ("last_seq", said.last_seq, held.last_seq),
        ("count", said.count, held.count),
        ("quantity", said.quantity, held.quantity),
    )
    return [
        f"{name}: the till says {told}, HQ holds {holds}" for name, told, holds in pairs if told not in (None, holds)
    ]


def missing(held: Lineage, last_seq: int) -> list[Range]:
    """The ranges that HQ has not received, according to a till that has sent up to `last_seq`."""
    found = [hole for hole in held.holes if hole[0] <= last_seq]
    if last_seq > held.last_seq:
        found.append((held.last_seq + 1, last_seq))
    return found
