"""The rules of stock, pure: posting + what is known -> movements, levels, flags. No I/O, no clock.

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
"""In the order of their bits, as a ledger stores them."""

UNLISTED, NEGATIVE, CLOCK, BEFORE_COUNT, ORPHAN = (1 << bit for bit in range(len(FLAGS)))


class Account(enum.IntEnum):
    """What a movement moves. A `COUNT` entry states a figure, the others add to one."""

    STOCK = 0
    IN_TRANSIT = 1
    COUNT = 2
    RESERVED = 3


class Movement(NamedTuple):
    """The effect of one line on one (location, sku): before it is known what the level makes of it."""

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


class Recorded(NamedTuple):
    """A movement in the ledger, as far as time travel needs it."""

    occurred_at: int
    position: int
    quantity: int


class Level(msgspec.Struct, gc=False):
    """The current stock of one (location, sku): a cache that the ledger can always rebuild.

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
    """`CLOCK` where a posting occurred more than `ahead` after or `behind` before it was recorded (µs)."""
    return CLOCK if occurred_at > recorded_at + ahead or occurred_at < recorded_at - behind else 0


def sku_of(line: Line, skus_by_gtin: dict[str, str]) -> str:
    """The sku a line is about; a barcode nobody has listed stands for itself."""
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
    """What a posting moves; `lines` are (sku, quantity). A void moves what `opposite` says instead.

    `reservation` is the one that a sale or release draws on, or for a reserve its own id.
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
    """One figure per sku: a product that stands on two shelves is counted twice and has one stock."""
    figures: dict[str, int] = {}
    for sku, quantity in lines:
        figures[sku] = figures.get(sku, 0) + quantity
    return [Movement(location, sku, Account.COUNT, figure, occurred_at) for sku, figure in figures.items()]


def opposite(voided: Iterable[Movement], occurred_at: int) -> list[Movement]:
    """What a void moves: the opposite of what it voids, at its own instant.

    A voided count leaves an entry of quantity 0: it moves nothing, but the level no longer rests on it.
    """
    return [
        movement._replace(account=Account.STOCK, quantity=0, occurred_at=occurred_at)
        if movement.account is Account.COUNT
        else movement._replace(quantity=-movement.quantity, occurred_at=occurred_at)
        for movement in voided
    ]


def move(level: Level, movement: Movement) -> int:
    """Apply a `STOCK` or `IN_TRANSIT` movement to its level; return the flags that it earns.

    What happened before a count had already left the shelf when it was counted: it changes nothing now.
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
    """True where a count at `occurred_at`, arriving now, is older than the one the level rests on."""
    return level.counted_at is not None and level.counted_at > occurred_at


def needs_later_movements(level: Level, occurred_at: int) -> bool:
    """True where stock has moved after `occurred_at`, so that a count must add what moved since."""
    return level.last_movement_at is not None and level.last_movement_at > occurred_at


def count(level: Level, figure: int, occurred_at: int, position: int, moved_since: int) -> int:
    """Let the level rest on a new count; `moved_since` is the sum of the movements after it. Return flags."""
    if is_overtaken(level, occurred_at):
        return BEFORE_COUNT
    level.on_hand = figure + moved_since
    level.counted_at = occurred_at
    level.counted_position = position
    return 0


def rest_on(level: Level, base: Count | None, moved_since: int) -> None:
    """Let the level rest on `base` (None: on the ledger alone) after the count it rested on was voided."""
    level.on_hand = moved_since + (base.quantity if base else 0)
    level.counted_at = base.occurred_at if base else None
    level.counted_position = base.position if base else None


def base_count(counts: Iterable[Count], as_of: int | None, known_at: int | None) -> Count | None:
    """The count that stock at `as_of`, as known at position `known_at`, rests on (None: now / all)."""
    standing = [
        count
        for count in counts
        if (as_of is None or count.occurred_at <= as_of)
        and (known_at is None or count.position <= known_at)
        and (count.voided_position is None or (known_at is not None and count.voided_position > known_at))
    ]
    return max(standing, key=lambda count: (count.occurred_at, count.position), default=None)


def outstanding(remaining: Iterable[tuple[bytes | None, int]]) -> int:
    """What is reserved: the sum over reservations, none below zero, less what was released unnamed."""
    reserved = pool = 0
    for reservation, quantity in remaining:
        if reservation is None:
            pool += quantity
        else:
            reserved += max(0, quantity)
    return max(0, reserved + pool)
