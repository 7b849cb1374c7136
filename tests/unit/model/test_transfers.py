"""Transfers are documents: what is on the road, received, closed and received besides. One case per line."""

import pytest

from tests.support.model.history import posting_id
from tests.support.model.story import figures, hours, told, whole

IN = "transfer_in location:L2"
CLOSE = "transfer_close reason:lost"
ROWS = [
    # (story, [(number of the transfer, sku, sent, received, closed, left, over)])
    ("transfer_out a=10 other:L2", [(1, "a", 10, 0, 0, 10, 0)]),
    (f"transfer_out a=10 other:L2 | {IN} a=4 transfer:1", [(1, "a", 10, 4, 0, 6, 0)]),
    (f"transfer_out a=10 other:L2 | {IN} a=4 transfer:1 | {IN} a=7 transfer:1", [(1, "a", 10, 10, 0, 0, 1)]),
    (f"{IN} a=4 transfer:2 | transfer_out a=10 other:L2", [(2, "a", 10, 4, 0, 6, 0)]),
    ("transfer_out a=10 other:L2 | transfer_in a=4 location:W transfer:1", [(1, "a", 10, 4, 0, 6, 0)]),
    (f"transfer_out a=4 a=6 b=1 other:L2 | {IN} a=10 transfer:1", [(1, "a", 10, 10, 0, 0, 0), (1, "b", 1, 0, 0, 1, 0)]),
    (f"transfer_out a=4 other:L2 | {IN} b=4 transfer:1", [(1, "a", 4, 0, 0, 4, 0)]),
    # closes
    ("transfer_out a=10 other:L2 | transfer_close a=3 transfer:1 reason:lost", [(1, "a", 10, 0, 3, 7, 0)]),
    ("transfer_out a=10 other:L2 | transfer_close transfer:1 reason:lost", [(1, "a", 10, 0, 10, 0, 0)]),
    ("transfer_close transfer:2 reason:lost | transfer_out a=10 other:L2", [(2, "a", 10, 0, 10, 0, 0)]),
    ("transfer_out a=10 other:L2 | transfer_close transfer:1 reason:lost | void voids:2", [(1, "a", 10, 0, 0, 10, 0)]),
    (
        f"transfer_out a=10 other:L2 | {IN} a=4 transfer:1 | transfer_close transfer:1 reason:lost",
        [(1, "a", 10, 4, 6, 0, 0)],
    ),
    (  # what was found after all was not lost
        f"transfer_out a=10 other:L2 | transfer_close a=10 transfer:1 reason:lost | {IN} a=4 transfer:1",
        [(1, "a", 10, 4, 6, 0, 0)],
    ),
    # voids
    ("transfer_out a=10 other:L2 | void voids:1", []),
    (f"transfer_out a=10 other:L2 | {IN} a=4 transfer:1 | void voids:2", [(1, "a", 10, 0, 0, 10, 0)]),
    # unnamed receipts take the oldest by position
    (
        f"transfer_out a=5 other:L2 @2 | transfer_out a=5 other:L2 @1 | {IN} a=7 other:L1 @3",
        [(1, "a", 5, 5, 0, 0, 0), (2, "a", 5, 2, 0, 3, 0)],
    ),
    (f"transfer_out a=5 other:L2 | {IN} a=7 other:W", [(1, "a", 5, 0, 0, 5, 0)]),
    (f"transfer_out a=5 other:W | {IN} a=7 other:L1", [(1, "a", 5, 0, 0, 5, 0)]),
    (  # a receipt that names comes first: what the unnamed one had moves on
        f"transfer_out a=5 other:L2 | transfer_out a=5 other:L2 | {IN} a=5 other:L1 | {IN} a=4 transfer:1",
        [(1, "a", 5, 5, 0, 0, 0), (2, "a", 5, 4, 0, 1, 0)],
    ),
    (  # a void draws anew
        f"transfer_out a=5 other:L2 | transfer_out a=5 other:L2 | {IN} a=4 other:L1 | void voids:1",
        [(2, "a", 5, 4, 0, 1, 0)],
    ),
    (  # a transfer that is closed as a whole is not drawn on
        f"transfer_out a=5 other:L2 | transfer_out a=5 other:L2 | {IN} a=4 other:L1 | {CLOSE} transfer:1",
        [(1, "a", 5, 0, 5, 0, 0), (2, "a", 5, 4, 0, 1, 0)],
    ),
    # a surplus waits a day
    (f"{IN} a=4 other:L1 @1 | transfer_out a=5 other:L2 @25", [(2, "a", 5, 4, 0, 1, 0)]),
    (f"{IN} a=4 other:L1 @1 | transfer_out a=5 other:L2 @25.1", [(2, "a", 5, 0, 0, 5, 0)]),
    (f"{IN} a=4 other:L1 @50 | transfer_out a=5 other:L2 @1", [(2, "a", 5, 4, 0, 1, 0)]),
    (
        f"transfer_out a=5 other:L2 @1 | {IN} a=9 other:L1 @2 | transfer_out a=5 other:L2 @3",
        [(1, "a", 5, 5, 0, 0, 0), (3, "a", 5, 4, 0, 1, 0)],
    ),
    (f"transfer_out a=5 other:L2 @60 | {IN} a=4 other:L1 @1", [(1, "a", 5, 4, 0, 1, 0)]),
    # merges
    (f"transfer_out a=5 b=1 other:L2 @1 | merge merge:a into:b @2 | {IN} b=4 transfer:1", [(1, "b", 6, 4, 0, 2, 0)]),
    (f"transfer_out a=5 other:L2 @1 | merge merge:a into:b @2 | {IN} b=4 other:L1", [(1, "b", 5, 4, 0, 1, 0)]),
    (f"transfer_out a=5 other:L2 @1 | {IN} b=4 other:L1 | merge merge:a into:b @2", [(1, "b", 5, 0, 0, 5, 0)]),
]


