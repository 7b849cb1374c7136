"""Exact quantities and instants: integers of 10⁻⁵, and integer microseconds since 1970 UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

Quantity = int | Decimal
"""A quantity in a message: an `int` if whole, else a `Decimal` with at most 5 decimals."""

QUANTITY_PLACES = 5
"""Decimals of a quantity: grams and millilitres priced by the kilo and litre, and some to spare."""
QUANTITY_UNIT: int = 10**QUANTITY_PLACES
QUANTITY_MAX = 10**9
"""The largest quantity of a line; a thousand such lines still fit a 64-bit integer of 10⁻⁵."""
TOTAL_MAX = 2**63 // QUANTITY_UNIT - 1
"""The largest sum of quantities that a 64-bit integer of 10⁻⁵ holds."""
QUANTITY_EXPECTED = f"an exact number with at most {QUANTITY_PLACES} decimals and |quantity| ≤ 10⁹"

SECOND_MICROS = 1_000_000
"""Microseconds in a second."""

_QUANTUM = Decimal(1).scaleb(-QUANTITY_PLACES)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_NAIVE = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)
_FIRST = (datetime.min - _EPOCH_NAIVE) // _MICROSECOND
_LAST = (datetime.max - _EPOCH_NAIVE) // _MICROSECOND


def scaled(quantity: Quantity, maximum: int = QUANTITY_MAX) -> int:
    """Return `quantity` in units of 10⁻⁵; ValueError if it is not exact or exceeds `maximum`."""
    if type(quantity) is int:
        if -maximum <= quantity <= maximum:
            return quantity * QUANTITY_UNIT
        raise ValueError(QUANTITY_EXPECTED)
    # Check the size before any arithmetic: 1e999999999 would exhaust memory, and even abs() overflows on it.
    if not isinstance(quantity, Decimal) or not quantity.is_finite() or quantity.copy_abs() > maximum:
        raise ValueError(QUANTITY_EXPECTED)
    if quantity == 0:
        return 0
    if quantity.adjusted() < -QUANTITY_PLACES or quantity.quantize(_QUANTUM) != quantity:
        raise ValueError(QUANTITY_EXPECTED)
    return int(quantity.scaleb(QUANTITY_PLACES))


def quantity_expected(maximum: int = QUANTITY_MAX) -> str:
    """What a quantity is, if it may be at most `maximum`."""
    return QUANTITY_EXPECTED if maximum == QUANTITY_MAX else QUANTITY_EXPECTED.replace("10⁹", f"{maximum:,}")


def unscaled(units: int) -> Quantity:
    """The inverse of `scaled`: `int` where whole, else a `Decimal` without trailing zeros."""
    if not units % QUANTITY_UNIT:
        return units // QUANTITY_UNIT
    return Decimal(units).scaleb(-QUANTITY_PLACES).normalize()


def micros(moment: datetime) -> int:
    """Microseconds since 1970-01-01T00:00:00Z of an aware `moment`, exactly."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND_MICROS + delta.microseconds


def utc_offset_minutes(moment: datetime) -> int:
    """The UTC offset of `moment`, in minutes east."""
    offset = None if moment.tzinfo is UTC else moment.utcoffset()  # asking takes longer than to compare
    return offset // _MINUTE if offset else 0


def instant(microseconds: int, offset_minutes: int = 0) -> datetime:
    """The aware datetime of `microseconds` since 1970, with that UTC offset.

    Instants outside the years 1–9999 are clamped to that range, the limit of RFC 3339.
    """
    if not offset_minutes and _FIRST <= microseconds <= _LAST:
        return _EPOCH + timedelta(microseconds=microseconds)
    shifted = microseconds + offset_minutes * 60 * SECOND_MICROS
    local = _EPOCH_NAIVE + timedelta(microseconds=min(max(shifted, _FIRST), _LAST))
    zone = UTC if offset_minutes == 0 else timezone(timedelta(minutes=offset_minutes))
    return local.replace(tzinfo=zone)
