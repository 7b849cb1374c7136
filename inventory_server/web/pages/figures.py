"""Figures as people read them: a true minus sign, thousands apart, and what they need to stand on their point."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from inventory_server.web.pages.texts import Texts
from pos_client.protocol.units import Quantity

MINUS = "\N{MINUS SIGN}"
_FRACTION_PLACES = 3
"""A quantity that is not whole has at least so many places, as scales print them: all stand on the same point."""


class ShownFigure(NamedTuple):
    """A quantity as it is shown: its text, how many places it takes after the point, and its sign."""

    text: str
    places: int
    is_zero: bool
    is_negative: bool

    @property
    def classes(self) -> str:
        """The classes of its cell."""
        sign = " zero" if self.is_zero else " below" if self.is_negative else ""
        return f"p{min(self.places, _FRACTION_PLACES)}{sign}"


def figure(value: Quantity, texts: Texts, signed: bool = False) -> ShownFigure:
    """How `value` is shown; with `signed` a positive one has a plus sign."""
    number = Decimal(value)
    exponent = number.normalize().as_tuple().exponent
    places = max(0, -exponent) if isinstance(exponent, int) else 0
    places = max(places, _FRACTION_PLACES) if places else 0
    text = f"{abs(number):,.{places}f}"
    if texts("format.point") == ",":
        text = text.translate({ord(","): ".", ord("."): ","})
    sign = MINUS if number < 0 else "+" if signed and number > 0 else ""
    return ShownFigure(sign + text, places, number == 0, number < 0)