@pytest.mark.parametrize(("story", "expected"), ROWS)
def test_transfers(story: str, expected: list[tuple[int, str, int, int, int, int, int]]) -> None:
    found = [
        (row.out.id, row.sku, *map(whole, (row.sent, row.received, row.closed, row.left, row.over)))
        for row in told(story).transfers()
    ]
    assert found == [(posting_id(number), *rest) for number, *rest in expected]


ROAD = [
    # (story, location, on hand and in transit of a there)
    ("transfer_out a=10 other:L2", "L1", (-10, 0)),
    ("transfer_out a=10 other:L2", "L2", (0, 10)),
    ("transfer_out a=10 other:X", "X", (0, 0)),  # in transit nowhere
    (f"transfer_out a=10 other:L2 | {IN} a=12 transfer:1", "L2", (12, 0)),
    (f"transfer_out a=10 other:L2 | {IN} a=12 transfer:1 | transfer_out a=3 other:L2", "L2", (12, 3)),
    ("transfer_out a=10 other:L2 | transfer_in a=4 transfer:1 location:W", "L2", (0, 6)),
    ("transfer_out a=10 other:L2 | transfer_in a=4 transfer:1 location:W", "W", (4, 0)),
    (f"transfer_out a=10 other:L2 | {IN} a=4 transfer:1 | void voids:1", "L2", (4, 0)),
]


@pytest.mark.parametrize(("story", "location", "expected"), ROAD)
def test_in_transit(story: str, location: str, expected: tuple[int, int]) -> None:
    found = figures(story, location)
    assert (found.on_hand, found.in_transit) == expected


THEN = [
    # (story, as of so many hours, as known at the posting, in transit at L2)
    (f"transfer_out a=10 other:L2 @1 | {IN} a=4 transfer:1 @3", 0, None, 0),
    (f"transfer_out a=10 other:L2 @1 | {IN} a=4 transfer:1 @3", 2, None, 10),
    (f"transfer_out a=10 other:L2 @1 | {IN} a=4 transfer:1 @3", 3, None, 6),
    (f"transfer_out a=10 other:L2 @1 | {IN} a=4 transfer:1 @3", None, 1, 10),
    (f"transfer_out a=10 other:L2 @1 | {IN} a=4 other:L1 @3", 2, None, 10),
]


@pytest.mark.parametrize(("story", "as_of", "known_at", "expected"), THEN)
def test_in_transit_then(story: str, as_of: float | None, known_at: int | None, expected: int) -> None:
    assert figures(story, "L2", as_of=as_of, known_at=known_at).in_transit == expected


def test_documents_are_the_new_products_from_the_merge_on() -> None:
    model = told("transfer_out a=5 other:L2 @1 | merge merge:a into:b @3")
    assert [row.sku for hour in (2, 3) for row in model.transfers(hours(hour))] == ["a", "b"]
