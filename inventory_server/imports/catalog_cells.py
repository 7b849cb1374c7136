"""Reads the cells of a catalogue file: each field from its text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from inventory_server.domain.limits import ORDER_DAYS_MAX, PACK_UNITS_MAX
from pos_client.files.cells import code_reader, is_misread, read_gtin, read_listed_sku
from pos_client.files.limits import CELL_LENGTH_MAX
from pos_client.files.numbers import NumberReader
from pos_client.files.problems import TextError
from pos_client.protocol import gtin
from pos_client.protocol.fields import Location
from pos_client.protocol.limits import NAME_LENGTH_MAX, TEXT_LENGTH_MAX
from pos_client.protocol.printable import is_unicode
from pos_client.protocol.units import scaled

_CODE_EXPECTED = f"1 to {NAME_LENGTH_MAX} characters, UTF-8, without control characters"
_HOUR = re.compile(r"([01]?[0-9]|2[0-3])(:00)?\Z")
_BETWEEN_BARCODES = re.compile(r"[\s,;|]+")
_PACK = re.compile(r"[0-9]{1,6}\Z")
_WHOLE = re.compile(r"[0-9]{1,3}\Z")


class WrongCell(Exception):
    """A cell that cannot be read: what was expected, and what it holds."""

    def __init__(self, expected: str, came: str, advice: str = "") -> None:
        super().__init__(f"expected {expected}, got {came[:CELL_LENGTH_MAX]!a}{advice and f'; {advice}'}")


class WrongBarcode(WrongCell):
    """A barcode that cannot be one. The product is imported all the same, and keeps the barcodes that it has."""


def _code(kind: Any) -> Callable[[str], str]:
    def read(text: str) -> str:
        try:
            text.encode()
            return str(msgspec.convert(text, kind))
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            raise WrongCell(_CODE_EXPECTED, text) from error

    return read


_read_sku = code_reader(read_listed_sku, keep_damaged=False)


def _sku(text: str) -> str:
    try:
        sku = _read_sku(text)
    except TextError as error:
        raise WrongCell(str(error), text, error.advice) from error
    if sku.startswith(gtin.SUSPENSE_PREFIX):
        raise WrongCell(
            f"one that does not begin with {gtin.SUSPENSE_PREFIX!r} (barcodes that no catalogue lists)", text
        )
    return sku


def _barcodes(text: str) -> tuple[str, ...]:
    return tuple(map(_barcode, filter(None, _BETWEEN_BARCODES.split(text))))


def _barcode(text: str) -> str:
    if gtin.is_own_code(text):
        return gtin.padded(text)
    try:
        return gtin.checked(read_gtin(text))
    except ValueError as error:
        raise WrongBarcode(str(error), text, getattr(error, "advice", "")) from error


def _pack_units(text: str) -> int:
    whole = text.removesuffix(".0")  # as a spreadsheet may write it
    if not _PACK.match(whole) or not 1 <= int(whole) <= PACK_UNITS_MAX:
        advice = "what is sold in parts of a unit is listed by a smaller unit" if "." in text or "," in text else ""
        raise WrongCell(f"a whole number of the product's units, 1 to {PACK_UNITS_MAX:,}", text, advice)
    return int(whole)


def _words(text: str) -> str:
    text = " ".join(text.split())
    if not is_unicode(text):
        raise WrongCell("text in UTF-8", text, "if the file was saved by a spreadsheet, give --encoding cp1252")
    if is_misread(text):
        raise WrongCell("text in its own encoding", text, "the file is UTF-8: leave out --encoding")
    if len(text) > TEXT_LENGTH_MAX or not text.isprintable():
        raise WrongCell(f"at most {TEXT_LENGTH_MAX} printable characters", text)
    return text


def _quantity(numbers: NumberReader) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            return scaled(numbers(text))
        except ValueError as error:
            raise WrongCell(str(error), text, getattr(error, "advice", "")) from error

    return read


def _positive(numbers: NumberReader) -> Callable[[str], int]:
    read_any = _quantity(numbers)

    def read(text: str) -> int:
        quantity = read_any(text)
        if quantity <= 0:
            raise WrongCell("a quantity above 0", text)
        return quantity

    return read


def _days(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not _WHOLE.match(text) or not least <= int(text) <= ORDER_DAYS_MAX:
            raise WrongCell(f"whole days, {least} to {ORDER_DAYS_MAX}", text)
        return int(text)

    return read


def _hour(text: str) -> int:
    found = _HOUR.match(text)
    if found is None:
        raise WrongCell("an hour of the day, 0 to 23", text)
    return int(found[1])


NUMBERS = ("reorder_point", "pack_size", "minimum")


def readers(numbers: Mapping[str, NumberReader]) -> Mapping[str, Callable[[str], Any]]:
    """For each field, the function that reads its text, which is not empty; WrongCell where that fails.

    `numbers` has the reader of each of `NUMBERS`.
    """
    return {
        "sku": _sku,
        "name": _words,
        "unit": _words,
        "barcode": _barcodes,
        "barcode_units": _pack_units,
        "reorder_point": _quantity(numbers["reorder_point"]),
        "supplier": _code(Location),
        "pack_size": _positive(numbers["pack_size"]),
        "minimum": _positive(numbers["minimum"]),
        "lead_time_days": _days(0),
        "order_cycle_days": _days(1),
        "order_by_hour": _hour,
        "location": _code(Location),
    }
