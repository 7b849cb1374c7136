"""Typed postings: what a body says, in integers. Instants are microseconds since 1970 UTC, quantities units of 10⁻⁵."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

UNITS = 100_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
FOREVER = 2**63 - 1
"""Later than every instant: when a reservation without an expiry ends."""

ON_HAND = {"sale": -1, "return": 1, "receipt": 1, "adjustment": 1, "transfer_out": -1, "transfer_in": 1}
"""The types that move stock, each with the sign of its lines."""
WITH_LINES = {*ON_HAND, "count", "reserve", "release"}
TYPES = {*WITH_LINES, "transfer_close", "void", "merge"}

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_REQUIRED = {
    "transfer_out": ("other_location",),
    "transfer_close": ("transfer", "reason"),
    "void": ("voids",),
    "merge": ("merge", "into"),
}
_REASONS = ("lost", "refused", "mistake")

Order = tuple[int, int]
"""A place in the order of events: the effective instant, then the position."""


class Invalid(Exception):
    """A body that can never be posted, and what is wrong with it."""


class Line(NamedTuple):
    """A product and how much of it."""

    sku: str
    quantity: int


@dataclass(frozen=True)
class Sender:
    """Who posts: a terminal of a location. `earlier` are the other locations it, or a terminal it adopted, was of."""

    terminal: str
    home: str
    operator: bool = False
    earlier: frozenset[str] = frozenset()
    backdated: bool = False

    def may_post_at(self, location: str) -> bool:
        """True where this sender's postings of `location` are accepted."""
        return self.operator or location == self.home or location in self.earlier


@dataclass(frozen=True)
class Document:
    """What a body says by itself. Names of other postings are their ids."""

    type: str
    occurred_at: int
    lines: tuple[Line, ...] = ()
    location: str | None = None
    other_location: str | None = None
    reference: str | None = None
    transfer: str | None = None
    reservation: str | None = None
    returns: str | None = None
    voids: str | None = None
    merge: str | None = None
    into: str | None = None
    expires_at: int = FOREVER
    details: tuple[Any, ...] = ()
    """Per line whatever else it says: price, currency, reason."""

    @property
    def quantities(self) -> dict[str, int]:
        """Per sku the sum of its lines, in the order in which the lines name them."""
        sums: dict[str, int] = {}
        for sku, quantity in self.lines:
            sums[sku] = sums.get(sku, 0) + quantity
        return sums

    @property
    def source(self) -> str | None:
        """The id of the transfer, reservation or sale that this document draws on, where it names one."""
        named = {
            "transfer_in": self.transfer,
            "transfer_close": self.transfer,
            "release": self.reservation,
            "sale": self.reservation,
            "return": self.returns,
        }
        return named.get(self.type)


@dataclass(frozen=True, eq=False)
class Posting:
    """A document in the ledger. `voided_on_arrival`: its void had come before it."""

    position: int
    id: str
    document: Document
    sender: Sender
    location: str
    recorded_at: int
    effective_at: int
    expires_at: int = FOREVER
    voided_on_arrival: bool = False

    @property
    def type(self) -> str:
        """The type of its document."""
        return self.document.type

    @property
    def order(self) -> Order:
        """Its place in the order of events."""
        return self.effective_at, self.position

    @property
    def moves(self) -> dict[str, int]:
        """What it does to `on_hand` at its location, per sku."""
        sign = ON_HAND.get(self.type, 0)
        return {sku: sign * quantity for sku, quantity in self.document.quantities.items() if sign}


def instant(text: str) -> int:
    """The instant of an RFC 3339 text; raises ValueError for anything else."""
    delta = datetime.fromisoformat(text) - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def document(body: Mapping[str, Any], barcodes: Mapping[str, str]) -> Document:
    """What a body says; `barcodes` lists the sku of each 14-digit GTIN. Raises Invalid."""
    kind = body.get("type")
    if kind not in TYPES:
        raise Invalid("type")
    for name in ("occurred_at", *_REQUIRED.get(kind, ())):
        if name not in body:
            raise Invalid(name)
    _check_lines(kind, body.get("lines", []))
    if kind == "transfer_close" and body["reason"] not in _REASONS:
        raise Invalid("reason")
    texts = ("location", "other_location", "reference", "transfer", "reservation", "returns", "voids", "merge", "into")
    try:
        return Document(
            type=kind,
            occurred_at=instant(body["occurred_at"]),
            lines=tuple(Line(product(line, barcodes), units(line["quantity"])) for line in body.get("lines", [])),
            expires_at=instant(body["expires_at"]) if "expires_at" in body else FOREVER,
            details=tuple({k: v for k, v in line.items() if k != "quantity"} for line in body.get("lines", [])),
            **{name: body.get(name) for name in texts},
        )
    except (ValueError, KeyError, InvalidOperation) as error:
        raise Invalid("body") from error


def _check_lines(kind: str, lines: list[dict[str, Any]]) -> None:
    if (kind in WITH_LINES and not lines) or (kind in ("void", "merge") and lines):
        raise Invalid("lines")
    if any(("sku" in line) == ("gtin" in line) for line in lines):
        raise Invalid("sku or gtin")


def product(line: Mapping[str, Any], barcodes: Mapping[str, str]) -> str:
    """The sku of a line: a GTIN of any length is its 14 digits, and its own product where nobody listed it."""
    if "sku" in line:
        return str(line["sku"])
    digits = str(line["gtin"]).zfill(14)
    return barcodes.get(digits, f"gtin:{digits}")


def units(quantity: object) -> int:
    """An exact quantity in units of 10⁻⁵; raises ValueError where it has more decimals or is no number."""
    number = Decimal(str(quantity))
    if not number.is_finite() or number * UNITS != int(number * UNITS):
        raise ValueError(quantity)
    return int(number * UNITS)
