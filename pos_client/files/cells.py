"""Readers for the cells of a file: codes, currencies, barcodes, posting types; each distinct text is read once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pos_client.files.limits import TEXTS_KEPT_MAX
from pos_client.files.problems import CellError, TextError
from pos_client.files.settings import TypeInFile
from pos_client.protocol import gtin
from pos_client.protocol.fields import Currency, Location, PostingType, Sku
from pos_client.protocol.limits import NAME_LENGTH_MAX
from pos_client.protocol.printable import is_unicode

_DAMAGED = re.compile(r"[0-9]([.,][0-9]+)?[Ee]\+[0-9]+\Z|[0-9][.,][0-9]+[Ee]-?[0-9]+\Z|[0-9]+[.,]0+\Z")
_ERRORS = re.compile(r"#[^\s#]+[!?]\Z|#N/[AD]\Z|#NV\Z|#+\Z|Err:[0-9]{3}\Z")
"""What a spreadsheet shows instead of a value: `#REF!`, `#NAME?`, `#N/A` (`#NV` in German), `###`, `Err:502`."""
_NOTHINGS = frozenset({"null", "nan", "none", "n/a", "-", "--", "–", "—", "?", "undefined", "(null)"})
"""What programs write where they have no value."""
_TOTALS = frozenset(
    {
        *("total", "totals", "subtotal", "sub-total", "sub total", "grand total", "grand totals", "net total", "sum"),
        *("page total", "report total", "total general", "summe", "gesamt", "gesamtsumme", "endsumme", "zwischensumme"),
        *("somme", "sous-total", "total général", "totale", "totale generale", "suma", "totaal", "итого"),
    }
)
"""What a row of a report says that adds up the rows above it."""
_ENCODING = 'if the file was saved by a spreadsheet, set encoding = "cp1252"'


def cell_reader(at: int, column: str, read: Callable[[str], Any], trim: bool) -> Callable[[Sequence[str]], Any]:
    """A function that reads cell `at` of a row with `read`, each distinct text once; CellError where it fails."""
    known: dict[str, Any] = {}

    def value(cells: Sequence[str]) -> Any:
        text = cells[at]
        if text not in known:
            if len(known) >= TEXTS_KEPT_MAX:
                known.clear()
            known[text] = read_cell(column, read, text.strip() if trim else text)
        return known[text]

    return value


def read_cell(column: str, read: Callable[[str], Any], text: str) -> Any:
    """What `read` makes of the text of a cell; CellError where it fails."""
    try:
        return read(text)
    except ValueError as error:
        raise CellError(column, str(error), text, getattr(error, "advice", "")) from error


def type_reader(types: Mapping[str, PostingType | TypeInFile]) -> Callable[[str], TypeInFile]:
    """A function that translates a cell of the type column by the mapping's [types] table."""
    kinds = {text: kind if isinstance(kind, TypeInFile) else TypeInFile(kind) for text, kind in types.items()}

    def read(text: str) -> TypeInFile:
        if text not in kinds:
            raise TextError(
                f"one of {', '.join(kinds)} (the [types] table of the mapping)", "or leave such rows out with [skip]"
            )
        return kinds[text]

    return read


KEEP_CODES = 'set spreadsheet_codes = "keep" if it is meant'
"""The advice where the mapping of a sales file has the setting."""


def code_reader(read: Callable[[str], str], keep_damaged: bool, advice: str = "") -> Callable[[str], str]:
    """`read` for codes that a spreadsheet or a program may have damaged, which are refused unless `keep_damaged`.

    `advice` says what to do where such a code is meant.
    """
    otherwise = advice and f", or {advice}"

    def checked(text: str) -> str:
        if not keep_damaged:
            if _DAMAGED.match(text):
                raise TextError(
                    "a code as it was before a spreadsheet made a number of it", f"export it as text{otherwise}"
                )
            if _ERRORS.match(text):
                raise TextError(
                    "a code, not the error of a spreadsheet's formula", f"mend the formula in the sheet{otherwise}"
                )
            if text.casefold() in _NOTHINGS:
                raise TextError("a code, not a word for none", f"write the code, or leave out the row{otherwise}")
        return read(text)

    return checked


def read_gtin(text: str) -> str:
    """The digits of a barcode; ValueError if they are none, with a hint if a spreadsheet took a zero from them."""
    digits = text.removeprefix("'")
    try:
        gtin.checked(digits)
    except ValueError as error:
        raise TextError(str(error), _lost_zero(digits)) from error
    return digits


def _lost_zero(digits: str) -> str:
    if digits.isascii() and digits.isdecimal() and 7 <= len(digits) < max(gtin.FORMS):
        form = next(form for form in gtin.FORMS if form > len(digits))
        whole = digits.zfill(form)
        if int(digits[-1]) == gtin.check_digit(digits):
            return f"has a spreadsheet taken zeros from the start of {whole}? Export it as text"
    return ""


def is_misread(text: str) -> bool:
    """True of UTF-8 that was read as cp1252 (`KÃ„SE`); what is not cannot be UTF-8 by chance."""
    if text.isascii():
        return False
    try:
        return len(text.encode("cp1252").decode()) < len(text)
    except UnicodeError:
        return False


def _checked(kind: Any, expected: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not is_unicode(text):
            raise TextError(expected, _ENCODING)
        if is_misread(text):
            raise TextError("text in its own encoding", "the file is UTF-8: leave out the encoding that was set")
        try:
            return str(msgspec.convert(text, kind))
        except msgspec.ValidationError as error:
            raise TextError(expected) from error

    return read


_read_sku = _checked(Sku, f"a SKU of 1 to {NAME_LENGTH_MAX} characters, UTF-8, without control characters")


def read_sku(text: str) -> str:
    """A SKU; ValueError if it cannot be one, or is the word for a total."""
    return _no_total(text, "leave such rows out with [skip]")


def read_listed_sku(text: str) -> str:
    """The same in a file that has no [skip]."""
    return _no_total(text, "take such rows out of the file")


def _no_total(text: str, advice: str) -> str:
    if text.strip(" :.*=-\u00a0").casefold() in _TOTALS:
        raise TextError("a product, not a total of other rows", advice)
    return _read_sku(text)


read_location = _checked(
    Location, f"a location of 1 to {NAME_LENGTH_MAX} characters, UTF-8, without control characters"
)
read_lane = _checked(Location, f"a lane of 1 to {NAME_LENGTH_MAX} characters, UTF-8, without control characters")
read_currency = _checked(Currency, "an ISO 4217 currency code such as EUR")
