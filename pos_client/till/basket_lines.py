"""Converts the lines that a till program passes (tuples, texts, Decimals) to exact `Line`s; rejects floats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

from msgspec import UnsetType, structs

from pos_client.protocol.messages import Line
from pos_client.protocol.printable import printable
from pos_client.protocol.units import QUANTITY_EXPECTED, Quantity

QuantityLike = int | str | Decimal
"""A quantity as a till program may pass it: 2, "0.35" or Decimal("0.35"), never a float."""
LineLike = Line | tuple[str, QuantityLike]
"""A line as a till program may pass it: (sku, quantity) or a `Line`."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?\Z")


def exact_quantity(value: object, what: str = "quantity") -> Quantity:
    """`value` as the protocol's `Quantity`; TypeError for a float, ValueError for text that is not a number.

    `what` names the value in the error.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        why = " (a float has no exact decimal value: 0.1 is not one tenth)" if isinstance(value, float) else ""
        raise TypeError(
            f"A {what} is an int, a Decimal or text such as '0.35', not {type(value).__name__} {value!r}{why}."
        )
    if isinstance(value, str):
        if not _NUMBER.match(value):
            raise ValueError(f"A {what} is {QUANTITY_EXPECTED}, not '{printable(value)}'.")
        return Decimal(value) if "." in value else int(value)
    return value


def as_lines(lines: Iterable[LineLike]) -> list[Line]:
    """The lines of a posting, with exact quantities and prices; TypeError for one line where several are expected."""
    if isinstance(lines, str | bytes | Line | Mapping) or (
        isinstance(lines, tuple) and lines and isinstance(lines[0], str)
    ):
        raise TypeError(f"lines is a sequence of (sku, quantity) or Line, such as [('MILK-1L', 2)], not {lines!r}.")
    return [as_line(line) for line in lines]


def as_line(line: object) -> Line:
    """One line, with exact quantity and price."""
    if isinstance(line, Line):
        price = line.unit_price
        return structs.replace(
            line,
            quantity=exact_quantity(line.quantity),
            unit_price=price if isinstance(price, UnsetType) else exact_quantity(price, "price"),
        )
    if isinstance(line, tuple) and len(line) == 2 and isinstance(line[0], str):
        return Line(quantity=exact_quantity(line[1]), sku=line[0])
    raise TypeError(f"A line is (sku, quantity) or a Line, not {line!r}.")
