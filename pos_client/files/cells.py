"""Readers for the cells of a CSV file: exact quantities, timestamps, codes and posting types."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from pos_client.files.limits import CELL_LENGTH_MAX
from pos_client.files.mapping import Time, zone_of
from pos_client.protocol.errors import TillwireError
from pos_client.protocol.fields import Currency, Location, PostingType, Sku
from pos_client.protocol.limits import NAME_LENGTH_MAX
from pos_client.protocol.printable import is_unicode
from pos_client.protocol.units import (
    QUANTITY_EXPECTED,
    SECOND_MICROS,
    Quantity,
    micros,
    scaled,
    unscaled,
    utc_offset_minutes,
)

_DECIMAL_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_MICROSECONDS = {"epoch": SECOND_MICROS, "epoch_ms": SECOND_MICROS // 1_000}


class CellError(TillwireError):
    """A cell that cannot be read: its column, what was expected and what it holds."""

    def __init__(self, column: str, expected: str, came: str) -> None:
        super().__init__(f"{column}: expected {expected}, got {came[:CELL_LENGTH_MAX]!r}")


def cell_reader(at: int, column: str, read: Callable[[str], Any]) -> Callable[[Sequence[str]], Any]:
    """A function that reads cell `at` of a row with `read`, each distinct text once; CellError where it fails."""
    known: dict[str, Any] = {}

    def value(cells: Sequence[str]) -> Any:
        text = cells[at]
        if text not in known:
            try:
                known[text] = read(text)
            except ValueError as error:
                raise CellError(column, str(error), text) from error
        return known[text]

    return value


def read_quantity(text: str) -> Quantity:
    """The exact number written in `text`; ValueError (saying what is expected) if there is none."""
    if not _DECIMAL_NUMBER.match(text):
        raise ValueError(QUANTITY_EXPECTED)
    return unscaled(scaled(Decimal(text)))


def moment_reader(time: Time) -> Callable[[str], tuple[int, int]]:
    """A function that reads a timestamp as (microseconds since 1970, UTC offset in minutes)."""
    zone = zone_of(time.zone)
    expected = f"a timestamp like {' or '.join(time.formats)}"

    def read(text: str) -> tuple[int, int]:
        for form in time.formats:
            try:
                moment = _parse(text, form)
            except (ValueError, OverflowError):
                continue  # the next format may fit
            if moment.tzinfo is None and zone is None:
                raise ValueError("a timestamp with a UTC offset (or set time.zone in the mapping)")
            aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
            return micros(aware), utc_offset_minutes(aware)
        raise ValueError(expected)

    return read


def _parse(text: str, form: str) -> datetime:
    if form == "iso":
        return datetime.fromisoformat(text)
    if form not in _EPOCH_MICROSECONDS:
        return datetime.strptime(text, form)  # noqa: DTZ007 - moment_reader adds the zone
    if not _DECIMAL_NUMBER.match(text):
        raise ValueError(form)
    return _EPOCH + int(Decimal(text) * _EPOCH_MICROSECONDS[form]) * timedelta(microseconds=1)


def type_reader(types: Mapping[str, PostingType]) -> Callable[[str], PostingType]:
    """A function that translates a cell of the type column by the mapping's [types] table."""

    def read(text: str) -> PostingType:
        if text not in types:
            raise ValueError(f"one of {', '.join(types)} (the [types] table of the mapping)")
        return types[text]

    return read


def _checked(kind: Any, expected: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not is_unicode(text):
            raise ValueError(expected)
        try:
            return str(msgspec.convert(text, kind))
        except msgspec.ValidationError as error:
            raise ValueError(expected) from error

    return read


read_sku = _checked(Sku, f"a SKU of 1 to {NAME_LENGTH_MAX} characters, UTF-8, without control characters")
read_location = _checked(
    Location, f"a location of 1 to {NAME_LENGTH_MAX} characters, UTF-8, without control characters"
)
read_lane = _checked(Location, f"a lane of 1 to {NAME_LENGTH_MAX} characters, UTF-8, without control characters")
read_currency = _checked(Currency, "an ISO 4217 currency code such as EUR")
