"""Quantities and instants are exact in both directions, or refused."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pos_client.protocol.units import (
    QUANTITY_EXPECTED,
    QUANTITY_MAX,
    TOTAL_MAX,
    instant,
    micros,
    scaled,
    unscaled,
    utc_offset_minutes,
)

SCALED: list[tuple[Any, int]] = [
    (0, 0),
    (1, 100_000),
    (-1, -100_000),
    (10**9, 10**14),
    (-(10**9), -(10**14)),
    (Decimal("1.5"), 150_000),
    (Decimal("-1.50"), -150_000),
    (Decimal("0.00001"), 1),
    (Decimal("1E+3"), 100_000_000),
    (Decimal("1e9"), 10**14),
    (Decimal("1.000000000000000000000000000000000"), 100_000),
    (Decimal("-0"), 0),
    (Decimal("0E-999999"), 0),
    (Decimal("999999999.99999"), 99_999_999_999_999),
]


@pytest.mark.parametrize(("quantity", "units"), SCALED)
def test_a_quantity_becomes_units(quantity: Any, units: int) -> None:
    assert scaled(quantity) == units
    assert unscaled(units) == quantity


@pytest.mark.parametrize(
    "quantity",
    [
        *(10**9 + 1, -(10**9) - 1, 2**63, True, 1.5, 1.0, "1", None),
        *map(Decimal, ("0.000001", "1.000001", "1000000000.00001", "1e10", "1e999999", "-1e999999", "1e-999999")),
        *map(Decimal, ("NaN", "sNaN", "Infinity", "-Infinity")),
    ],
)
def test_what_is_not_exact_or_too_large_is_refused(quantity: Any) -> None:
    with pytest.raises(ValueError) as caught:
        scaled(quantity)
    assert str(caught.value) == QUANTITY_EXPECTED


def test_a_total_may_be_larger_than_a_quantity() -> None:
    assert scaled(TOTAL_MAX, TOTAL_MAX) < 2**63
    assert scaled(QUANTITY_MAX + 1, TOTAL_MAX) == (QUANTITY_MAX + 1) * 10**5
    with pytest.raises(ValueError, match="exact number"):
        scaled(TOTAL_MAX + 1, TOTAL_MAX)


@given(st.integers(-(10**14), 10**14))
def test_units_survive_the_way_to_a_quantity_and_back(units: int) -> None:
    quantity = unscaled(units)
    assert scaled(quantity) == units
    assert (type(quantity) is int) == (units % 10**5 == 0)


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_stored_sum_can_be_shown_exactly(units: int) -> None:
    assert Decimal(unscaled(units)) * 10**5 == units


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES))  # noqa: DTZ001
def test_an_instant_survives_the_way_to_microseconds_and_back(moment: datetime) -> None:
    back = instant(micros(moment), utc_offset_minutes(moment))
    assert back == moment
    assert back.isoformat() == moment.isoformat()


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01T00:00:00+00:00", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:59:59.999999+00:00", -1),
        ("2023-11-14T22:13:20.000001+00:00", 1_700_000_000_000_001),
        ("2024-02-29T00:00:00-05:30", 1_709_184_600_000_000),
    ],
)
def test_microseconds_are_counted_from_1970_in_utc(text: str, microseconds: int) -> None:
    assert micros(datetime.fromisoformat(text)) == microseconds


@pytest.mark.parametrize(
    ("microseconds", "offset", "year"),
    [(2**63 - 1, 0, 9999), (-(2**63), 0, 1), (micros(datetime(9999, 12, 31, 23, tzinfo=UTC)), 14 * 60, 9999)],
)
def test_what_rfc_3339_cannot_write_is_clamped(microseconds: int, offset: int, year: int) -> None:
    assert instant(microseconds, offset).year == year


def test_a_naive_moment_has_no_offset_to_keep() -> None:
    assert utc_offset_minutes(datetime(2024, 1, 1)) == 0  # noqa: DTZ001
