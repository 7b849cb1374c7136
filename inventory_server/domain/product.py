"""A product as a catalogue lists it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    """One row of a catalogue; `reorder_point` in units of 10⁻⁵, `barcodes` are GTINs of 14 digits."""

    sku: str
    name: str | None = None
    unit: str | None = None
    reorder_point: int | None = None
    barcodes: tuple[str, ...] = ()
