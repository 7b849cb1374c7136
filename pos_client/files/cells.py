"""Numbers and text in the cells of a file."""

from __future__ import annotations

import re
from decimal import Decimal

from pos_client.protocol.units import QUANTITY_EXPECTED, Quantity, scaled, unscaled

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?\Z")


def read_quantity(text: str) -> Quantity:
    """The exact number written in `text`; ValueError (saying what is expected) where it is none."""
    if not _NUMBER.match(text):
        raise ValueError(QUANTITY_EXPECTED)
    return unscaled(scaled(Decimal(text)))
