"""Lines as a till program writes them become exact, or are refused with the reason."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pos_client.protocol.control_totals import stock_effect
from pos_client.protocol.fields import PostingType
from pos_client.protocol.messages import Line
from pos_client.protocol.units import Quantity
from pos_client.till.basket_lines import as_lines, exact_quantity


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, 2),
        (-1, -1),
        ("2", 2),
        ("-3", -3),
        ("0.35", Decimal("0.35")),
        (Decimal("1.5"), Decimal("1.5")),
    ],
)
def test_exact_numbers_are_taken(value: int | str | Decimal, expected: Quantity) -> None:
    got = exact_quantity(value)
    assert (got, type(got)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [
        (0.1, TypeError, "a float has no exact decimal value"),
        (True, TypeError, "not bool"),
        (None, TypeError, "not NoneType"),
        ("1e3", ValueError, "exact number"),
        ("1,5", ValueError, "exact number"),
        ("", ValueError, "exact number"),
        ("٣", ValueError, "exact number"),
        ("1\n", ValueError, "exact number"),
    ],
)
def test_what_is_not_exact_is_refused(value: object, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        exact_quantity(value)


def test_tuples_and_lines_become_lines() -> None:
    priced = Line(quantity=1, gtin="4006381333931", unit_price=Decimal("2.99"), currency="EUR")
    assert as_lines([("milk", "0.5"), priced]) == [Line(quantity=Decimal("0.5"), sku="milk"), priced]


@pytest.mark.parametrize(
    "line",
    ["milk", ("milk",), ("milk", 1, 2), (1, "milk"), {"sku": "milk"}, ("milk", 0.5), Line(quantity=0.5, sku="milk")],  # type: ignore[arg-type]
)
def test_anything_else_is_no_line(line: Any) -> None:
    with pytest.raises(TypeError):
        as_lines([line])


def test_a_price_is_exact_too() -> None:
    with pytest.raises(TypeError, match="float"):
        as_lines([Line(quantity=1, sku="milk", unit_price=0.1)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "effect"),
    [
        ("sale", -70_000),
        ("return", 70_000),
        ("receipt", 70_000),
        ("adjustment", 70_000),
        ("transfer_out", -70_000),
        ("transfer_in", 70_000),
        ("count", 0),
        ("reserve", 0),
        ("release", 0),
        ("void", 0),
    ],
)
def test_the_effect_on_stock_is_that_of_the_protocol(kind: PostingType, effect: int) -> None:
    assert stock_effect(kind, [100_000, -30_000]) == effect
