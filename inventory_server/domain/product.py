"""A product as a catalogue lists it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ranged:
    """A location that a product is ranged for; `reorder_point` in units of 10⁻⁵, None: the product's."""

    location: str
    reorder_point: int | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """A product of a catalogue; `reorder_point` in units of 10⁻⁵, `barcodes` are GTINs of 14 digits.

    `ranged` are the locations that it is ranged for; none: no location in particular. None leaves them as they are.
    """

    sku: str
    name: str | None = None
    unit: str | None = None
    reorder_point: int | None = None
    barcodes: tuple[str, ...] = ()
    ranged: tuple[Ranged, ...] | None = None
