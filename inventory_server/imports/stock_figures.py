"""The figures of a stock sheet by product, and the ids of the counts that they become."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from inventory_server.imports.stock_sheet import StockSheet
from pos_client.files.postings import posting_id
from pos_client.files.problems import Problem
from pos_client.protocol.units import QUANTITY_MAX, QUANTITY_UNIT, unscaled

_SOURCE = "stock import"
"""What the ids of imported counts begin with; part of each."""


def figures_of(
    sheet: StockSheet, listed: Mapping[str, tuple[str, int]], report: Callable[[Problem], None]
) -> dict[str, dict[str, int]]:
    """How much of each SKU was counted at each location; `listed` says what barcodes stand for, and for how many.

    `report` receives what is there twice, barcodes that nobody listed, and parts of packs that are no whole units. What
    is counted by several codes of one product is added up.
    """
    seen: dict[tuple[str, str, bool], int] = {}
    found: dict[str, dict[str, int]] = {}
    for each in sheet.figures:
        before = seen.setdefault((each.location, each.code, each.is_barcode), each.line)
        sku, units = listed.get(each.code, (None, 1)) if each.is_barcode else (each.code, 1)
        quantity = each.quantity * units
        if before != each.line:
            reason = (
                f"expected each product once, got {each.code!r} at {each.location!r} again; it is also in line "
                f"{before}: add up what was counted in several places"
            )
        elif sku is None:
            reason = f"barcode: expected one that the catalogue lists, got {each.code!r}; list it first"
        elif units != 1 and quantity % QUANTITY_UNIT:
            reason = (
                f"expected a whole number of units, got {unscaled(each.quantity)} packs of {units} of {sku!r}; count "
                "what is loose by the barcode of one"
            )
        else:
            here = found.setdefault(each.location, {})
            here[sku] = here.get(sku, 0) + quantity
            if here[sku] <= QUANTITY_MAX * QUANTITY_UNIT:
                continue
            reason = f"expected at most {QUANTITY_MAX:,} of {sku!r} at {each.location!r}, got more in all rows"
        report(Problem(sheet.file, each.line, reason))
    return found


def count_id(location: str, counted_at: int, lines: Sequence[tuple[str, int]]) -> UUID:
    """The id of a count of HQ: the same for the same figures at the same instant, so that a repeat changes nothing."""
    figures = hashlib.sha256(json.dumps(lines, ensure_ascii=False).encode()).hexdigest()
    return posting_id(_SOURCE, [location, str(counted_at), figures], counted_at)
