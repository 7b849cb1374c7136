"""The rules of stock once more, straight from their text and slow: what production is compared with.

Nothing of `inventory_server` is used here: only what the devices created, and in which order HQ took it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from tests.simulation.book import Created

Key = tuple[str, str]
STOCK, IN_TRANSIT, COUNT, RESERVED = range(4)
_SIGNS = {"sale": -1, "return": 1, "receipt": 1, "adjustment": 1, "transfer_out": -1, "transfer_in": 1}
_RESERVED_SIGNS = {"reserve": 1, "release": -1}


class Move(NamedTuple):
    """A movement: of an account, at a key, when, and as of which position."""

    key: Key
    account: int
    quantity: int
    occurred_at: int
    position: int


@dataclass(slots=True)
class Figure:
    """The level of one key, as the formula gives it."""

    on_hand: int
    in_transit: int
    counted_at: int | None


@dataclass(slots=True)
class Model:
    """What the ledger means, posting by posting."""

    moves: dict[Key, list[Move]] = field(default_factory=lambda: defaultdict(list))
    voided: set[int] = field(default_factory=set)  # positions of counts that no longer count
    positions: dict[UUID, int] = field(default_factory=dict)
    made: dict[UUID, Created] = field(default_factory=dict)
    by_position: dict[int, list[Move]] = field(default_factory=lambda: defaultdict(list))
    waiting: dict[UUID, list[Created]] = field(default_factory=dict)  # voids of what has not come yet
    orphans: int = 0

    def post(self, created: Created, position: int) -> None:
        """Posting `created` enters the ledger at `position`."""
        self.positions[created.id], self.made[created.id] = position, created
        assert created.body is not None
        if created.body.type != "void":
            self._move(_moves(created, position))
            waiting = self.waiting.pop(created.id, [])
            works = [void for void in waiting if _goes_anywhere(void) or void.location == created.location]
            if works:
                self._cancel(created.id, works[0].occurred_at, position)
            return
        target = created.body.voids
        assert isinstance(target, UUID)
        if target in self.positions:
            self._cancel(target, created.occurred_at, position)
        else:
            self.orphans += 1
            self.waiting.setdefault(target, []).append(created)

    def _move(self, moves: list[Move]) -> None:
        for move in moves:
            self.moves[move.key].append(move)
            self.by_position[move.position].append(move)

    def _cancel(self, target: UUID, occurred_at: int, position: int) -> None:
        cancelled = []
        for move in list(self.by_position[self.positions[target]]):
            if move.account == COUNT:
                self.voided.add(move.position)
                cancelled.append(move._replace(account=STOCK, quantity=0, occurred_at=occurred_at, position=position))
            else:
                cancelled.append(move._replace(quantity=-move.quantity, occurred_at=occurred_at, position=position))
        self._move(cancelled)

    def level(self, key: Key) -> Figure:
        """stock = the last count that stands + what moved after it; without a count, all that moved."""
        moves = self.moves.get(key, [])
        counts = [move for move in moves if move.account == COUNT and move.position not in self.voided]
        base = max(counts, key=lambda move: (move.occurred_at, move.position), default=None)
        later = [
            move.quantity
            for move in moves
            if move.account == STOCK and (base is None or move.occurred_at > base.occurred_at)
        ]
        transit = sum(move.quantity for move in moves if move.account == IN_TRANSIT)
        return Figure(
            sum(later) + (base.quantity if base else 0),
            transit,
            base.occurred_at if base else None,
        )


def _goes_anywhere(void: Created) -> bool:
    return void.role == "operator" and not void.location_named


def _moves(created: Created, position: int) -> list[Move]:
    body, at = created.body, created.occurred_at
    assert body is not None
    moves = []
    counted: dict[str, int] = {}
    for sku, quantity in created.lines:
        key = (created.location, sku)
        if body.type == "count":
            counted[sku] = counted.get(sku, 0) + quantity
        if body.type in _SIGNS:
            moves.append(Move(key, STOCK, _SIGNS[body.type] * quantity, at, position))
        if body.type == "transfer_out":
            moves.append(Move((str(body.other_location), sku), IN_TRANSIT, quantity, at, position))
        if body.type == "transfer_in":
            moves.append(Move(key, IN_TRANSIT, -quantity, at, position))
        if body.type in _RESERVED_SIGNS:
            moves.append(Move(key, RESERVED, _RESERVED_SIGNS[body.type] * quantity, at, position))
    return moves + [Move((created.location, sku), COUNT, figure, at, position) for sku, figure in counted.items()]
