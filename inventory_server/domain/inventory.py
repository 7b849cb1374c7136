"""Inventory rules: from a posting and current levels to movements, new levels and flags. Pure.

Quantities are integers of 10⁻⁵, instants integer microseconds since 1970 UTC.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from msgspec import UnsetType

from pos_client.protocol.control_totals import STOCK_SIGN
from pos_client.protocol.messages import Flag, Line, PostingType

FLAGS: tuple[Flag, ...] = ("unlisted_product", "negative_stock", "clock_suspect", "before_count", "orphan")
"""In the order of their bits in the ledger."""

UNLISTED, NEGATIVE, CLOCK, BEFORE_COUNT, ORPHAN = (1 << bit for bit in range(len(FLAGS)))


class Account(enum.IntEnum):
    """The account that a movement changes. `COUNT` sets a figure, the others add to one."""

    STOCK = 0
    IN_TRANSIT = 1
    COUNT = 2
    RESERVED = 3


class Movement(NamedTuple):
    """The effect of one line on one (location, sku), before it is applied to the level."""

    location: str
    sku: str
    account: Account
    quantity: int
    occurred_at: int
    reservation: bytes | None = None


class Count(NamedTuple):
    """A counted figure, valid from its position until it is voided."""

    occurred_at: int
    position: int
    quantity: int
    voided_position: int | None = None


class Level(msgspec.Struct, gc=False):
    """The current stock of one (location, sku): a cache that can always be rebuilt from the ledger.

    `moved` is the sum of all stock movements ever, `counted_at`/`counted_position` name the count that
    `on_hand` rests on, `last_movement_at` is the latest instant at which stock moved.
    """

    on_hand: int = 0
    moved: int = 0
    in_transit: int = 0
    counted_at: int | None = None
    counted_position: int | None = None
    last_movement_at: int | None = None


def flag_names(bits: int) -> tuple[Flag, ...]:
    """The names of the flags in `bits`, in the protocol's order."""
    return tuple(name for bit, name in enumerate(FLAGS) if bits >> bit & 1)


def clock_flag(occurred_at: int, recorded_at: int, ahead: int, behind: int) -> int:
    """`CLOCK` if a posting occurred more than `ahead` after or `behind` before it was recorded (µs), else 0."""
    return CLOCK if occurred_at > recorded_at + ahead or occurred_at < recorded_at - behind else 0


def sku_of(line: Line, skus_by_gtin: dict[str, str]) -> str:
    """The SKU of a line; a barcode that is not in the catalogue is its own SKU."""
    if not isinstance(line.sku, UnsetType):
        return line.sku
    assert not isinstance(line.gtin, UnsetType)
    return skus_by_gtin.get(line.gtin, line.gtin)


def movements(
    kind: PostingType,
    location: str,
    other_location: str | None,
    occurred_at: int,
    lines: Sequence[tuple[str, int]],
    reservation: bytes | None,
) -> list[Movement]:
    """The movements of a posting; `lines` are (sku, quantity). For a void see `opposite`.

    `reservation` is the one that a sale or release draws on; for a reserve, its own id.
    """
    if kind == "count":
        return _counted(location, occurred_at, lines)
    moved = []
    for sku, quantity in lines:
        if sign := STOCK_SIGN.get(kind):
            moved.append(Movement(location, sku, Account.STOCK, sign * quantity, occurred_at))
        if kind == "transfer_out" and other_location is not None:
            moved.append(Movement(other_location, sku, Account.IN_TRANSIT, quantity, occurred_at))
        elif kind == "transfer_in":
            moved.append(Movement(location, sku, Account.IN_TRANSIT, -quantity, occurred_at))
        elif kind == "reserve":
            moved.append(Movement(location, sku, Account.RESERVED, quantity, occurred_at, reservation))
        elif kind == "release" or reservation is not None:
            moved.append(Movement(location, sku, Account.RESERVED, -quantity, occurred_at, reservation))
    return moved


def _counted(location: str, occurred_at: int, lines: Sequence[tuple[str, int]]) -> list[Movement]:
    """One figure per SKU: a product counted on two shelves has one stock."""
    figures: dict[str, int] = {}
    for sku, quantity in lines:
        figures[sku] = figures.get(sku, 0) + quantity
    return [Movement(location, sku, Account.COUNT, figure, occurred_at) for sku, figure in figures.items()]


def opposite(voided: Iterable[Movement], occurred_at: int) -> list[Movement]:
    """The movements of a void: the opposite of its target's, at the void's own instant.

    A voided count becomes a movement of quantity 0: the level is no longer based on it.
    """
    return [
        movement._replace(account=Account.STOCK, quantity=0, occurred_at=occurred_at)
        if movement.account is Account.COUNT
        else movement._replace(quantity=-movement.quantity, occurred_at=occurred_at)
        for movement in voided
    ]


def move(level: Level, movement: Movement) -> int:
    """Apply a `STOCK` or `IN_TRANSIT` movement to its level; return the resulting flags.

    A movement from before the count on which the level is based is already included in the count.
    """
    if movement.account is Account.IN_TRANSIT:
        level.in_transit += movement.quantity
        return 0
    level.moved += movement.quantity
    if level.last_movement_at is None or movement.occurred_at > level.last_movement_at:
        level.last_movement_at = movement.occurred_at
    if level.counted_at is not None and movement.occurred_at <= level.counted_at:
        return BEFORE_COUNT
    level.on_hand += movement.quantity
    return NEGATIVE if movement.quantity < 0 and level.on_hand < 0 else 0


def is_overtaken(level: Level, occurred_at: int) -> bool:
    """True if a count at `occurred_at` is older than the one on which the level is based."""
    return level.counted_at is not None and level.counted_at > occurred_at


def needs_later_movements(level: Level, occurred_at: int) -> bool:
    """True if stock has moved after `occurred_at`, so that these movements must be added to a count."""
    return level.last_movement_at is not None and level.last_movement_at > occurred_at


def count(level: Level, figure: int, occurred_at: int, position: int, moved_since: int) -> int:
    """Base the level on a new count; `moved_since` is the sum of the movements after it. Return flags."""
    if is_overtaken(level, occurred_at):
        return BEFORE_COUNT
    level.on_hand = figure + moved_since
    level.counted_at = occurred_at
    level.counted_position = position
    return 0


def rest_on(level: Level, base: Count | None, moved_since: int) -> None:
    """Base the level on `base` (None: on movements alone) after the count it was based on was voided."""
    level.on_hand = moved_since + (base.quantity if base else 0)
    level.counted_at = base.occurred_at if base else None
    level.counted_position = base.position if base else None


def base_count(counts: Iterable[Count], as_of: int | None, known_at: int | None) -> Count | None:
    """The count on which stock at `as_of`, as known at position `known_at`, is based (None: no bound)."""
    standing = [
        count
        for count in counts
        if (as_of is None or count.occurred_at <= as_of)
        and (known_at is None or count.position <= known_at)
        and (count.voided_position is None or (known_at is not None and count.voided_position > known_at))
    ]
    return max(standing, key=lambda count: (count.occurred_at, count.position), default=None)


def outstanding(remaining: Iterable[tuple[bytes | None, int]]) -> int:
    """The reserved quantity: the sum over reservations, each at least 0, less unnamed releases."""
    reserved = pool = 0
    for reservation, quantity in remaining:
        if reservation is None:
            pool += quantity
        else:
            reserved += max(0, quantity)
    return max(0, reserved + pool)
