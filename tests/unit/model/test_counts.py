"""The variance of counts, which is derived: then and now. One case per line."""

import pytest

from tests.support.model.history import posting_id
from tests.support.model.story import told, whole

VARIANCES = [
    # (story, [(number of the count, sku, counted, variance then, variance now)])
    ("receipt a=10 @1 | count a=8 @2", [(2, "a", 8, -2, -2)]),
    ("receipt a=10 @1 | count a=8 @3 | sale a=1 @2", [(2, "a", 8, -2, -1)]),
    ("receipt a=10 @1 | count a=8 @3 | sale a=1 @4", [(2, "a", 8, -2, -2)]),
    ("receipt a=10 @1 | count a=8 @2 | void voids:1", [(2, "a", 8, -2, 8)]),
    ("receipt a=10 @1 | count a=8 @2 | void voids:2", []),
    ("receipt a=10 @1 | count a=8 @2 | count a=7 @3", [(2, "a", 8, -2, -2), (3, "a", 7, -1, -1)]),
    ("count a=7 @3 | count a=8 @2", [(1, "a", 7, 7, -1), (2, "a", 8, 8, 8)]),
    ("receipt a=10 @1 | count a=4 a=3 b=1 @2", [(2, "a", 7, -3, -3), (2, "b", 1, 1, 1)]),
    # after a merge, a count of both products is one of the one that took over
    ("receipt a=1 b=2 @1 | merge merge:a into:b @2 | count a=4 b=3 @3", [(3, "b", 7, 4, 4)]),
    ("receipt a=1 b=2 @1 | count a=4 b=3 @3 | merge merge:a into:b @2", [(2, "b", 7, 4, 4)]),
    ("receipt a=1 b=2 @1 | count a=4 b=3 @3 | merge merge:a into:b @4", [(2, "a", 4, 3, 3), (2, "b", 3, 1, 1)]),
    ("receipt a=1 b=2 @1 | count b=3 @3 | merge merge:a into:b @2", [(2, "b", 3, 1, 0)]),
]


@pytest.mark.parametrize(("story", "expected"), VARIANCES)
def test_variances(story: str, expected: list[tuple[int, str, int, int, int]]) -> None:
    rows = told(story).counts()
    found = [
        (row.posting.id, row.sku, whole(row.counted), whole(row.variance_then), whole(row.variance_now)) for row in rows
    ]
    assert found == [(posting_id(number), *rest) for number, *rest in expected]


def test_a_variance_is_asked_as_of_a_position() -> None:
    model = told("receipt a=10 @1 | count a=8 @3 | sale a=1 @2")
    assert [whole(row.variance_now) for known_at in (2, 3) for row in model.counts(known_at)] == [-2, -1]
