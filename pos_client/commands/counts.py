"""`stock-query counts`: what was counted, by how much it was off then and now, and why that changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from pos_client.commands.asking import given, list_all, listing, shown, skus_argument
from pos_client.commands.stock_report import StockReport, quantity
from pos_client.protocol.lists import CountChange, CountsParams, CountsResult, ListedCount
from pos_client.protocol.units import Quantity

_COLUMNS = {
    "counted at": False,
    "location": False,
    "sku": False,
    "counted": True,
    "off then": True,
    "off now": True,
    "terminal": False,
    "reference": False,
    "#": True,
    "what changed it": False,
}


@click.command("counts")
@skus_argument
@click.option("--off", is_flag=True, help="Only counts that are off now.")
@listing
def counts(skus: tuple[str, ...], off: bool, **options: Any) -> int:
    """List stock counts and by how much they were off: counted minus the stock just before.

    Off then is as HQ knew it when it recorded the count, off now with all that arrived later: a sale of a till that was
    offline explains what seemed to be missing. The last column names what arrived later.
    """
    question = CountsParams(skus=given(list(skus) or None), off=True if off else given(None))
    answer: CountsResult = list_all("counts", question, "counts", options)
    report = StockReport(datetime.now(UTC), None)
    rows = [_row(each, report) for each in answer.counts]
    return shown(answer, options["as_json"], _COLUMNS, rows, "There is no such count.")


def _row(count: ListedCount, report: StockReport) -> list[str]:
    counted_at = count.effective_at if isinstance(count.effective_at, datetime) else count.occurred_at
    more = [f"{count.changes_total - len(count.changes)} more"] if count.changes_total > len(count.changes) else []
    return [
        report.instant(counted_at),
        count.location,
        count.sku,
        quantity(count.counted),
        _signed(count.variance_then),
        _signed(count.variance_now),
        count.terminal,
        count.reference or "",
        f"{count.position}",
        ", ".join([*map(_change, count.changes), *more]),
    ]


def _change(change: CountChange) -> str:
    named = f" {change.reference}" if change.reference else ""
    return f"{_signed(change.quantity)} {change.type}{named} of {change.terminal} (#{change.position})"


def _signed(value: Quantity) -> str:
    return f"+{quantity(value)}" if value > 0 else quantity(value)
