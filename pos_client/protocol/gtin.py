"""GTINs, the numbers in barcodes: 8, 12, 13 and 14 digits are forms of one number of 14 digits.

A GTIN-8, a UPC-A (12 digits), an EAN-13 and a GTIN-14 are the same number with or without leading zeros: which form
a till sends depends on its scanner. The last digit is a check digit. See the GS1 General Specifications, section 7.9.
"""

from __future__ import annotations

FORMS = (8, 12, 13, 14)
"""How many digits a GTIN may be written with."""
OWN_CODES = range(4, 8)
"""How many digits a code of a shop's own may have; fewer are quantities or prices, more are barcodes."""
SUSPENSE_PREFIX = "gtin:"
"""A sku that begins so is not a catalogue's: `gtin:` and 14 digits is the product of a barcode that nobody listed."""
_DIGITS = max(FORMS)


def padded(digits: str) -> str:
    """The 14 digits of a GTIN in any form, whether its check digit is right or not."""
    return digits.zfill(_DIGITS)


def check_digit(digits: str) -> int:
    """The check digit that the digits before the last call for."""
    before = padded(digits)[:-1]
    return -(3 * sum(map(int, before[::2])) + sum(map(int, before[1::2]))) % 10


def checked(digits: str) -> str:
    """The 14 digits of a GTIN; ValueError, which says what was expected, if it is none."""
    if len(digits) not in FORMS or not (digits.isascii() and digits.isdecimal()):
        *first, last = map(str, FORMS)
        raise ValueError(f"{', '.join(first)} or {last} digits")
    expected = check_digit(digits)
    if int(digits[-1]) != expected:
        raise ValueError(f"the check digit {expected} at the end")
    return padded(digits)


def is_own_code(digits: str) -> bool:
    """True if `digits` are a code of a shop's own, such as a PLU: it has no check digit, and is filled with zeros."""
    return len(digits) in OWN_CODES and digits.isascii() and digits.isdecimal()


def scanned(digits: str) -> str:
    """What was scanned or typed, as a till sends it: a code of a shop's own has the 14 digits that it is listed by."""
    return padded(digits) if is_own_code(digits) else digits


def suspense_sku(digits: str) -> str:
    """The sku of a barcode that no catalogue lists; it equals no other sku."""
    return SUSPENSE_PREFIX + padded(digits)
