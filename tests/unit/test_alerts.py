"""When an alert opens and closes, and when a delivery is tried again."""

from __future__ import annotations

from itertools import pairwise

import pytest

from inventory_server.domain.alerts import AlertPatience, is_alerting, is_clock_off, is_short, next_attempt, rearmed_at
from inventory_server.domain.limits import DELIVERY_RETRY_SECONDS
from pos_client.protocol.units import QUANTITY_UNIT as ONE
from pos_client.protocol.units import SECOND_MICROS

POINT = 10 * ONE
STORIES = {
    "crosses down": ([12, 10, 9, 5], [False, False, True, True]),
    "flaps around the point": ([11, 9, 10, 9, 10, 9], [False, True, True, True, True, True]),
    "rises to the point": ([9, 10], [True, True]),
    "rises a tenth above it": ([9, 11, 10, 9], [True, False, False, True]),
    "is below zero": ([-3, 0, 30], [True, True, False]),
    "a delivery at once": ([9, 500], [True, False]),
    "a late sale takes it below": ([10, 9], [False, True]),
    "a count finds more": ([3, 25], [True, False]),
    "a count finds less": ([25, 3], [False, True]),
}


def fold(available: list[int], point: int | None, is_open: bool = False) -> list[bool]:
    told = []
    for each in available:
        is_open = is_short(is_open, each * ONE, point)
        told.append(is_open)
    return told


@pytest.mark.parametrize(("available", "due"), STORIES.values(), ids=STORIES)
def test_stock_below_a_reorder_point_opens_one_alert_until_it_is_a_tenth_above(
    available: list[int], due: list[bool]
) -> None:
    assert fold(available, POINT) == due


def test_a_product_that_is_listed_no_more_or_has_no_reorder_point_has_no_alert() -> None:
    assert fold([9, 0, -5], None, is_open=True) == [False, False, False]


def test_a_product_that_ended_by_a_merge_has_no_alert_and_its_successor_has_what_both_had() -> None:
    """The level of an ended product is not watched, which is as if it had no reorder point."""
    assert not is_short(True, 0, None)
    assert not is_short(True, (6 + 7) * ONE, POINT)


@pytest.mark.parametrize(
    ("point", "rearmed"), [(0, 1), (5, 6), (ONE, ONE + ONE // 10), (POINT, 11 * ONE), (1_000 * ONE, 1_100 * ONE)]
)
def test_an_alert_closes_a_tenth_above_the_point_and_always_above_it(point: int, rearmed: int) -> None:
    assert rearmed_at(point) == rearmed
    assert is_short(True, rearmed - 1, point)
    assert not is_short(True, rearmed, point)


@pytest.mark.parametrize(
    ("offsets", "due"),
    [
        ([0, 60_000, 60_001], [False, False, True]),
        ([-60_001, -31_000, -30_000], [True, True, False]),
        ([61_000, 59_000, 61_000, 30_000, 59_000], [True, True, True, False, False]),
        ([61_000, None], [True, False]),
    ],
)
def test_a_clock_is_off_until_it_is_less_than_half_as_far_off(offsets: list[int | None], due: list[bool]) -> None:
    is_open, told = False, []
    for offset in offsets:
        is_open = is_clock_off(is_open, offset, 60_000)
        told.append(is_open)
    assert told == due


@pytest.mark.parametrize(
    ("is_open", "holds", "seconds", "due"),
    [
        (False, True, 59, False),
        (False, True, 60, True),
        (True, True, 0, True),
        (True, False, 599, True),
        (True, False, 600, False),
        (False, False, 0, False),
    ],
)
def test_a_condition_has_to_hold_for_a_while_and_to_be_over_for_a_while(
    is_open: bool, holds: bool, seconds: int, due: bool
) -> None:
    patience = AlertPatience(60 * SECOND_MICROS, 600 * SECOND_MICROS)
    assert is_alerting(is_open, holds, 0, seconds * SECOND_MICROS, patience) is due


def test_a_till_whose_line_flaps_is_one_alert() -> None:
    patience = AlertPatience(0, 600 * SECOND_MICROS)
    is_open = False
    for minute in range(60):
        is_open = is_alerting(is_open, minute % 2 == 0, minute * 60 * SECOND_MICROS, (minute * 60 + 59), patience)
        assert is_open


def test_a_target_is_tried_again_later_and_later_and_then_paused() -> None:
    tries = [next_attempt(failures, 0, 0.0) for failures in range(1, len(DELIVERY_RETRY_SECONDS) + 1)]
    assert tries == [seconds * SECOND_MICROS for seconds in DELIVERY_RETRY_SECONDS]
    assert all(one <= other for one, other in pairwise(DELIVERY_RETRY_SECONDS))
    assert next_attempt(len(DELIVERY_RETRY_SECONDS) + 1, 0, 0.0) is None


def test_what_failed_together_is_not_tried_again_together() -> None:
    assert next_attempt(1, 7, 0.0) == 7 + 5 * SECOND_MICROS
    assert next_attempt(1, 7, 0.5) == 7 + 5 * SECOND_MICROS * 9 // 8
