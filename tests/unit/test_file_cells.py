"""Numbers and codes of cells: exact, or refused with advice that does not make a wrong figure of them."""

from __future__ import annotations

import pytest

from pos_client.files.cells import code_reader, read_listed_sku, read_sku
from pos_client.files.numbers import NumberReader
from pos_client.files.problems import TextError
from pos_client.protocol.units import scaled

# what a cell holds, what is left out of numbers, the number in units of 10⁻⁵
NUMBERS = [
    ("\u22121", [], -100_000),
    ("\u20131", [], -100_000),
    ("2 kg", ["kg"], 200_000),
    ("-$5.00", ["$"], -500_000),
    ("$-5.00", ["$"], -500_000),
    ("kg 2 kg", ["kg"], 200_000),
    ("1'000", ["'"], 100_000_000),
    ("-1'000'000.5", ["'"], -100_000_050_000),
    ("2 pcs", ["kg", "pcs"], 200_000),
]


@pytest.mark.parametrize(("text", "strip", "number"), NUMBERS)
def test_numbers_are_read_exactly(text: str, strip: list[str], number: int) -> None:
    assert scaled(NumberReader(None, None, strip)(text)) == number


# what a cell holds, what is left out of numbers, the advice
NO_NUMBERS = [
    ("(1)", [], "is it a negative number? Write the minus before it: -1"),
    ("(1)", ["$"], "is it a negative number? Write the minus before it: -1"),
    ("($1.50)", ["$"], "is it a negative number? Write the minus before it: -1"),
    ("1-", [], "is it a negative number? Write the minus before it: -1"),
    ("5.00 CR", [], "is it a negative number? Write the minus before it: -1"),
    ("2 kg", [], "leave it out with strip = ['kg']"),
    ("500 g", ["kg"], "write it in kg, as other rows do"),
    ("3 pcs", ["kg"], "leave it out with strip = ['pcs']"),
    ("5k", [], ""),
    ("2 doz", [], ""),
    ("1½", [], ""),
    ("2kg500g", ["kg", "pcs"], ""),
    ("6x2", ["x"], ""),
    ("1'00", ["'"], ""),
    ("1kg000", ["kg"], ""),
    ("--1", [], ""),
]


@pytest.mark.parametrize(("text", "strip", "advice"), NO_NUMBERS)
def test_what_is_no_number_is_refused_with_advice_that_keeps_its_sign_and_size(
    text: str, strip: list[str], advice: str
) -> None:
    with pytest.raises(TextError) as refused:
        NumberReader(None, None, strip)(text)
    assert refused.value.advice == advice


DAMAGED = ["5.01E+12", "5,01E+12", "5.01E12", "5,01e-05", "22752.0", "22752,0", "22752,00"]
ERRORS = ["#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NV", "#BEZUG!", "#¡REF!", "#N/D", "########", "Err:502"]
NOTHINGS = ["NULL", "null", "NaN", "None", "N/A", "-", "—"]
TOTALS = ["Total", "TOTAL:", "Total :", "Grand Total:", "*** Subtotal ***", "Summe:", "Net total"]


@pytest.mark.parametrize("text", DAMAGED + ERRORS + NOTHINGS)
def test_codes_that_a_spreadsheet_or_a_program_damaged_are_refused_unless_they_are_meant(text: str) -> None:
    with pytest.raises(TextError, match="a code"):
        code_reader(read_sku, False)(text)
    assert code_reader(read_sku, True)(text) == text


@pytest.mark.parametrize("text", TOTALS)
def test_the_word_for_a_total_is_no_product(text: str) -> None:
    for read, advice in ((read_sku, "[skip]"), (read_listed_sku, "take such rows out of the file")):
        with pytest.raises(TextError, match="not a total of other rows") as refused:
            code_reader(read, True)(text)
        assert advice in refused.value.advice


@pytest.mark.parametrize("text", ["1E5", "A-1", "15056BL", "10.5", "#12", "NA", "Total Body Cream", "1-2", "0042"])
def test_codes_of_shops_are_left_alone(text: str) -> None:
    assert code_reader(read_sku, False)(text) == text
