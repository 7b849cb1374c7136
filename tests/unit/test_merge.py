"""The rules of merges: what SKUs mean, and what is on hand of them. Quantities and instants are small whole numbers."""

from __future__ import annotations

import pytest

from inventory_server.domain.inventory import Count
from inventory_server.domain.merge import Merge, Merges, last_count, on_hand, refusal, standing

CHAIN = Merges([Merge(10, "a", "b", 3), Merge(11, "b", "c", 5)])
UPSIDE_DOWN = Merges([Merge(10, "a", "b", 5), Merge(11, "b", "c", 3)])


@pytest.mark.parametrize(
    ("merges", "sku", "order", "expected"),
    [
        (CHAIN, "a", None, "c"),
        (CHAIN, "a", (3, 9), "a"),
        (CHAIN, "a", (3, 11), "b"),
        (CHAIN, "a", (5, 11), "b"),
        (CHAIN, "a", (5, 12), "c"),
        (CHAIN, "b", (4, 1), "b"),
        (CHAIN, "d", None, "d"),
        (UPSIDE_DOWN, "a", (4, 1), "a"),
        (UPSIDE_DOWN, "b", (4, 1), "c"),
        (UPSIDE_DOWN, "a", (6, 1), "c"),
    ],
)
def test_what_a_sku_means(merges: Merges, sku: str, order: tuple[int, int] | None, expected: str) -> None:
    assert merges.name(sku, order) == expected


@pytest.mark.parametrize(
    ("merges", "sku", "product", "expected"),
    [
        (CHAIN, "a", "a", (None, (3, 10))),
        (CHAIN, "a", "b", ((3, 10), (5, 11))),
        (CHAIN, "a", "c", ((5, 11), None)),
        (CHAIN, "b", "c", ((5, 11), None)),
        (CHAIN, "c", "c", (None, None)),
        (CHAIN, "c", "a", None),
        (UPSIDE_DOWN, "a", "b", ((5, 10), (5, 10))),
        (UPSIDE_DOWN, "a", "c", ((5, 10), None)),
    ],
)
def test_when_a_sku_means_a_product(merges: Merges, sku: str, product: str, expected: object) -> None:
    assert merges.span(sku, product) == expected


@pytest.mark.parametrize(
    ("ended", "into", "expected"),
    [
        ("d", "a", None),
        ("c", "d", None),
        ("a", "d", "'a' is already merged into 'b'; void that merge first."),
        ("c", "a", "'a' is 'c' itself, by the merges that stand."),
        ("d", "d", "'d' is 'd' itself."),
    ],
)
def test_what_cannot_be_merged(ended: str, into: str, expected: str | None) -> None:
    assert refusal(CHAIN, ended, into) == expected


@pytest.mark.parametrize(
    ("as_of", "known_at", "expected"),
    [
        (None, None, {"a"}),
        (4, None, set()),
        (None, 9, set()),
        (None, 10, {"a"}),
        (None, 11, {"a", "b"}),
        (5, 12, {"a"}),
    ],
)
def test_which_merges_stand(as_of: int | None, known_at: int | None, expected: set[str]) -> None:
    merges = [Merge(10, "a", "b", 5), Merge(11, "b", "c", 7, voided_position=13)]
    assert set(standing(merges, as_of, known_at).by_ended) == expected


MOVES = {"a": [((1, 1), 5), ((4, 2), -1), ((6, 3), -1)], "b": [((1, 4), 2)], "c": [((2, 5), 7)]}
"""By SKU, the movements with their places in the order of events."""


def moved(sku: str, begin: tuple[int, int] | None, end: tuple[int, int] | None) -> int:
    after = [(at, quantity) for at, quantity in MOVES[sku] if begin is None or at > begin]
    return sum(quantity for at, quantity in after if end is None or at <= end)


@pytest.mark.parametrize(
    ("counts", "product", "before", "expected"),
    [
        ({}, "c", None, 12),
        ({}, "b", None, 0),
        ({}, "a", (3, 10), 5),
        ({}, "b", (5, 11), 6),
        ({"a": [Count(2, 6, 4)]}, "c", None, 11),
        ({"a": [Count(4, 6, 4)]}, "c", None, 10),  # the product b was counted, and with it what it took over
        ({"b": [Count(2, 6, 1)]}, "c", None, 11),
        ({"c": [Count(4, 6, 1)]}, "c", None, 6),
        ({"c": [Count(7, 6, 1)]}, "c", None, 1),
        ({"a": [Count(7, 6, 1)]}, "c", None, 1),
        ({"a": [Count(7, 6, 1)], "c": [Count(7, 6, 2)]}, "c", None, 3),  # two lines of one count
    ],
)
def test_what_is_on_hand(
    counts: dict[str, list[Count]], product: str, before: tuple[int, int] | None, expected: int
) -> None:
    of_all = {sku: counts.get(sku, []) for sku in "abc"}
    assert on_hand(CHAIN, product, of_all, moved, before) == expected


def test_a_count_is_of_the_product_that_its_sku_meant() -> None:
    counts = {"a": [Count(2, 6, 4), Count(4, 7, 3)], "b": [], "c": []}
    assert [last_count(CHAIN, product, counts) for product in "abc"] == [Count(2, 6, 4), Count(4, 7, 3), None]
