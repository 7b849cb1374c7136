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
STOCK, COUNT = range(2)
UNITS = 100_000
SIGNED = ("sale", "adjustment")
"""The kinds of postings whose quantities may be negative."""
_ON_HAND = {"sale": -1, "return": 1, "receipt": 1, "adjustment": 1, "transfer_out": -1, "transfer_in": 1}
_NAMING = {"transfer_out": ("transfer_in",), "reserve": ("release", "sale")}
_DAY = 86_400_000_000
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
    transfer: UUID | None = None
    effective_at: int = 0

    @property
    def totals(self) -> dict[str, int]:
        """Its quantities by SKU."""
        totals: dict[str, int] = {}
        for sku, quantity in self.lines:
            totals[sku] = totals.get(sku, 0) + quantity
        return totals


class Move(NamedTuple):
    """A movement of an account of one key, its place in the order of events, and the position that makes it known."""

    key: Key
    account: int
    quantity: int
    effective_at: int
    event: int
    position: int


@dataclass(frozen=True)
class View:
    """A moment, by when things happened and by what was known: None stands for "for ever" and "everything"."""

    as_of: int | None = None
    known_at: int | None = None

    def holds(self, move: Move) -> bool:
        """True where `move` had happened and was known."""
        return (self.as_of is None or move.effective_at <= self.as_of) and self.knows(move.position)

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
        self._voided: dict[UUID, int] = {}  # the position from which on a posting is voided
        self._recorded: dict[int, int] = {}
        self._waiting: dict[UUID, list[Known]] = defaultdict(list)  # voids of what has not come yet

    def enter(self, posting: Known, recorded_at: int, corrected_at: int | None = None) -> None:
        """HQ holds one more posting, in the order of its positions; it takes effect at `recorded_at` at the latest.

        `corrected_at` is the instant by its till's tick clock, if HQ goes by that.
        """
        happened_at = posting.occurred_at if corrected_at is None else corrected_at
        posting = posting._replace(effective_at=min(happened_at, recorded_at))
        self.known.append(posting)
        position = self._positions[posting.id] = len(self.known)
        self._recorded[position] = recorded_at
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
        self._voided[target.id] = position
        for move in list(self._by_position[self._positions[target.id]]):
            back = move._replace(quantity=-move.quantity, position=position)
            if move.account == COUNT:
                back = back._replace(account=STOCK, quantity=0)
            self._keep([back])

    def _keep(self, moves: list[Move]) -> None:
        for move in moves:
            self.moves[move.key].append(move)
            self._by_position[move.position].append(move)

    # ------------------------------------------------------------------------------ figures

    def touched(self) -> list[Key]:
        """Every (location, sku) that any stock, transfer, count or reservation has touched, in the order of a page."""
        keys = set(self.moves)
        for posting in self.known:
            keys |= {(posting.location, sku) for sku, _ in posting.lines}
            if posting.kind == "transfer_out":
                keys |= {(str(posting.other_location), sku) for sku, _ in posting.lines}
        return sorted(keys, key=lambda key: (key[0].encode(), key[1].encode()))

    def level(self, key: Key, view: View = NOW) -> Level:
        """`on_hand` is the last count that stands and what moved after it; without a count, all that moved."""
        seen = [move for move in self.moves.get(key, ()) if view.holds(move)]
        counts = [move for move in seen if move.account == COUNT]
        voided = {position for id_, at in self._voided.items() if view.knows(at) for position in [self._positions[id_]]}
        standing = [move for move in counts if move.position not in voided]
        base = max(standing, key=lambda move: (move.effective_at, move.event), default=None)
        moved = [
            move for move in seen if base is None or (move.effective_at, move.event) > (base.effective_at, base.event)
        ]
        return Level(
            (base.quantity if base else 0) + sum(move.quantity for move in moved if move.account == STOCK),
            sum(document.left for document in self._documents("transfer_out", key, view)),
            base.effective_at if base else None,
        )

    def reserved(self, key: Key, now: int, view: View = NOW) -> int:
        """What is left of the reservations that have not expired at the moment of the view."""
        if view.known_at is not None:
            now = self._recorded.get(view.known_at, now)
        until = now if view.as_of is None else view.as_of
        documents = self._documents("reserve", key, view)
        return sum(each.left for each in documents if each.opens.expires_at is None or each.opens.expires_at > until)

    def _documents(self, opening: str, key: Key, view: View) -> list[Document]:
        """The transfers to, or reservations at, one (location, sku): a replay of what stands, by position."""
        location, sku = key
        stand = [each for each in self.known[: view.known_at] if not view.knows(self._voided.get(each.id))]
        documents = [Document(each, self._positions[each.id], sku) for each in stand if _opens(each, opening, key)]
        for posting in stand:
            for document in documents:
                document.name(posting, self._positions[posting.id])
        waiting: list[list[Any]] = []
        for posting in stand:
            position = self._positions[posting.id]
            is_unnamed = posting.kind == _DRAWN_BY[opening] and posting.transfer is None and posting.reservation is None
            if is_unnamed and posting.location == location and posting.totals.get(sku, 0) > 0:
                waiting.append([posting, position, posting.totals[sku]])
            for line in waiting:
                for document in documents:
                    if position == line[1] or document.position == position:
                        line[2] -= document.draw(line[0], line[1], line[2], position)
        return [each.as_of(view) for each in documents if view.as_of is None or each.opens.effective_at <= view.as_of]


