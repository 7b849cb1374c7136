"""Inventory rules: from a posting and current levels to movements, new levels and flags. Pure.

Quantities are integers of 10⁻⁵, instants integer microseconds since 1970 UTC.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, get_args

import msgspec
from msgspec import UnsetType, structs

from pos_client.protocol import gtin
from pos_client.protocol.control_totals import STOCK_SIGN
from pos_client.protocol.fields import Flag, PostingType
from pos_client.protocol.messages import Line

FLAGS: tuple[Flag, ...] = get_args(Flag)
"""In the order of their bits in the ledger, which is that of the protocol."""


class Flags:
    """The bits of `FLAGS`. Plain integers: an `enum.IntFlag` is slow to combine."""

    UNLISTED = 1 << 0
    NEGATIVE = 1 << 1
    CLOCK_SUSPECT = 1 << 2
    CLOCK_CORRECTED = 1 << 3
    BEFORE_COUNT = 1 << 4
    RECOUNTED = 1 << 5
    ORPHAN = 1 << 6
    OVER_RETURNED = 1 << 7
    OVER_RECEIVED = 1 << 8
    OTHER_DESTINATION = 1 << 9
    UNKNOWN_LOCATION = 1 << 10
    NOTHING_RESERVED = 1 << 11
    REPEATED_DOCUMENT = 1 << 12


class Account(enum.IntEnum):
    """What a movement does to a level: `STOCK` adds to it, `COUNT` sets it.

    `CARRIED` tells what a posting did to the level of another product than it names, through merges. No figure is
    computed from it.
    """

    STOCK = 0
    COUNT = 1
    CARRIED = 2


class Movement(msgspec.Struct, frozen=True, gc=False):
    """The effect of one line on one (location, sku), before it is applied to the level.

    Its place in the order of events is (`effective_at`, `event_position`): those of its posting, or for a void those
    of the posting that it voids.
    """

    location: str
    sku: str
    account: Account
    quantity: int
    effective_at: int
    event_position: int

    @property
    def order(self) -> tuple[int, int]:
        """Its place in the order of events."""
        return self.effective_at, self.event_position


class Count(NamedTuple):
    """A counted figure, valid from its position until it is voided."""

    effective_at: int
    position: int
    quantity: int
    voided_position: int | None = None
    terminal: str = ""

    @property
    def order(self) -> tuple[int, int]:
        """Its place in the order of events."""
        return self.effective_at, self.position


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


Listed = Mapping[str, tuple[str, int]]
"""The SKU that each listed barcode (14 digits) means, and how many units of it one scan stands for."""


def flag_names(bits: int) -> tuple[Flag, ...]:
    """The names of the flags in `bits`, in the protocol's order."""
    return tuple(name for bit, name in enumerate(FLAGS) if bits >> bit & 1) if bits else ()


def scanned_line(line: Line, quantity: int, listed: Listed) -> tuple[str, int]:
    """The (sku, quantity) of a line with a barcode, packs in units of the product; unlisted, its suspense product."""
    assert not isinstance(line.gtin, UnsetType)
    found = listed.get(gtin.padded(line.gtin))
    return (gtin.suspense_sku(line.gtin), quantity) if found is None else (found[0], quantity * found[1])


def lines_of(lines: list[Line], quantities: Sequence[int], listed: Listed) -> list[tuple[str, int]]:
    """The (sku, quantity) of each line of a body."""
    return [
        (line.sku, quantity) if isinstance(line.sku, str) else scanned_line(line, quantity, listed)
        for line, quantity in zip(lines, quantities, strict=True)
    ]


def totals_of(lines: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The quantities by SKU: lines of the same SKU are added up."""
    totals: dict[str, int] = {}
    for sku, quantity in lines:
        totals[sku] = totals.get(sku, 0) + quantity
    return totals


def movements(
    kind: PostingType, location: str, order: tuple[int, int], lines: Sequence[tuple[str, int]]
) -> list[Movement]:
    """The movements of a posting; `lines` are (sku, quantity), `order` its place in the order of events.

    For a void see `opposite`.
    """
    if kind == "count":
        figures = totals_of(lines)
        return [Movement(location, sku, Account.COUNT, figure, *order) for sku, figure in figures.items()]
    sign = STOCK_SIGN.get(kind)
    if sign is None:
        return []
    at, position = order
    return [Movement(location, sku, Account.STOCK, sign * quantity, at, position) for sku, quantity in lines]


def opposite(voided: Iterable[Movement]) -> list[Movement]:
    """The movements of a void: the opposite of its target's, at the target's place in the order of events.

    A voided count becomes a movement of quantity 0: the level is no longer based on it.
    """
    return [
        structs.replace(movement, account=Account.STOCK, quantity=0)
        if movement.account is Account.COUNT
        else structs.replace(movement, quantity=-movement.quantity)
        for movement in voided
    ]


def move(level: Level, movement: Movement) -> int:
    """Apply a `STOCK` movement to its level; return the resulting flags.

    A movement before the count on which the level is based is already included in the count.
    """
    level.moved += movement.quantity
    if level.last_movement_at is None or movement.effective_at > level.last_movement_at:
        level.last_movement_at = movement.effective_at
    if level.counted_at is not None and is_overtaken(level, movement.order):
        return Flags.BEFORE_COUNT
    level.on_hand += movement.quantity
    return 0


def is_overtaken(level: Level, order: tuple[int, int]) -> bool:
    """True if the count on which the level is based is later in the order of events."""
    counted_at = level.counted_at
    return counted_at is not None and (counted_at, level.counted_position or 0) > order


def rest_on(level: Level, base: Count | None, moved_since: int) -> None:
    """Base the level on the count `base` (None: no count); `moved_since` is the sum of the movements after it."""
    level.on_hand = moved_since + (base.quantity if base else 0)
    level.counted_at = base.effective_at if base else None
    level.counted_position = base.position if base else None


def base_count(counts: Iterable[Count], as_of: int | None, known_at: int | None) -> Count | None:
    """The count on which stock at `as_of`, as known at position `known_at`, is based (None: no bound)."""
    return max(standing_counts(counts, as_of, known_at), key=lambda count: count.order, default=None)


def standing_counts(counts: Iterable[Count], as_of: int | None, known_at: int | None) -> list[Count]:
    """The counts that stand at `as_of`, as known at position `known_at` (None: no bound)."""
    return [
        count
        for count in counts
        if (as_of is None or count.effective_at <= as_of)
        and (known_at is None or count.position <= known_at)
        and (count.voided_position is None or (known_at is not None and count.voided_position > known_at))
    ]
