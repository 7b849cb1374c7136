"""The rules of stock, a line a case: what moves, what a level makes of it, which flags that earns."""

from typing import Any

import pytest

from inventory_server.domain import inventory
from inventory_server.domain.inventory import (
    BEFORE_COUNT,
    CLOCK,
    NEGATIVE,
    ORPHAN,
    UNLISTED,
    Account,
    Count,
    Level,
    Movement,
    base_count,
    clock_flag,
    flag_names,
    move,
    movements,
    opposite,
    outstanding,
    rest_on,
    sku_of,
)
from pos_client.protocol.messages import Line, PostingType

STOCK, TRANSIT, COUNT, RESERVED = Account.STOCK, Account.IN_TRANSIT, Account.COUNT, Account.RESERVED
OTHER = b"reservation"
OWN = b"itself"

# type, reservation, what a line of 3 a moves: (location, account, quantity, reservation)
MOVES: list[tuple[PostingType, bytes | None, list[tuple[str, Account, int, bytes | None]]]] = [
    ("sale", None, [("here", STOCK, -3, None)]),
    ("sale", OTHER, [("here", STOCK, -3, None), ("here", RESERVED, -3, OTHER)]),
    ("return", None, [("here", STOCK, 3, None)]),
    ("receipt", None, [("here", STOCK, 3, None)]),
    ("adjustment", None, [("here", STOCK, 3, None)]),
    ("count", None, [("here", COUNT, 3, None)]),
    ("transfer_out", None, [("here", STOCK, -3, None), ("there", TRANSIT, 3, None)]),
    ("transfer_in", None, [("here", STOCK, 3, None), ("here", TRANSIT, -3, None)]),
    ("reserve", OWN, [("here", RESERVED, 3, OWN)]),
    ("release", None, [("here", RESERVED, -3, None)]),
    ("release", OTHER, [("here", RESERVED, -3, OTHER)]),
]


