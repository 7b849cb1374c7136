"""`ScalePattern`: how the scales of a shop write weight or price into a barcode."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pos_client.barcodes.scan import BarcodeError, Scan
from pos_client.protocol import gtin
from pos_client.protocol.fields import Currency
from pos_client.protocol.units import QUANTITY_PLACES, Quantity, unscaled

_LAYOUT = re.compile(r"P+(X*)I+(X*)V?(W+|Q+|M+)(X*)C?\Z")
_LAYOUT_EXPECTED = (
    "P for the prefix, I for the item, V for the check digit of the figure, then W for a weight, Q for pieces or M for "
    "money, X for what does not count, and C for the check digit of the code, such as PPIIIIIWWWWWC"
)
_UPC_A = 12
"""How long a UPC-A is, which is an EAN-13 without the zero at its start."""


class ScalePattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code of variable weight or price: `PPIIIIIWWWWWC` with the prefix 21 is 21, an item, a weight, a check digit.

    `decimals` is how many digits of the figure are behind the point; `unit` is that of a weight (kg or lb), `currency`
    that of money. The item is found by its code in the catalogue, 4 to 7 digits as a shop's own code; or `sku` names
    it, where `{item}` stands for the digits. The check digit V is left out: scales compute it in several ways.
    """

    prefix: Annotated[str, Meta(pattern=r"^[0-9]{1,4}$(?!\n)")]
    layout: str
    decimals: Annotated[int, Meta(ge=0, le=QUANTITY_PLACES)] = 3
    unit: str = "kg"
    currency: Currency | None = None
    sku: str | None = None

    def __post_init__(self) -> None:
        if not _LAYOUT.match(self.layout) or self.layout.count("P") != len(self.prefix):
            raise ValueError(f"layout: expected {_LAYOUT_EXPECTED}, with as many P as the prefix, got {self.layout!r}")
        if "M" in self.layout and self.currency is None:
            raise ValueError(f"currency: expected that of the money in {self.layout!r}, such as EUR, got none")
        if self.sku is None and self.layout.count("I") not in gtin.OWN_CODES:
            least, most = gtin.OWN_CODES[0], gtin.OWN_CODES[-1]
            expected = f"a text like 'SCALE-{{item}}' unless the item has {least} to {most} digits"
            raise ValueError(f"sku: expected {expected}, got none")
        if self.sku is not None and "{item}" not in self.sku:
            raise ValueError(f"sku: expected a text with {{item}} in it, got {self.sku!r}")

    def forms(self, digits: str) -> str | None:
        """`digits` in the length of this pattern, if they are one of its codes; a UPC-A and its EAN-13 are one code."""
        for form in (digits, f"0{digits}" if len(digits) == _UPC_A else "", digits.removeprefix("0")):
            if len(form) == len(self.layout) and form.startswith(self.prefix):
                return form
        return None

    def read(self, raw: str, digits: str) -> Scan:
        """What the code `digits`, in the length of the pattern, says; BarcodeError for a wrong check digit."""
        if self.layout.endswith("C") and int(digits[-1]) != gtin.check_digit(digits):
            expected = gtin.check_digit(digits)
            raise BarcodeError(f"{raw!r}: expected the check digit {expected} at the end: scan it again.")
        item = self._part(digits, "I")
        named: dict[str, Any] = {"gtin": gtin.padded(item)} if self.sku is None else {}
        if self.sku is not None:
            named = {"sku": self.sku.replace("{item}", item)}
        if "M" in self.layout:
            return Scan(raw, price=self._figure(digits, "M"), currency=self.currency, **named)
        if "Q" in self.layout:
            return Scan(raw, quantity=int(self._part(digits, "Q")), unit="piece", **named)
        return Scan(raw, quantity=self._figure(digits, "W"), unit=self.unit, **named)

    def _part(self, digits: str, letter: str) -> str:
        return "".join(digit for digit, meant in zip(digits, self.layout, strict=True) if meant == letter)

    def _figure(self, digits: str, letter: str) -> Quantity:
        return unscaled(int(self._part(digits, letter)) * 10 ** (QUANTITY_PLACES - self.decimals))


class _Patterns(msgspec.Struct, forbid_unknown_fields=True):
    pattern: list[ScalePattern]


def load_patterns(path: Path | str) -> list[ScalePattern]:
    """The patterns in a TOML file, one `[[pattern]]` for each; BarcodeError if it cannot be used."""
    try:
        return msgspec.convert(tomllib.loads(Path(path).read_text("utf-8")), _Patterns).pattern
    except OSError as error:
        raise BarcodeError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, msgspec.ValidationError) as error:
        raise BarcodeError(f"{path} has no patterns that can be used: {error}.") from error
