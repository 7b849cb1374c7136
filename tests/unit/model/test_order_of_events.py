"""The order of events, counts and voids: stock at an instant, as known at a position. One case per line."""

import pytest

from tests.support.model.story import figures

NOW = [
    # (story, on hand at L1 of a)
    ("receipt a=10 | sale a=3 | return a=1 | adjustment a=-2 | transfer_out a=1 other:L2", 5),
    ("transfer_in a=4 other:L2", 4),
    ("sale a=2", -2),
    ("sale a=5 a=-2", -3),
    ("sale a=0", 0),
    ("receipt a=10 location:L2", 0),
    # counts
    ("receipt a=10 @1 | count a=8 @2", 8),
    ("receipt a=10 @1 | count a=8 @2 | sale a=1 @3", 7),
    ("receipt a=10 @1 | count a=8 @3 | sale a=1 @2", 8),  # what a count has seen changes nothing today
    ("count a=8 @3 | count a=5 @2", 8),
    ("count a=8 @2 | count a=5 @3", 5),
    ("count a=8 @2 | sale a=1 @2", 7),  # the same instant: the order of arrival decides
    ("sale a=1 @2 | count a=8 @2", 8),
    ("count a=8 @2 | count a=5 @2", 5),
    ("count a=3 a=4", 7),  # two shelves
    ("receipt b=9 @1 | count a=8 @2", 8),
    ("count a=0 @2 | sale a=1 @3", -1),
    # voids
    ("receipt a=10 | void voids:1", 0),
    ("receipt a=240 @1 | count a=24 @2 | void voids:1 @3", 24),  # keyed ten times too high, then counted
    ("receipt a=10 @1 | count a=8 @2 | void voids:2", 10),
    ("receipt a=10 @1 | count a=8 @2 | count a=7 @3 | void voids:3", 8),
    ("receipt a=10 @1 | count a=8 @2 | sale a=1 @3 | void voids:2", 9),
    ("void voids:2 | receipt a=10", 0),  # the void came first
    ("void voids:2 by:t3 | receipt a=10", 0),  # t3 was of L1 once
    ("void voids:2 by:t1 | receipt a=10 location:L2", 0),
    ("sale a=3 | void voids:1 | return a=3 returns:1", 3),
    ("receipt a=10 | reserve a=2 | release a=1 | transfer_close transfer:1 reason:lost", 10),
]


@pytest.mark.parametrize(("story", "expected"), NOW)
def test_stock_now(story: str, expected: int) -> None:
    assert figures(story).on_hand == expected


THEN = [
    # (story, as of so many hours, as known at the posting, on hand)
    ("receipt a=10 @1 | sale a=3 @5", None, None, 7),
    ("receipt a=10 @1 | sale a=3 @5", 4, None, 10),
    ("receipt a=10 @1 | sale a=3 @5", 5, None, 7),
    ("receipt a=10 @1 | sale a=3 @5", 0, None, 0),
    ("receipt a=10 @1 | sale a=3 @5", None, 1, 10),
    ("sale a=3 @5 | receipt a=10 @1", 4, 1, 0),
    ("receipt a=10 @1 | count a=8 @3 | sale a=1 @2", 2, None, 9),
    ("receipt a=10 @1 | count a=8 @3 | sale a=1 @2", 3, None, 8),
    ("receipt a=10 @1 | void voids:1 @5", 2, None, 0),  # as if it had never been
    ("receipt a=10 @1 | void voids:1 @5", 2, 1, 10),  # but for what was known then
    ("receipt a=10 @1 | count a=8 @2 | void voids:2 @9", 3, 2, 8),
    ("receipt a=10 @1 | count a=8 @2 | void voids:2 @9", 3, 3, 10),
    ("void voids:2 @1 | receipt a=10 @2", None, 1, 0),
]


@pytest.mark.parametrize(("story", "as_of", "known_at", "expected"), THEN)
def test_stock_then(story: str, as_of: float | None, known_at: int | None, expected: int) -> None:
    assert figures(story, as_of=as_of, known_at=known_at).on_hand == expected


ELSEWHERE = [
    # (story, location, sku, on hand): a void reaches only where its sender may post
    ("void voids:2 by:t1 | receipt a=10 location:L2", "L2", "a", 10),
    ("void voids:2 by:t3 | receipt a=10 location:L2", "L2", "a", 0),
    ("void voids:2 | receipt a=10 location:L2", "L2", "a", 0),
    ("void voids:3 by:t1 | void voids:3 by:t3 | receipt a=10 location:L2", "L2", "a", 0),
    # a GTIN in any length is one product
    ("sale 40170725=1 | sale 00000040170725=1 | sale 0000040170725=1", "L1", "gtin:00000040170725", -3),
]


@pytest.mark.parametrize(("story", "location", "sku", "expected"), ELSEWHERE)
def test_stock_elsewhere(story: str, location: str, sku: str, expected: int) -> None:
    assert figures(story, location, sku).on_hand == expected
