"""Reservations: what named and unnamed releases and sales draw, and when they expire. One case per line."""

import pytest

from tests.support.model.history import posting_id
from tests.support.model.story import RECEIVED, figures, hours, told, whole

LEFT = [
    # (story, [(number of the reservation, sku, left)])
    ("reserve a=5", [(1, "a", 5)]),
    ("reserve a=5 a=1 b=2", [(1, "a", 6), (1, "b", 2)]),
    ("reserve a=5 expires:3", []),
    ("reserve a=5 expires:5000", [(1, "a", 5)]),
    ("reserve a=5 | void voids:1", []),
    # named
    ("reserve a=5 | release a=2 reservation:1", [(1, "a", 3)]),
    ("reserve a=5 | release a=7 reservation:1", []),
    ("reserve a=5 | reserve a=5 | release a=7 reservation:1", [(2, "a", 5)]),  # never of another one
    ("reserve a=5 | sale a=2 reservation:1", [(1, "a", 3)]),
    ("reserve a=5 | sale a=2 location:L2 reservation:1", [(1, "a", 3)]),
    ("reserve a=5 | sale a=2", [(1, "a", 5)]),
    ("reserve a=5 | sale a=2 a=-3 reservation:1", [(1, "a", 5)]),
    ("reserve a=5 | sale b=2 reservation:1", [(1, "a", 5)]),
    ("release a=2 reservation:2 | reserve a=5", [(2, "a", 3)]),
    ("reserve a=5 | release a=2 reservation:1 | void voids:2", [(1, "a", 5)]),
    ("reserve a=5 | sale a=2 reservation:1 | void voids:2", [(1, "a", 5)]),
    # unnamed: the oldest by position, made before, at the same location, not expired then
    ("reserve a=5 @2 | reserve a=5 @1 | release a=7 @3", [(2, "a", 3)]),
    ("reserve a=5 @2 | release a=3 @1", [(1, "a", 5)]),
    ("reserve a=5 @2 | release a=3 @2", [(1, "a", 2)]),
    ("reserve a=5 location:L2 | release a=3", [(1, "a", 5)]),
    ("reserve a=5 expires:2 @1 | reserve a=5 @1 | release a=3 @2", [(2, "a", 2)]),
    ("reserve a=5 expires:3 @1 | reserve a=5 @1 | release a=3 @2", [(2, "a", 5)]),
    ("release a=3 @2 | reserve a=5 @1", [(2, "a", 2)]),  # it had waited
    ("release a=3 @2 | reserve a=5 @3", [(2, "a", 5)]),  # nothing is taken of later ones
    ("release a=7 @3 | reserve a=5 @1 | reserve a=5 @2", [(3, "a", 3)]),
    ("reserve a=5 @1 | release a=5 @2 | reserve a=5 @3", [(3, "a", 5)]),
    ("reserve a=5 | release a=3 | void voids:2", [(1, "a", 5)]),
    ("reserve a=5 @1 | reserve a=5 @1 | release a=3 @2 | void voids:1", [(2, "a", 2)]),
    ("reserve a=5 | reserve a=5 | release a=4 | release a=4 reservation:1", [(2, "a", 5)]),  # named ones as they come
    # merges
    ("reserve a=5 @1 | merge merge:a into:b @2 | release b=3 @3", [(1, "b", 2)]),
    ("reserve a=5 b=1 @1 | merge merge:a into:b @2", [(1, "b", 6)]),
    ("reserve a=5 @1 | merge merge:a into:b @2 | void voids:2", [(1, "a", 5)]),
]


@pytest.mark.parametrize(("story", "expected"), LEFT)
def test_reservations(story: str, expected: list[tuple[int, str, int]]) -> None:
    rows = told(story).reservations(now=RECEIVED + 10**9)
    found = [(row.reserve.id, row.sku, whole(row.left)) for row in rows]
    assert found == [(posting_id(number), sku, left) for number, sku, left in expected]


THEN = [
    # (story, as of so many hours, as known at the posting, reserved)
    ("reserve a=5 @1 expires:4", 3, None, 5),
    ("reserve a=5 @1 expires:4", 4, None, 0),
    ("reserve a=5 @1 expires:4", 0, None, 0),
    ("reserve a=5 @1 expires:4", None, None, 0),
    ("reserve a=5 @1 expires:1000.0003 | sale a=1", None, 1, 5),  # expired between the two positions
    ("reserve a=5 @1 expires:1000.0003 | sale a=1", None, 2, 0),
    ("reserve a=5 @1 | release a=2 @3", 2, None, 5),
    ("reserve a=5 @1 | release a=2 @3", 3, None, 3),
    ("reserve a=5 @1 | release a=2 @3", None, 1, 5),
]


@pytest.mark.parametrize(("story", "as_of", "known_at", "expected"), THEN)
def test_reserved_then(story: str, as_of: float | None, known_at: int | None, expected: int) -> None:
    assert figures(story, as_of=as_of, known_at=known_at).reserved == expected


def test_available_is_what_is_on_hand_less_what_is_reserved() -> None:
    assert figures("receipt a=8 | reserve a=5")[:3] == (8, 5, 3)


def test_documents_are_the_new_products_from_the_merge_on() -> None:
    model = told("reserve a=5 @1 | merge merge:a into:b @3")
    assert [row.sku for hour in (2, 3) for row in model.reservations(0, hours(hour))] == ["a", "b"]
