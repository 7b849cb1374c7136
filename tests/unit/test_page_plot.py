"""The plot of a product: round lines, steps at the days, and what was known differently on the day."""

from __future__ import annotations

from decimal import Decimal

import pytest

from inventory_server.web.pages.plot import drawing
from pos_client.protocol.units import Quantity


@pytest.mark.parametrize(
    ("values", "figures"),
    [
        ([0, 0], [1, 0]),
        ([3, 47], [50, 40, 30, 20, 10, 0]),
        ([-6, 30], [30, 20, 10, 0, -10]),
        ([Decimal("0.385"), Decimal("1.250")], [Decimal("1.5"), 1, Decimal("0.5"), 0]),
        ([100_000, 1_000_000], [1_000_000, 800_000, 600_000, 400_000, 200_000, 0]),
    ],
)
def test_the_lines_are_round_numbers_around_all_figures(values: list[Quantity], figures: list[Quantity]) -> None:
    shown = drawing(values, values, None, []).figures
    assert shown[0] >= max(values)
    assert shown[-1] <= min(0, *values)
    assert shown == figures


def test_a_step_is_at_the_beginning_of_its_day() -> None:
    shown = drawing([10, 20, 20], [10, 15, 20], 5, [1])
    assert shown.now == "M0 120.0H300.0V0.0H600.0V0.0H900"
    assert shown.then == "M300.0 60.0H600.0"
    assert shown.reorder == "M0 180.0H900"
    assert shown.counted == ["M600.0 0.0h0"]
    assert shown.area.endswith("V240.0H0Z")
