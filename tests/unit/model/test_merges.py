"""Merges: what is carried over, when, and what a late posting of the ended product changes. One case per line."""

import pytest

from tests.support.model.story import figures

MERGE = "merge merge:a into:b"
CASES = [
    # (story, on hand at L1 of a and of b)
    (f"receipt a=5 b=2 @1 | {MERGE} @2", (0, 7)),
    (f"receipt a=5 @1 | {MERGE} @2 | sale a=1 @3", (0, 4)),
    (f"receipt a=5 @1 | {MERGE} @3 | sale a=1 @2", (0, 4)),  # what it changes is carried over
    (f"receipt a=5 @1 | {MERGE} @4 | count a=3 @3 | sale a=1 @2", (0, 3)),  # against the counts of its own product
    (f"receipt a=5 @1 | {MERGE} @2 | count a=3 @3 | sale b=1 @4", (0, 2)),
    (f"receipt a=5 @1 | {MERGE} @3 | count b=3 @4 | sale a=1 @2", (0, 3)),
    (f"receipt a=5 @1 | {MERGE} @3 | count b=3 @2", (0, 8)),
    (f"{MERGE} @2 | receipt a=5 @2", (0, 5)),
    (f"receipt a=5 @2 | {MERGE} @2", (0, 5)),
    # voids
    (f"receipt a=5 b=2 @1 | {MERGE} @2 | void voids:2", (5, 2)),
    (f"receipt a=5 b=2 @1 | {MERGE} @2 | sale a=1 @3 | void voids:2", (4, 2)),
    (f"receipt a=5 b=2 @1 | {MERGE} @2 | void voids:1", (0, 0)),
    (f"receipt b=2 @1 | {MERGE} @2 | sale a=1 @3 | void voids:3", (0, 2)),
    # chains
    (f"receipt a=5 @1 | {MERGE} @2 | merge merge:b into:c @3", (0, 0)),
    (f"receipt a=5 @1 | merge merge:b into:c @2 | {MERGE} @3", (0, 0)),
    (f"receipt a=5 @1 | merge merge:b into:c @4 | {MERGE} @3 | void voids:2", (0, 5)),
    (f"receipt a=5 @1 | {MERGE} @2 | void voids:2 | merge merge:b into:a @3", (5, 0)),
]


@pytest.mark.parametrize(("story", "expected"), CASES)
def test_merges(story: str, expected: tuple[int, int]) -> None:
    assert (figures(story, sku="a").on_hand, figures(story, sku="b").on_hand) == expected


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        (f"receipt a=5 @1 | {MERGE} @2 | merge merge:b into:c @3", 5),
        (f"receipt a=5 @1 | merge merge:b into:c @2 | {MERGE} @3", 5),
        (f"receipt a=5 @1 | merge merge:b into:c @4 | {MERGE} @3 | sale a=1 @2 | sale b=1 @5 | sale a=1 @6", 2),
    ],
)
def test_chains_end_at_the_last_product(story: str, expected: int) -> None:
    assert figures(story, sku="c").on_hand == expected


@pytest.mark.parametrize(("hour", "expected"), [(1, (5, 0)), (1.5, (5, 0)), (2, (0, 5))])
def test_before_the_merge_it_is_the_old_products(hour: float, expected: tuple[int, int]) -> None:
    story = f"receipt a=5 @1 | {MERGE} @2"
    assert (figures(story, as_of=hour).on_hand, figures(story, sku="b", as_of=hour).on_hand) == expected


def test_every_location_is_carried_over() -> None:
    assert figures(f"receipt a=5 @1 location:L2 | {MERGE} @2", "L2", "b").on_hand == 5
