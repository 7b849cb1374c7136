"""The rules of stock, a line a case: what moves, what a level makes of it, which flags that earns."""

import pytest

from inventory_server.domain.inventory import (
    FLAGS,
    Account,
    Count,
    Flags,
    Level,
    Movement,
    base_count,
    flag_names,
    is_overtaken,
    lines_of,
    move,
    movements,
    opposite,
    rest_on,
    totals_of,
)
from pos_client.protocol.fields import PostingType
from pos_client.protocol.messages import Line

STOCK, COUNT = Account.STOCK, Account.COUNT

# type, what a line of 3 a moves: (account, quantity)
MOVES: list[tuple[PostingType, list[tuple[Account, int]]]] = [
    ("sale", [(STOCK, -3)]),
    ("return", [(STOCK, 3)]),
    ("receipt", [(STOCK, 3)]),
    ("adjustment", [(STOCK, 3)]),
    ("count", [(COUNT, 3)]),
    ("transfer_out", [(STOCK, -3)]),
    ("transfer_in", [(STOCK, 3)]),
    ("transfer_close", []),
    ("reserve", []),
    ("release", []),
]


@pytest.mark.parametrize(("kind", "expected"), MOVES)
@pytest.mark.parametrize("quantity", [3, 0, -3])
def test_what_a_posting_moves(kind: PostingType, expected: list[tuple[Account, int]], quantity: int) -> None:
    moved = movements(kind, "here", (7, 1), [("a", quantity)])
    assert [(each.account, each.quantity) for each in moved] == [
        (account, n * quantity // 3) for account, n in expected
    ]
    assert {(each.location, each.sku, *each.order) for each in moved} <= {("here", "a", 7, 1)}


def test_every_line_moves_by_itself_but_a_count_has_one_figure_a_sku() -> None:
    lines = [("a", 1), ("b", 2), ("a", 4)]
    sold = movements("sale", "here", (0, 1), lines)
    assert [(each.sku, each.quantity) for each in sold] == [("a", -1), ("b", -2), ("a", -4)]
    counted = movements("count", "here", (0, 1), lines)
    assert [(each.sku, each.quantity) for each in counted] == [("a", 5), ("b", 2)]


def test_a_void_moves_the_opposite_at_the_place_of_what_it_voids() -> None:
    voided = [
        Movement("here", "a", STOCK, -3, 1, 4),
        Movement("here", "a", COUNT, 9, 1, 4),
    ]
    assert opposite(voided) == [
        Movement("here", "a", STOCK, 3, 1, 4),
        Movement("here", "a", STOCK, 0, 1, 4),
    ]


# on_hand and place of the count before, quantity and place of the movement, on_hand and flags after
LEVELS: list[tuple[int, tuple[int, int] | None, int, tuple[int, int], int, int]] = [
    (10, None, -3, (5, 9), 7, 0),
    (10, None, -11, (5, 9), -1, 0),
    (-5, None, 2, (5, 9), -3, 0),  # what comes in is no cause for alarm
    (-5, None, 0, (5, 9), -5, 0),
    (10, (5, 8), -3, (6, 9), 7, 0),
    (10, (5, 8), -3, (5, 9), 7, 0),  # at the instant of the count the position decides
    (10, (5, 8), -3, (5, 7), 10, Flags.BEFORE_COUNT),
    (10, (5, 8), -30, (4, 9), 10, Flags.BEFORE_COUNT),
    (10, (5, 8), 3, (4, 9), 10, Flags.BEFORE_COUNT),
]


@pytest.mark.parametrize(("on_hand", "counted", "quantity", "at", "after", "flags"), LEVELS)
def test_what_a_movement_makes_of_a_level(
    on_hand: int, counted: tuple[int, int] | None, quantity: int, at: tuple[int, int], after: int, flags: int
) -> None:
    counted_at, counted_position = counted or (None, None)
    level = Level(on_hand=on_hand, moved=100, counted_at=counted_at, counted_position=counted_position)
    assert move(level, Movement("here", "a", STOCK, quantity, *at)) == flags
    assert (level.on_hand, level.moved, level.counted_at) == (after, 100 + quantity, counted_at)


def test_the_last_movement_is_the_latest_and_not_the_last_to_arrive() -> None:
    level = Level()
    for at in (5, 9, 3):
        move(level, Movement("here", "a", STOCK, 1, at, 1))
    assert level.last_movement_at == 9


# place of the count before, place of another, whether that is overtaken
OVERTAKEN: list[tuple[tuple[int, int] | None, tuple[int, int], bool]] = [
    (None, (5, 2), False),
    ((4, 1), (5, 2), False),
    ((5, 1), (5, 2), False),  # of two at the same instant the one that arrives later counts
    ((5, 3), (5, 2), True),
    ((6, 1), (5, 2), True),
]


@pytest.mark.parametrize(("counted", "order", "overtaken"), OVERTAKEN)
def test_a_level_is_based_on_the_latest_count(
    counted: tuple[int, int] | None, order: tuple[int, int], overtaken: bool
) -> None:
    counted_at, counted_position = counted or (None, None)
    level = Level(on_hand=10, counted_at=counted_at, counted_position=counted_position)
    assert is_overtaken(level, order) is overtaken


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


def test_flags_have_the_names_of_the_protocol_in_its_order() -> None:
    bits = [bit for name, bit in vars(Flags).items() if name.isupper()]
    assert [flag_names(bit) for bit in bits] == [(name,) for name in FLAGS]
    assert flag_names(0) == ()
    assert flag_names(sum(bits)) == FLAGS


def test_lines_of_the_same_sku_are_added_up() -> None:
    assert totals_of([("a", 1), ("b", 2), ("a", -4)]) == {"a": -3, "b": 2}


SKUS_OF_LINES = [
    (Line(1, sku="a"), "a"),
    (Line(1, sku="40000008"), "40000008"),  # a sku is never taken for a barcode
    (Line(1, gtin="40000008"), "b"),
    (Line(1, gtin="000040000008"), "b"),
    (Line(1, gtin="0000040000008"), "b"),
    (Line(1, gtin="00000040000008"), "b"),
    (Line(1, gtin="40000002"), "gtin:00000040000002"),  # wrong check digit
    (Line(1, gtin="4000000000020"), "gtin:04000000000020"),  # not listed
    (Line(1, sku="gtin:04000000000020"), "gtin:04000000000020"),  # the same product, named outright
    (Line(1, sku="gtin:00000040000008"), "gtin:00000040000008"),
]


@pytest.mark.parametrize(("line", "sku"), SKUS_OF_LINES)
def test_a_barcode_is_its_listed_product_or_its_suspense_product(line: Line, sku: str) -> None:
    [(found, _)] = lines_of([line], [1], {"00000040000008": ("b", 1)})
    assert found == sku


def test_a_pack_is_its_units() -> None:
    lines = [Line(2, gtin="40000008"), Line(1, sku="b"), Line(1, gtin="40000015")]
    moved = lines_of(lines, [200_000, 100_000, -50_000], {"00000040000008": ("b", 12)})
    assert moved == [("b", 2_400_000), ("b", 100_000), ("gtin:00000040000015", -50_000)]
