"""A stock answer for people and programs: rows, and completeness in plain words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

import msgspec

from pos_client.protocol.messages import Completeness, StockItem, UnknownItem
from pos_client.protocol.units import Quantity

COLUMNS: Mapping[str, bool] = {
    "sku": False,
    "location": False,
    "on hand": True,
    "reserved": True,
    "available": True,
    "in transit": True,
    "reorder point": True,
    "counted at": False,
    "last movement": False,
}
"""The columns of the table, and which of them hold numbers."""

FIELDS = tuple(field for field in StockItem.__struct_fields__ if field != "unlisted")


class Words:
    """Instants as a person reads them: in `zone`, the day left out where it is today's."""

    def __init__(self, now: datetime, zone: tzinfo | None) -> None:
        self._zone = zone
        self._today = now.astimezone(zone).date()

    def instant(self, moment: datetime | None) -> str:
        """`moment` in words, empty for None."""
        if moment is None:
            return ""
        local = moment.astimezone(self._zone)
        return f"{local:%H:%M}" if local.date() == self._today else f"{local:%Y-%m-%d %H:%M}"

    def row(self, item: StockItem) -> list[str]:
        """One level as the cells of `COLUMNS`."""
        return [
            f"{item.sku} (unlisted)" if item.unlisted else item.sku,
            item.location,
            quantity(item.on_hand),
            quantity(item.reserved),
            quantity(item.available),
            quantity(item.in_transit),
            "" if item.reorder_point is None else quantity(item.reorder_point),
            self.instant(item.counted_at),
            self.instant(item.last_movement_at),
        ]

    def completeness(self, location: str, told: Completeness) -> str:
        """How far the figures of `location` can be trusted, as one sentence."""
        parts = [self._complete_to(told)]
        for till in told.silent:
            since = "never heard of" if till.since is None else f"silent since {self.instant(till.since)}"
            parts.append(f"{till.terminal} {since}")
        if told.pending:
            parts.append(f"{told.pending} {'sale' if told.pending == 1 else 'sales'} pending")
        for hole in told.holes:
            numbers = str(hole.from_) if hole.from_ == hole.to else f"{hole.from_}–{hole.to}"
            parts.append(f"hole {numbers} of {hole.terminal}")
        return f"{location}: {'; '.join(parts)}"

    def _complete_to(self, told: Completeness) -> str:
        if not told.tills:
            return "no tills"
        tills = f"{told.tills} {'till' if told.tills == 1 else 'tills'}"
        if told.complete_to is None:
            return f"completeness unknown, not all of {tills} have told everything"
        return f"complete to {self.instant(told.complete_to)} ({tills})"


def quantity(value: Quantity) -> str:
    """An exact quantity without exponent."""
    return f"{value:f}" if not isinstance(value, int) else str(value)


def fields(item: StockItem) -> list[Any]:
    """One level as the cells of `FIELDS`, for CSV: instants in RFC 3339, absent values empty."""
    plain = msgspec.to_builtins(item)
    return [plain.get(field, "") for field in FIELDS]


def unknown(items: Sequence[UnknownItem]) -> list[str]:
    """What was named and HQ has never heard of, as words."""
    named = []
    for item in items:
        parts = [("sku", item.sku), ("barcode", item.gtin), ("location", item.location)]
        named.append(" at ".join(f"{word} {value}" for word, value in parts if value is not None))
    return named
