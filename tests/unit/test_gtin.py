"""GTINs: one number of 14 digits in four forms, its check digit, and the sku of a barcode that nobody listed."""

from __future__ import annotations

import re

import pytest

from pos_client.protocol import gtin

FORMS = [
    ("40000008", "00000040000008"),
    ("012345678905", "00012345678905"),
    ("4000000000020", "04000000000020"),
    ("14000000000027", "14000000000027"),
    ("36000291452", "00036000291452"),  # a UPC-A that lost its leading zero
]


@pytest.mark.parametrize(("digits", "whole"), FORMS)
def test_every_form_is_one_number_of_14_digits(digits: str, whole: str) -> None:
    assert [gtin.padded(form) for form in (digits, digits.zfill(12), digits.zfill(13), whole)] == [whole] * 4
    assert gtin.suspense_sku(digits) == f"gtin:{whole}"


CHECK_DIGITS = [  # worked by hand as in the GS1 General Specifications: the digit before the check digit counts three
    ("40000000", 8),  # 3*4 = 12
    ("20000010", 1),  # 3*2 + 3*1 = 9
    ("012345678900", 5),  # 3*(0+2+4+6+8+0) + (1+3+5+7+9) = 85
    ("4000000000020", 0),  # 4 + 3*2 = 10
    ("4012345000000", 9),  # 3*(0+2+4) + (4+1+3+5) = 31
    ("14000000000020", 7),  # 3*(1+2) + 4 = 13
    ("99999999999990", 7),  # 3*7*9 + 6*9 = 243 -> 7
    ("00000000", 0),
]


@pytest.mark.parametrize(("digits", "expected"), CHECK_DIGITS)
def test_the_check_digit_weighs_every_other_digit_by_three(digits: str, expected: int) -> None:
    assert gtin.check_digit(digits) == expected


VALID = ["40000008", "012345678905", "4000000000020", "14000000000027"]


@pytest.mark.parametrize("digits", VALID)
def test_a_gtin_in_a_catalogue_is_kept_as_14_digits(digits: str) -> None:
    assert gtin.checked(digits) == digits.zfill(14)


@pytest.mark.parametrize("digits", VALID)
def test_every_wrong_digit_is_noticed(digits: str) -> None:
    for at, was in enumerate(digits):
        for digit in set("0123456789") - {was}:
            with pytest.raises(ValueError, match=r"^the check digit [0-9] at the end$"):
                gtin.checked(digits[:at] + digit + digits[at + 1 :])


REFUSED = [
    ("40000003", "the check digit 8 at the end"),
    ("36000291452", "8, 12, 13 or 14 digits"),
    ("", "8, 12, 13 or 14 digits"),
    ("123456789", "8, 12, 13 or 14 digits"),
    ("004000000000020", "8, 12, 13 or 14 digits"),
    ("4000000X", "8, 12, 13 or 14 digits"),
    ("-4000008", "8, 12, 13 or 14 digits"),
    ("4000000\u0668", "8, 12, 13 or 14 digits"),
    ("4000000\u00b2", "8, 12, 13 or 14 digits"),
]


@pytest.mark.parametrize(("digits", "expected"), REFUSED)
def test_what_is_no_gtin_is_refused_with_what_was_expected(digits: str, expected: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(expected)}$"):
        gtin.checked(digits)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("4011", "00000000004011"),
        ("1234567", "00000001234567"),
        ("123", "123"),
        ("40000008", "40000008"),
        ("4O11", "4O11"),
    ],
)
def test_a_code_of_a_shop_s_own_is_filled_with_zeros(typed: str, sent: str) -> None:
    assert gtin.scanned(typed) == sent
