"""Stock as the rules word it, over a plain list of postings: what production and its figures are compared with.

It shares no code with production: it reads the JSON of bodies by itself and computes every figure as a sum over
everything. Quantities are integers of 10⁻⁵, instants integer microseconds of UTC.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

Key = tuple[str, str]
"""(location, sku)"""
STOCK, IN_TRANSIT, COUNT, RESERVED = range(4)
UNITS = 100_000
_ON_HAND = {"sale": -1, "return": 1, "receipt": 1, "adjustment": 1, "transfer_out": -1, "transfer_in": 1}
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Known(NamedTuple):
    """A posting that HQ holds; `anywhere` is True for what an operator posted without naming a location."""

    id: UUID
    kind: str
    location: str
    occurred_at: int
    lines: tuple[tuple[str, int], ...]
    anywhere: bool = False
    voids: UUID | None = None
    other_location: str | None = None
    reservation: UUID | None = None
    expires_at: int | None = None
    effective_at: int = 0


class Move(NamedTuple):
    """A movement of an account of one key, its place in the order of events, and the position that makes it known."""

    key: Key
    account: int
    quantity: int
    effective_at: int
    event: int
    position: int
    reservation: UUID | None = None


@dataclass(frozen=True)
class View:
    """A moment, by when things happened and by what was known: None stands for "for ever" and "everything"."""

    as_of: int | None = None
    known_at: int | None = None

    def holds(self, move: Move) -> bool:
        """True where `move` had happened and was known."""
        return self.reaches(move.effective_at) and self.knows(move.position)

    def reaches(self, effective_at: int) -> bool:
        """True where `as_of` is not before `effective_at`."""
        return self.as_of is None or effective_at <= self.as_of

    def knows(self, position: int | None) -> bool:
        """True where the posting at `position` is known."""
        return position is not None and (self.known_at is None or position <= self.known_at)


NOW = View()


class Level(NamedTuple):
    """The figures of one key; `counted_at` is when the count was taken that `on_hand` rests on."""

    on_hand: int
    in_transit: int
    counted_at: int | None


class StockModel:
    """All postings HQ holds, and what follows from them. Positions are counted from 1."""

    def __init__(self) -> None:
        self.known: list[Known] = []
        self.moves: dict[Key, list[Move]] = defaultdict(list)
        self.orphans = 0
        """Voids that came before what they void."""
        self._positions: dict[UUID, int] = {}
        self._by_position: dict[int, list[Move]] = defaultdict(list)
        self._uncounted: dict[int, int] = {}  # the position of a count to the one as of which it no longer counts
        self._voided: set[UUID] = set()
        self._waiting: dict[UUID, list[Known]] = defaultdict(list)  # voids of what has not come yet

    def enter(self, posting: Known, recorded_at: int) -> None:
        """HQ holds one more posting, in the order of its positions; it takes effect at `recorded_at` at the latest."""
        posting = posting._replace(effective_at=min(posting.occurred_at, recorded_at))
        self.known.append(posting)
        position = self._positions[posting.id] = len(self.known)
        if posting.voids is None:
            self._keep(_moves(posting, position))
            for void in self._waiting.pop(posting.id, ()):
                self._void(posting, void, position)
        elif (target := self.find(posting.voids)) is not None:
            self._void(target, posting, position)
        else:
            self.orphans += 1
            self._waiting[posting.voids].append(posting)

    def find(self, id_: UUID) -> Known | None:
        """The posting under an id."""
        position = self._positions.get(id_)
        return None if position is None else self.known[position - 1]

    def may_void(self, void: Known) -> bool:
        """True where HQ takes this void: nothing else voids its target, nor waits to."""
        assert void.voids is not None
        target = self.find(void.voids)
        if target is None:
            waiting = self._waiting.get(void.voids, ())
            return not any(other.anywhere or _same_place(void, other) for other in waiting)
        return _goes_with(void, target) and target.id not in self._voided

    def _void(self, target: Known, void: Known, position: int) -> None:
        """What `target` moved is moved back when it was voided, unless that was not this void's to do."""
        if target.id in self._voided or not _goes_with(void, target):
            return
        self._voided.add(target.id)
        for move in list(self._by_position[self._positions[target.id]]):
            back = move._replace(quantity=-move.quantity, position=position)
            if move.account == COUNT:
                self._uncounted[move.position] = position
                back = back._replace(account=STOCK, quantity=0)
            self._keep([back])

    def _keep(self, moves: list[Move]) -> None:
        for move in moves:
            self.moves[move.key].append(move)
            self._by_position[move.position].append(move)

    # ------------------------------------------------------------------------------ figures

    def touched(self) -> list[Key]:
        """Every (location, sku) that any stock, transfer, count or reservation has touched, in the order of a page."""
        return sorted(self.moves, key=lambda key: (key[0].encode(), key[1].encode()))

    def level(self, key: Key, view: View = NOW) -> Level:
        """`on_hand` is the last count that stands and what moved after it; without a count, all that moved."""
        seen = [move for move in self.moves.get(key, ()) if view.holds(move)]
        counts = [move for move in seen if move.account == COUNT]
        standing = [move for move in counts if not view.knows(self._uncounted.get(move.position))]
        base = max(standing, key=lambda move: (move.effective_at, move.event), default=None)
        moved = [
            move for move in seen if base is None or (move.effective_at, move.event) > (base.effective_at, base.event)
        ]
        return Level(
            (base.quantity if base else 0) + sum(move.quantity for move in moved if move.account == STOCK),
            sum(move.quantity for move in seen if move.account == IN_TRANSIT),
            base.effective_at if base else None,
        )

    def reserved(self, key: Key, now: int, view: View = NOW) -> int:
        """What is set aside: per standing reservation what is left of it, less what was released unnamed."""
        until = now if view.as_of is None else view.as_of
        left: dict[UUID | None, int] = defaultdict(int)
        for move in self.moves.get(key, ()):
            if move.account == RESERVED and view.holds(move):
                left[move.reservation] += move.quantity
        total = left.pop(None, 0)
        total += sum(max(quantity, 0) for id_, quantity in left.items() if self._stands(id_, key, until, view))
        return max(total, 0)

    def _stands(self, id_: UUID | None, key: Key, until: int, view: View) -> bool:
        """True where a reservation was made of `key`, is known and has not expired by `until`."""
        reserve = None if id_ is None else self.find(id_)
        if reserve is None or reserve.kind != "reserve" or not view.knows(self._positions[reserve.id]):
            return False
        of_key = any((reserve.location, sku) == key for sku, _ in reserve.lines)
        return of_key and (reserve.expires_at is None or reserve.expires_at > until)


