"""Units and symbols beside the digits of a cell, and how they are left out without joining what they part."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

_MEASURES = (
    frozenset({"kg", "kgs", "g", "gr", "mg", "t"}),
    frozenset({"l", "ltr", "lt", "ml", "cl", "dl", "hl"}),
    frozenset({"m", "mm", "cm", "dm", "km"}),
    frozenset({"lb", "lbs", "oz"}),
    frozenset({"ft", "in", "yd"}),
)
"""Units that count the same thing in other sizes: leaving out both would take 500 g for 500 kg."""
_SIGNS = frozenset("+-.,()\u2212")


def is_unit(mark: str) -> bool:
    """True if `mark` can be left out of a number without changing it: no digits, signs, brackets or dashes in it."""
    return bool(mark) and not any(
        char in _SIGNS or char.isnumeric() or unicodedata.category(char) in ("Pd", "Ps", "Pe") for char in mark
    )


def are_of_one_measure(one: str, other: str) -> bool:
    """True if two different units count the same thing, such as kg and g."""
    pair = {one.strip().casefold().rstrip("."), other.strip().casefold().rstrip(".")}
    return len(pair) > 1 and any(pair <= measure for measure in _MEASURES)


def unit_stripper(marks: Sequence[str]) -> Callable[[str], str]:
    """A function that leaves `marks` out before and after the digits of a text.

    Between digits it leaves out only what is no letter and groups thousands, such as the `'` of 1'000.
    """
    if not marks:
        return str.strip
    longest = sorted((mark for mark in marks if mark.strip()), key=len, reverse=True)
    any_of = "|".join([r"\s", *(re.escape(mark.strip()) for mark in longest)])
    ends = re.compile(rf"(?s)\s*([+-]?)(?:{any_of})*(.*?)(?:{any_of})*\Z")
    between = "|".join(re.escape(mark) for mark in marks if not any(char.isalpha() for char in mark)) or r"(?!)"
    grouped = re.compile(rf"[+-]?[0-9]{{1,3}}((?:{between})[0-9]{{3}})+([.,][0-9]*)?\Z")
    inner = re.compile(between)

    def stripped(text: str) -> str:
        found = ends.match(text)
        assert found is not None  # it matches any text
        plain = found[1] + found[2]
        return inner.sub("", plain) if grouped.match(plain) else plain

    return stripped