@pytest.mark.parametrize(("kind", "reservation", "expected"), MOVES)
@pytest.mark.parametrize("quantity", [3, 0, -3])
def test_what_a_posting_moves(kind: PostingType, reservation: bytes | None, expected: Any, quantity: int) -> None:
    moved = movements(kind, "here", "there", 7, [("a", quantity)], reservation)
    assert [(each.location, each.account, each.quantity, each.reservation) for each in moved] == [
        (location, account, units * quantity // 3, named) for location, account, units, named in expected
    ]
    assert {(each.sku, each.occurred_at) for each in moved} == {("a", 7)}


def test_every_line_moves_by_itself_but_a_count_has_one_figure_a_sku() -> None:
    lines = [("a", 1), ("b", 2), ("a", 4)]
    sold = movements("sale", "here", None, 0, lines, None)
    assert [(each.sku, each.quantity) for each in sold] == [("a", -1), ("b", -2), ("a", -4)]
    counted = movements("count", "here", None, 0, lines, None)
    assert [(each.sku, each.quantity) for each in counted] == [("a", 5), ("b", 2)]


def test_a_void_moves_the_opposite_at_its_own_instant() -> None:
    voided = [
        Movement("here", "a", STOCK, -3, 1),
        Movement("here", "a", RESERVED, -3, 1, OTHER),
        Movement("here", "a", COUNT, 9, 1),
    ]
    assert opposite(voided, 5) == [
        Movement("here", "a", STOCK, 3, 5),
        Movement("here", "a", RESERVED, 3, 5, OTHER),
        Movement("here", "a", STOCK, 0, 5),
    ]


# on_hand and counted_at before, quantity and instant of the movement, on_hand and flags after
LEVELS: list[tuple[int, int | None, int, int, int, int]] = [
    (10, None, -3, 5, 7, 0),
    (10, None, -11, 5, -1, NEGATIVE),
    (-5, None, 2, 5, -3, 0),  # what comes in is no cause for alarm
    (-5, None, 0, 5, -5, 0),
    (10, 5, -3, 6, 7, 0),
    (10, 5, -3, 5, 10, BEFORE_COUNT),  # a count has seen what occurred at its instant
    (10, 5, -30, 4, 10, BEFORE_COUNT),
    (10, 5, 3, 4, 10, BEFORE_COUNT),
]


@pytest.mark.parametrize(("on_hand", "counted_at", "quantity", "at", "after", "flags"), LEVELS)
def test_what_a_movement_makes_of_a_level(
    on_hand: int, counted_at: int | None, quantity: int, at: int, after: int, flags: int
) -> None:
    level = Level(on_hand=on_hand, moved=100, counted_at=counted_at)
    assert move(level, Movement("here", "a", STOCK, quantity, at)) == flags
    assert (level.on_hand, level.moved, level.counted_at) == (after, 100 + quantity, counted_at)


def test_what_is_on_its_way_is_not_on_hand() -> None:
    level = Level(on_hand=1)
    assert move(level, Movement("there", "a", TRANSIT, 5, 9)) == 0
    assert level == Level(on_hand=1, in_transit=5)


def test_the_last_movement_is_the_latest_and_not_the_last_to_arrive() -> None:
    level = Level()
    for at in (5, 9, 3):
        move(level, Movement("here", "a", STOCK, 1, at))
    assert level.last_movement_at == 9


# counted_at before, instant of the count, on_hand, counted_at and flags after (10 before, 4 counted, -1 moved since)
COUNTS: list[tuple[int | None, int, int, int | None, int]] = [
    (None, 5, 3, 5, 0),
    (4, 5, 3, 5, 0),
    (5, 5, 3, 5, 0),  # of two at the same instant the one that arrives later counts
    (6, 5, 10, 6, BEFORE_COUNT),
]


@pytest.mark.parametrize(("before", "at", "on_hand", "counted_at", "flags"), COUNTS)
def test_a_level_rests_on_the_latest_count(
    before: int | None, at: int, on_hand: int, counted_at: int | None, flags: int
) -> None:
    level = Level(on_hand=10, counted_at=before, counted_position=None if before is None else 1)
    assert inventory.count(level, 4, at, 2, -1) == flags
    assert (level.on_hand, level.counted_at) == (on_hand, counted_at)
    assert level.counted_position == (1 if flags else 2)


@pytest.mark.parametrize(("last_movement_at", "needed"), [(None, False), (4, False), (5, False), (6, True)])
def test_a_late_count_adds_what_moved_after_it(last_movement_at: int | None, needed: bool) -> None:
    assert inventory.needs_later_movements(Level(last_movement_at=last_movement_at), 5) is needed


def test_a_level_whose_count_was_voided_rests_on_the_one_before_or_on_the_ledger() -> None:
    level = Level(on_hand=1, counted_at=9, counted_position=3)
    rest_on(level, Count(5, 2, 40), -2)
    assert (level.on_hand, level.counted_at, level.counted_position) == (38, 5, 2)
    rest_on(level, None, 7)
    assert (level.on_hand, level.counted_at, level.counted_position) == (7, None, None)


FIRST, SECOND, LATE, VOIDED = Count(5, 1, 10), Count(7, 2, 20), Count(6, 3, 30), Count(9, 4, 40, voided_position=6)

# as_of, known_at, the count that stock then rests on
BASES: list[tuple[int | None, int | None, Count | None]] = [
    (None, None, SECOND),
    (7, None, SECOND),
    (6, None, LATE),
    (5, None, FIRST),
    (4, None, None),
    (None, 0, None),
    (None, 1, FIRST),
    (6, 2, FIRST),
    (None, 3, SECOND),
    (None, 4, VOIDED),
    (None, 5, VOIDED),
    (None, 6, SECOND),
    (8, 5, SECOND),
]


@pytest.mark.parametrize(("as_of", "known_at", "expected"), BASES)
def test_stock_rests_on_the_latest_count_that_stood_then(
    as_of: int | None, known_at: int | None, expected: Count | None
) -> None:
    assert base_count([FIRST, SECOND, LATE, VOIDED], as_of, known_at) == expected


def test_of_two_counts_at_one_instant_the_later_position_counts() -> None:
    assert base_count([Count(5, 2, 20), Count(5, 1, 10)], None, None) == Count(5, 2, 20)


# what is left of each reservation (None: released without a name), what is reserved in all
RESERVATIONS: list[tuple[list[tuple[bytes | None, int]], int]] = [
    ([], 0),
    ([(b"1", 3)], 3),
    ([(b"1", 3), (b"2", 4)], 7),
    ([(b"1", 3), (b"2", -4)], 3),  # released beyond what was reserved: it takes nothing from the others
    ([(b"1", 3), (None, -1)], 2),
    ([(b"1", 3), (None, -5)], 0),
    ([(None, -5)], 0),
]


@pytest.mark.parametrize(("remaining", "expected"), RESERVATIONS)
def test_what_is_reserved(remaining: list[tuple[bytes | None, int]], expected: int) -> None:
    assert outstanding(remaining) == expected


# occurred_at, flag: recorded at 100, 10 ahead and 50 behind are fine
CLOCKS = [(100, 0), (110, 0), (111, CLOCK), (50, 0), (49, CLOCK), (-(2**62), CLOCK), (2**62, CLOCK)]


@pytest.mark.parametrize(("occurred_at", "flag"), CLOCKS)
def test_an_odd_clock_is_flagged(occurred_at: int, flag: int) -> None:
    assert clock_flag(occurred_at, 100, 10, 50) == flag


def test_flags_have_the_names_of_the_protocol_in_its_order() -> None:
    names = ("unlisted_product", "negative_stock", "clock_suspect", "before_count", "orphan")
    assert tuple(flag_names(flag) for flag in (UNLISTED, NEGATIVE, CLOCK, BEFORE_COUNT, ORPHAN)) == tuple(
        (name,) for name in names
    )
    assert flag_names(0) == ()
    assert flag_names((1 << len(names)) - 1) == names


def test_a_barcode_stands_for_its_sku_or_for_itself() -> None:
    assert sku_of(Line(1, sku="a"), {"40000001": "b"}) == "a"
    assert sku_of(Line(1, gtin="40000001"), {"40000001": "b"}) == "b"
    assert sku_of(Line(1, gtin="40000002"), {"40000001": "b"}) == "40000002"
