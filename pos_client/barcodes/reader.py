"""`BarcodeReader`: what a scanner sent, whatever kind of code it is."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pos_client.barcodes.gs1 import SEPARATOR, is_link, read_gs1
from pos_client.barcodes.limits import CODE_CHARS_MAX, CODE_CHARS_SHOWN
from pos_client.barcodes.patterns import ScalePattern
from pos_client.barcodes.scan import BarcodeError, Scan
from pos_client.protocol import gtin

_SYMBOLOGY = re.compile(r"\][A-Za-z][0-9A-Za-z]")
"""What some scanners send first: the kind of code that it was (ISO/IEC 15424)."""


class BarcodeReader:
    """Reads codes; `patterns` are those of the shop's scales.

    ValueError if two patterns could mean the same code.
    """

    def __init__(self, patterns: Iterable[ScalePattern] = ()) -> None:
        # The longest prefix first: it is the most specific.
        self._patterns = sorted(patterns, key=lambda pattern: -len(pattern.prefix))
        seen: set[tuple[str, int]] = set()
        for pattern in self._patterns:
            key = (pattern.prefix, len(pattern.layout))
            if key in seen:
                raise ValueError(f"two patterns for codes of {key[1]} digits with the prefix {key[0]}: expected one")
            seen.add(key)

    def read(self, raw: str) -> Scan:
        """What the code says; BarcodeError if it cannot be read.

        Codes are those of a scale, if a pattern fits; a GTIN of 8, 12, 13 or 14 digits; a shop's own of 4 to 7 digits;
        GS1 element strings, as scanned or in brackets, and GS1 Digital Links, for which the extra `barcodes` is needed.
        """
        text = raw.strip(" \r\n\t")
        symbology = _SYMBOLOGY.match(text)
        if symbology is not None:
            text = text[symbology.end() :]
        if len(text) > CODE_CHARS_MAX:
            raise BarcodeError(f"A code of {len(text)} characters is none: expected at most {CODE_CHARS_MAX}.")
        if text.isascii() and text.isdecimal() and (scan := self._of_digits(raw, text, symbology is None)) is not None:
            return scan
        if is_link(text) or text.startswith("(") or _is_message(text):
            return read_gs1(raw, text)
        expected = "the digits of a barcode, GS1 element strings or a GS1 Digital Link"
        shown = repr(raw[:CODE_CHARS_SHOWN])
        raise BarcodeError(
            f"{shown} is no code that can be read: expected {expected}. Scan it again, or type the number below it."
        )

    def _of_digits(self, raw: str, digits: str, may_be_own: bool) -> Scan | None:
        for pattern in self._patterns:
            if (form := pattern.forms(digits)) is not None:
                return pattern.read(raw, form)
        if may_be_own and gtin.is_own_code(digits):
            return Scan(raw, gtin=gtin.padded(digits))
        if len(digits) not in gtin.FORMS:
            return None
        try:
            return Scan(raw, gtin=gtin.checked(digits))
        except ValueError as error:
            raise BarcodeError(f"{raw!r}: expected {error}: scan it again.") from error


def _is_message(text: str) -> bool:
    """True for element strings: two digits at least, more than a GTIN, or with separators."""
    return text[:1] == SEPARATOR or (text[:2].isdecimal() and (SEPARATOR in text or len(text) > max(gtin.FORMS)))
