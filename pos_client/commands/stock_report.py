"""The stock report: an answer of `stock` as table rows, CSV cells and sentences. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

import msgspec

from pos_client.protocol.messages import Completeness, Hole, SilentTill, StockItem, UnknownItem
from pos_client.protocol.units import Quantity

if TYPE_CHECKING:
    from pos_client.files.exporting import ExportCell

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
"""The columns of the table, and whether they are numeric."""

_NAMES = ("name", "unit")
FIELDS = tuple(field for field in StockItem.__struct_fields__ if field not in _NAMES)
NAMED_FIELDS = (*FIELDS, *_NAMES)
"""The columns of CSV and workbooks, without names and with them."""
NAMED_COLUMNS: Mapping[str, bool] = {"sku": False, "name": False, "unit": False, **COLUMNS}


class StockReport:
    """Formats stock for people: instants are in `zone`, and show the date unless it is today."""

    def __init__(self, now: datetime, zone: tzinfo | None) -> None:
        self._zone = zone
        self._today = now.astimezone(zone).date()

    def instant(self, moment: datetime | None) -> str:
        """`moment` as text, empty for None."""
        if moment is None:
            return ""
        local = moment.astimezone(self._zone)
        return f"{local:%H:%M}" if local.date() == self._today else f"{local:%Y-%m-%d %H:%M}"

    def row(self, item: StockItem) -> list[str]:
        """One stock level as the cells of `COLUMNS`."""
        return [
            f"{item.sku} (unlisted)" if item.unlisted else item.sku,
            item.location or "",
            quantity(item.on_hand),
            quantity(item.reserved),
            quantity(item.available),
            quantity(item.in_transit),
            "" if item.reorder_point is None else quantity(item.reorder_point),
            self.instant(item.counted_at),
            self.instant(item.last_movement_at),
        ]

    def named_row(self, item: StockItem) -> list[str]:
        """One stock level as the cells of `NAMED_COLUMNS`."""
        sku, *rest = self.row(item)
        return [sku, item.name or "", item.unit or "", *rest]

    def completeness(self, location: str, told: Completeness) -> str:
        """How complete the figures of `location` are, as one sentence without a full stop."""
        gaps = [self._silence(till) for till in told.silent]
        if told.pending:
            gaps.append(f"{told.pending} {'posting' if told.pending == 1 else 'postings'} pending at the tills")
        gaps += [_missing(hole) for hole in told.holes]
        if told.holes_total > len(told.holes):
            gaps.append(f"{told.holes_total - len(told.holes)} more ranges of postings missing")
        separator = ": " if told.tills and told.complete_to is None else "; "
        return f"{location}: {separator.join(filter(None, (self._complete_to(told), '; '.join(gaps))))}"

    def _complete_to(self, told: Completeness) -> str:
        if not told.tills:
            return "no tills"
        tills = f"{told.tills} {'till' if told.tills == 1 else 'tills'}{_closed(told)}"
        if told.complete_to is None:
            return f"figures may be incomplete ({tills})"
        return f"complete to {self.instant(told.complete_to)} ({tills})"

    def _silence(self, till: SilentTill) -> str:
        return f"{till.terminal} silent since {self.instant(till.since)}"


def _closed(told: Completeness) -> str:
    if not told.closed:
        return ""
    if len(told.closed) == told.tills:
        return " closed" if told.tills == 1 else ", all closed"
    return f", {len(told.closed)} closed"


def _missing(hole: Hole) -> str:
    if hole.from_ == hole.to:
        return f"posting {hole.from_} of {hole.terminal} missing"
    return f"postings {hole.from_}–{hole.to} of {hole.terminal} missing"


def quantity(value: Quantity) -> str:
    """An exact quantity as text, without an exponent."""
    return f"{value:f}" if not isinstance(value, int) else str(value)


def fields(item: StockItem, names: Sequence[str] = FIELDS) -> list[ExportCell]:
    """One stock level as the cells of `names`: instants in RFC 3339, `unlisted` or nothing, absent values empty."""
    return [_cell(name, getattr(item, name)) for name in names]


def _cell(name: str, value: Any) -> ExportCell:
    if isinstance(value, bool):
        return name if value else ""
    if value is None:
        return ""
    return str(msgspec.to_builtins(value)) if isinstance(value, datetime) else value


def unknown(items: Sequence[UnknownItem]) -> list[str]:
    """What the question named and HQ does not know, as text."""
    named = []
    for item in items:
        parts = [("sku", item.sku), ("barcode", item.gtin), ("location", item.location), ("product named", item.search)]
        named.append(" at ".join(f"{word} {value}" for word, value in parts if value is not None))
    return named
