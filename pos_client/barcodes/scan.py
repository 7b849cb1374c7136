"""`Scan`: what one barcode says, as a line of a posting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from msgspec import UNSET

from pos_client.protocol.errors import TillwireError
from pos_client.protocol.messages import Line
from pos_client.protocol.units import Quantity


class BarcodeError(TillwireError):
    """A code that cannot be read; the message says what was expected, what came and what to do."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What a barcode says. It names its product by `gtin` (14 digits) or by `sku`; what it does not say is None.

    `quantity` is in `unit` (kg, lb or piece); `price` is that of the whole label, in `currency` (ISO 4217). `raw` is
    what the scanner sent.
    """

    raw: str
    gtin: str | None = None
    sku: str | None = None
    quantity: Quantity | None = None
    unit: str | None = None
    price: Quantity | None = None
    currency: str | None = None
    lot: str | None = None
    serial: str | None = None
    expires: date | None = None
    best_before: date | None = None

    def line(self, quantity: Quantity | None = None) -> Line:
        """The line of a posting: of `quantity`, else of that in the code, else of one.

        BarcodeError for a label with a price and no quantity: that is not one of anything.
        """
        if quantity is None:
            quantity = self.quantity
        if quantity is None and self.price is not None:
            raise BarcodeError(
                f"{self.raw!r} holds a price and no quantity: give the quantity, price ÷ price of a unit."
            )
        code = {"sku": self.sku} if self.sku is not None else {"gtin": self.gtin or UNSET}
        return Line(1 if quantity is None else quantity, **code)

    def ext(self) -> dict[str, Any]:
        """What a line does not hold, as a JSON object: the code as scanned, lot, serial number and dates."""
        said = {"scan": self.raw, "lot": self.lot, "serial": self.serial}
        dates = {"expires": self.expires, "best_before": self.best_before}
        said |= {name: None if day is None else day.isoformat() for name, day in dates.items()}
        return {name: value for name, value in said.items() if value is not None}


def ext_of(scans: Iterable[Scan | None]) -> dict[str, Any]:
    """The `ext` of a posting whose lines were scanned so, in order; None for a line that was not.

    Each entry of `scans` has the number of its `line`, from 0, and what `Scan.ext` says.
    """
    return {"scans": [{"line": at, **scan.ext()} for at, scan in enumerate(scans) if scan is not None]}