_DRAWN_BY = {"transfer_out": "transfer_in", "reserve": "release"}


def _opens(posting: Known, opening: str, key: Key) -> bool:
    place = posting.other_location if opening == "transfer_out" else posting.location
    return posting.kind == opening and place == key[0] and key[1] in posting.totals


class Document:
    """A transfer or reservation of one SKU, and what was drawn from it and closed of it: (posting, position, units)."""

    def __init__(self, opens: Known, position: int, sku: str) -> None:
        self.opens = opens
        self.position = position
        self.sku = sku
        self.draws: list[tuple[Known, int, int]] = []
        self.closes: list[tuple[Known, int, int]] = []

    @property
    def left(self) -> int:
        """What is still on the road or reserved."""
        return self._left(None)

    def _left(self, position: int | None) -> int:
        """What is left at a position: of a transfer, named receipts and closings count whenever they arrive."""
        early = position is None or self.opens.kind == "transfer_out"
        sent = self.opens.totals[self.sku]
        drawn = sum(units for by, at, units in self.draws if early or at <= (position or 0))
        closed = sum(sent if not by.lines else units for by, _, units in self.closes)
        return max(0, sent - drawn - closed)

    def name(self, posting: Known, position: int) -> None:
        """Note what a posting that names this document draws or closes."""
        units = max(0, posting.totals.get(self.sku, 0))
        if posting.kind == "transfer_close" and posting.transfer == self.opens.id:
            self.closes.append((posting, position, units))
        elif self.opens.id in (posting.transfer, posting.reservation) and posting.kind in _NAMING[self.opens.kind]:
            self.draws.append((posting, position, units))

    def draw(self, by: Known, by_position: int, units: int, position: int) -> int:
        """Draw up to `units` for a posting that names no document; return how many."""
        drawn = min(units, self._left(position)) if self._fits(by, by_position) and self.position <= position else 0
        if drawn:
            self.draws.append((by, position, drawn))
        return drawn

    def _fits(self, by: Known, position: int) -> bool:
        opens = self.opens
        if opens.kind == "transfer_out":
            return opens.location == by.other_location and (
                self.position < position or opens.effective_at <= by.effective_at + _DAY
            )
        is_earlier = (opens.effective_at, self.position) < (by.effective_at, position)
        return is_earlier and (opens.expires_at is None or opens.expires_at > by.effective_at)

    def as_of(self, view: View) -> Document:
        """The same document without what takes effect after the view's instant."""
        seen = Document(self.opens, self.position, self.sku)
        seen.draws = [each for each in self.draws if view.as_of is None or each[0].effective_at <= view.as_of]
        seen.closes = [each for each in self.closes if view.as_of is None or each[0].effective_at <= view.as_of]
        return seen


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
    return moves + [Move((here, sku), COUNT, figure, *at, position) for sku, figure in counted.items()]


# ---------------------------------------------------------------------------------- bodies


def known(
    id_: UUID, raw: bytes, own_location: str, by_till: bool = True, skus_by_gtin: Mapping[str, str] | None = None
) -> Known:
    """A posting as its body tells it; `own_location` is its sender's."""
    body: dict[str, Any] = json.loads(raw, parse_float=Decimal)
    lines = tuple(_lines(body, skus_by_gtin or {}))
    anywhere = not by_till and "location" not in body
    ids = [UUID(body[name]) if name in body else None for name in ("voids", "reservation", "transfer")]
    expires_at = micros(body["expires_at"]) if "expires_at" in body else None
    place, other = body.get("location", own_location), body.get("other_location")
    said = (body["type"], place, micros(body["occurred_at"]), lines)
    return Known(id_, *said, anywhere, ids[0], other, ids[1], expires_at, ids[2])


def _lines(body: dict[str, Any], skus_by_gtin: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    for line in body.get("lines", ()):
        sku = line["sku"] if "sku" in line else skus_by_gtin.get(line["gtin"], line["gtin"])
        yield sku, int(Decimal(str(line["quantity"])) * UNITS)


def micros(text: str) -> int:
    """An instant of a body."""
    delta = datetime.fromisoformat(text) - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