def _same_place(void: Known, other: Known) -> bool:
    return not void.anywhere and void.location == other.location


def _goes_with(void: Known, target: Known) -> bool:
    """True where a void is of a kind of posting, and at a place, that it may void."""
    return target.voids is None and (void.anywhere or void.location == target.location)


def _moves(posting: Known, position: int) -> list[Move]:
    """What the lines of a posting move; all lines of a count that name one sku are one figure."""
    kind, at, here = posting.kind, (posting.effective_at, position), posting.location
    moves: list[Move] = []
    counted: dict[str, int] = {}
    for sku, quantity in posting.lines:
        key = (here, sku)
        if kind == "count":
            counted[sku] = counted.get(sku, 0) + quantity
        if kind in _ON_HAND:
            moves.append(Move(key, STOCK, _ON_HAND[kind] * quantity, *at, position))
        if kind == "transfer_out":
            moves.append(Move((str(posting.other_location), sku), IN_TRANSIT, quantity, *at, position))
        if kind == "transfer_in":
            moves.append(Move(key, IN_TRANSIT, -quantity, *at, position))
        if kind == "reserve":
            moves.append(Move(key, RESERVED, quantity, *at, position, posting.id))
        if kind == "release" or (kind == "sale" and posting.reservation is not None):
            moves.append(Move(key, RESERVED, -quantity, *at, position, posting.reservation))
    return moves + [Move((here, sku), COUNT, figure, *at, position) for sku, figure in counted.items()]


# ---------------------------------------------------------------------------------- bodies


def known(
    id_: UUID, raw: bytes, own_location: str, by_till: bool = True, skus_by_gtin: Mapping[str, str] | None = None
) -> Known:
    """A posting as its body tells it; `own_location` is its sender's."""
    body: dict[str, Any] = json.loads(raw, parse_float=Decimal)
    lines = tuple(_lines(body, skus_by_gtin or {}))
    anywhere = not by_till and "location" not in body
    ids = [UUID(body[name]) if name in body else None for name in ("voids", "reservation")]
    expires_at = micros(body["expires_at"]) if "expires_at" in body else None
    place, other = body.get("location", own_location), body.get("other_location")
    return Known(
        id_, body["type"], place, micros(body["occurred_at"]), lines, anywhere, ids[0], other, ids[1], expires_at
    )


def _lines(body: dict[str, Any], skus_by_gtin: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    for line in body.get("lines", ()):
        sku = line["sku"] if "sku" in line else skus_by_gtin.get(line["gtin"], line["gtin"])
        yield sku, int(Decimal(str(line["quantity"])) * UNITS)


def micros(text: str) -> int:
    """An instant of a body."""
    delta = datetime.fromisoformat(text) - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
