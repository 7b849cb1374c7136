"""Reads numbers as shops write them, exactly, and notices where a column can be read in two ways."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

from pos_client.files.limits import UNIT_LENGTH_MAX
from pos_client.files.problems import TextError
from pos_client.files.units_in_cells import are_of_one_measure, is_unit, unit_stripper
from pos_client.protocol.units import QUANTITY_EXPECTED, Quantity, scaled, unscaled

_DECIMAL_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?\Z")
_COMMA_SURELY = re.compile(r"[+-]?(0?|[0-9]{4,}|[0-9]+(?!,[0-9]{3}\Z)|[1-9][0-9]{0,2}(\.[0-9]{3})+),[0-9]+\Z")
_COMMA_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}(\.[0-9]{3}){2,}\Z")
_POINT_SURELY = re.compile(r"[+-]?(0?|[0-9]{4,}|[0-9]+(?!\.[0-9]{3}\Z)|[1-9][0-9]{0,2}(,[0-9]{3})+)\.[0-9]+\Z")
_POINT_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3}){2,}\Z")
_EITHER = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}\Z")
_WITH_UNIT = re.compile(r"(?P<before>[^0-9.,+-]*)[+-]?[0-9][0-9.,]*(?P<after>[^0-9.,+-]*)\Z")
_NEGATIVE = re.compile(r"\(.*[0-9].*\)\Z|[0-9][0-9.,\s]*-\Z|.*[0-9]\s*CR\Z", re.IGNORECASE)
"""How books write what is negative: (1), 1- or 1 CR."""
_TIMES = frozenset({"k", "dz", "doz", "dtz", "pr", "tsd", "e"})
"""What multiplies a number, so that leaving it out is no advice."""
_MINUS_SIGNS = str.maketrans(dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d", "-"))
"""What typesetting and word processors make of a minus."""


def read_quantity(text: str, strip: Sequence[str] = ()) -> Quantity:
    """The exact number written in `text`; ValueError (saying what is expected) if there is none.

    `strip` are the units that were left out of it, for the advice.
    """
    if not _DECIMAL_NUMBER.match(text):
        raise TextError(QUANTITY_EXPECTED, _advice(text, strip))
    return unscaled(scaled(Decimal(text)))


def _advice(text: str, strip: Sequence[str]) -> str:
    if _EITHER.match(text) or _COMMA_SURELY.match(text) or _COMMA_GROUPS.match(text) or _POINT_SURELY.match(text):
        return "say which sign is for decimals and which for thousands: set decimal and thousands"
    if _NEGATIVE.match(text):
        return "is it a negative number? Write the minus before it: -1"
    found = _WITH_UNIT.match(text)
    mark = (found["before"].strip() or found["after"].strip()) if found else ""
    if not mark or len(mark) > UNIT_LENGTH_MAX or not is_unit(mark) or mark.casefold() in _TIMES:
        return ""
    other = next((each for each in strip if are_of_one_measure(each, mark)), None)
    if other is not None:
        return f"write it in {other}, as other rows do"
    return f"leave it out with strip = [{mark!r}]"


class NumberReader:
    """Reads the numbers of one column of a file.

    `decimal` is its decimal sign; None: a point, unless the column shows otherwise. `thousands` groups digits by three.
    Each of `strip` (units, symbols) is left out first, before and after the digits.
    """

    def __init__(self, decimal: str | None, thousands: str | None, strip: Sequence[str]) -> None:
        self._decimal = decimal
        self._strip = strip
        self._without_units = unit_stripper(strip)
        self._thousands = thousands
        fraction = re.escape(decimal or ".")
        self._grouped = (
            None
            if thousands is None
            else re.compile(rf"[+-]?[0-9]{{1,3}}({re.escape(thousands)}[0-9]{{3}})+({fraction}[0-9]*)?\Z")
        )
        self._either: str | None = None
        self._points = False
        self._commas: str | None = None

    def __call__(self, text: str) -> Quantity:
        """The number; ValueError (saying what is expected) if there is none."""
        plain = self._without_units(text.translate(_MINUS_SIGNS))
        if self._decimal is None and self._thousands is None:
            self._notice(plain)
        if self._grouped is not None and self._thousands is not None and self._grouped.match(plain):
            plain = plain.replace(self._thousands, "")
        if self._decimal == ",":
            if "." in plain:
                raise TextError(QUANTITY_EXPECTED, 'if the point groups digits, set thousands = "."')
            plain = plain.replace(",", ".")
        return read_quantity(plain, self._strip)

    def _notice(self, text: str) -> None:
        if _EITHER.match(text):
            self._either = self._either or text
        elif _POINT_SURELY.match(text) or _POINT_GROUPS.match(text):
            self._points = True
        elif _COMMA_SURELY.match(text) or _COMMA_GROUPS.match(text):
            self._commas = self._commas or text

    def questions(self) -> Iterator[str]:
        """What the numbers read so far leave open."""
        if self._commas is not None:
            yield f"{self._commas!r} has a comma for decimals or points between thousands: set decimal and thousands"
        elif self._either is not None and not self._points:
            digits = re.sub(r"[.,]", "", self._either)
            exact = self._either.replace(",", ".")
            yield f"{self._either!r} can be read as {digits} or as {exact}: set decimal and thousands"
