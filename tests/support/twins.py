"""A made-up trade in all its kinds, sent alike to as many ledgers as one likes."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from inventory_server.domain.requests import MergeProducts
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore
from inventory_server.store.ledger.timetravel import cuts
from pos_client.protocol.fields import PostingType
from pos_client.protocol.messages import PostingResult
from pos_client.protocol.units import instant
from tests.support.ledgers import HOUR, NOON, SECOND, Clock, body, hello, item, opened, post, uid
from tests.support.maintenance import archive, close_books, read_ledger
from tests.support.partitions import POSITIONS, small
from tests.support.sites import Site

FRAME = 256
PARTITIONS = 4
"""So many are filled; half of them go into the archive."""
SKUS = ("a", "b", "c", "d", "e")
LOCATIONS = {"T1": "L1", "T2": "L2"}
MERGES = {3: ("d", "e"), 6: ("e", "c"), 12: ("b", "a")}
"""After so many frames, what is merged into what; the first two go into the archive."""


@dataclass(frozen=True)
class Sent:
    """A posting as it is sent, again and again if need be."""

    terminal: str
    raw: bytes
    id: UUID


@dataclass
class Trade:
    """Draws postings; `ahead` are ids that were voided and have not come yet."""

    rng: random.Random
    clock: Clock = field(default_factory=lambda: Clock(NOON))
    sent: list[Sent] = field(default_factory=list)
    reserved: list[Sent] = field(default_factory=list)
    ahead: list[Sent] = field(default_factory=list)
    number: int = 0

    def frame(self, terminal: str, count: int = FRAME) -> list[Sent]:
        """The next postings of a terminal, an hour later."""
        self.clock.now += HOUR
        made = [self._one(terminal) for _ in range(count)]
        self.sent += made
        return made

    def _one(self, terminal: str) -> Sent:
        rng = self.rng
        self.number += 1
        mine = [each for each in self.sent[-2_000:] if each.terminal == terminal]
        kind = rng.choices(tuple(_MAKERS), tuple(weight for weight, _ in _MAKERS.values()))[0]
        raw, id_ = _MAKERS[kind][1](self, terminal, mine, self._at())
        return Sent(terminal, raw, id_ or uid(self.number))

    def _at(self) -> int:
        """Mostly just now, sometimes long ago, sometimes by a clock that is ahead."""
        late = self.rng.choices((0, self.rng.randrange(12 * HOUR), -self.rng.randrange(3 * HOUR)), (20, 2, 1))[0]
        return self.clock.now - self.rng.randrange(60 * SECOND) - late

    def lines(self) -> tuple[tuple[str, int], ...]:
        """What is in a basket."""
        return tuple((sku, self.rng.randrange(1, 9)) for sku in self.rng.sample(SKUS, self.rng.randrange(1, 3)))


def _goods(kind: PostingType) -> Maker:
    def make(trade: Trade, _terminal: str, _mine: list[Sent], at: int) -> tuple[bytes, UUID | None]:
        ahead = trade.ahead.pop() if trade.ahead and trade.rng.random() < 0.2 else None
        if ahead is not None and ahead.terminal == _terminal:
            return ahead.raw, ahead.id
        trade.ahead += [] if ahead is None else [ahead]
        return body(kind, *trade.lines(), at=at, reference=str(trade.number)), None

    return make


def _transfer(trade: Trade, terminal: str, _mine: list[Sent], at: int) -> tuple[bytes, UUID | None]:
    kind: PostingType = "transfer_out" if trade.rng.random() < 0.5 else "transfer_in"
    other = "L2" if terminal == "T1" else "L1"
    return body(kind, *trade.lines(), at=at, other_location=other, reference=str(trade.number)), None


def _reserve(trade: Trade, terminal: str, _mine: list[Sent], at: int) -> tuple[bytes, UUID | None]:
    until = instant(at) + timedelta(hours=trade.rng.randrange(1, 90))
    raw = body("reserve", (trade.rng.choice(SKUS), 5), at=at, reference=str(trade.number), expires_at=until)
    trade.reserved.append(Sent(terminal, raw, uid(trade.number)))
    return raw, None


def _draw(trade: Trade, _terminal: str, _mine: list[Sent], at: int) -> tuple[bytes, UUID | None]:
    kind: PostingType = "sale" if trade.rng.random() < 0.5 else "release"
    named = trade.rng.choice(trade.reserved).id if trade.reserved else uid("nobody's")
    lines = [(sku, 1) for sku in trade.rng.sample(SKUS, 2)]
    return body(kind, *lines, at=at, reference=str(trade.number), reservation=named), None


def _void(trade: Trade, terminal: str, mine: list[Sent], at: int) -> tuple[bytes, UUID | None]:
    if trade.rng.random() < 0.2:
        later = Sent(
            terminal, body("sale", *trade.lines(), at=at, reference=f"voided {trade.number}"), uid((trade.number, 0))
        )
        trade.ahead.append(later)
        return body("void", voids=later.id, at=at), None
    return body("void", voids=trade.rng.choice(mine).id if mine else uid("nothing"), at=at), None


Maker = Callable[[Trade, str, list[Sent], int], tuple[bytes, UUID | None]]
_MAKERS: dict[str, tuple[int, Maker]] = {
    "sale": (60, _goods("sale")),
    "return": (5, _goods("return")),
    "receipt": (8, _goods("receipt")),
    "adjustment": (3, _goods("adjustment")),
    "count": (4, _goods("count")),
    "transfer": (6, _transfer),
    "reserve": (3, _reserve),
    "draw": (4, _draw),
    "void": (7, _void),
}


def send(store: LedgerStore, sent: list[Sent]) -> list[PostingResult]:
    """Post as frames of each terminal, in order, whatever was posted before."""
    results: list[PostingResult] = []
    for begin in range(0, len(sent), FRAME):
        frame = sent[begin : begin + FRAME]
        for terminal, location in LOCATIONS.items():
            mine = [item(each.raw, each.id) for each in frame if each.terminal == terminal]
            if mine:
                results += post(store, hello(store, terminal, location).speaker, *mine).results
    return results


class Twins:
    """Two ledgers of the same trade: the first partitions of one are in the archive, up to `position`, `until`."""

    _made: ClassVar[dict[tuple[Site, int, bool], Twins]] = {}

    def __init__(self, whole: str, archived: str, trade: Trade, until: int) -> None:
        self.whole = whole
        self.archived = archived
        self.trade = trade
        self.until = until
        self.position = PARTITIONS // 2 * POSITIONS - 1

    @classmethod
    def of(cls, site: Site, seed: int, merges: bool = False) -> Twins:
        """Copies of a pair that is made once; in some, products are merged."""
        if (site, seed, merges) not in cls._made:
            cls._made[site, seed, merges] = cls._make(site, seed, merges)
        made = cls._made[site, seed, merges]
        return cls(site.copy(made.whole), site.copy(made.archived), copy.deepcopy(made.trade), made.until)

    @classmethod
    def _make(cls, site: Site, seed: int, merges: bool) -> Twins:
        trade, whole = Trade(random.Random(seed)), small(site, PARTITIONS + 4)
        site.keep(whole)
        with opened(whole, trade.clock) as store:
            for number in range(PARTITIONS * POSITIONS // FRAME + 1):
                send(store, trade.frame(trade.rng.choice([*LOCATIONS])))
                if merges and number in MERGES:
                    store.submit(MergeProducts(*MERGES[number], actor=HEADQUARTERS)).wait()
        close_books(whole, trade.clock)
        archived = site.copy(whole)
        site.keep(archived)
        until = read_ledger(whole, cuts)[PARTITIONS // 2 - 1].closed_at
        archive(archived, until + 1, trade.clock)
        return cls(whole, archived, trade, until)
