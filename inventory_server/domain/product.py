"""Products and suppliers as a catalogue lists them. Quantities are integers of 10⁻⁵."""

from __future__ import annotations

from dataclasses import dataclass, field

OF_SUPPLIER = ("lead_time_days", "order_cycle_days", "order_by_hour")
"""What a supplier states, and a product where it differs from its supplier."""
PER_LOCATION = ("reorder_point", "supplier", "pack_size", "minimum")
"""What a product states, and a location where it differs there."""
FIELDS = ("sku", "name", "unit", "barcode", "barcode_units", *PER_LOCATION, *OF_SUPPLIER, "location")
"""The fields of a row of a catalogue, by the names of their columns."""


@dataclass(frozen=True, slots=True)
class Ranged:
    """A location that a product is ranged for, with what it states differently there; None: as the product."""

    location: str
    reorder_point: int | None = None
    supplier: str | None = None
    pack_size: int | None = None
    minimum: int | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """A product of a catalogue; `barcodes` are GTINs of 14 digits, `order_by_hour` is 0 to 23.

    `packs` has how many units of the product those barcodes stand for that stand for more than one: a case of 12.

    `ranged` are the locations that it is ranged for; none: no location in particular. None leaves them as they are.
    Without a row of its own, only rows for locations, it keeps its own `PER_LOCATION`.
    """

    sku: str
    name: str | None = None
    unit: str | None = None
    reorder_point: int | None = None
    barcodes: tuple[str, ...] = ()
    ranged: tuple[Ranged, ...] | None = None
    supplier: str | None = None
    pack_size: int | None = None
    minimum: int | None = None
    lead_time_days: int | None = None
    order_cycle_days: int | None = None
    order_by_hour: int | None = None
    has_own_row: bool = True
    packs: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Supplier:
    """A supplier: days from order to delivery, days from one order to the next, the hour by which to order."""

    supplier: str
    lead_time_days: int | None = None
    order_cycle_days: int | None = None
    order_by_hour: int | None = None
