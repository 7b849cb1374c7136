"""`stock-query sales`: what was sold, per product, location and business day."""

from __future__ import annotations

from typing import Any

import click

from pos_client.commands.asking import given, list_all, listing, shown, skus_argument
from pos_client.commands.stock_report import quantity
from pos_client.protocol.lists import ListedSales, SalesParams, SalesResult

_COLUMNS = {
    "day": False,
    "location": False,
    "sku": False,
    "sold": True,
    "returned": True,
    "value": True,
    "without price": True,
}


@click.command("sales")
@skus_argument
@listing
def sales(skus: tuple[str, ...], **options: Any) -> int:
    """List what was sold per product, location and business day, and for how much.

    Sold is without what was returned that day. The value is that of the lines with a price; the quantity of all others
    is shown as without price.
    """
    answer: SalesResult = list_all("sales", SalesParams(skus=given(list(skus) or None)), "sales", options)
    return shown(answer, options["as_json"], _COLUMNS, [_row(each) for each in answer.sales], "Nothing was sold.")


def _row(sold: ListedSales) -> list[str]:
    values = [f"{quantity(value.amount)} {value.currency or 'of unknown currency'}" for value in sold.values]
    figures = [quantity(sold.quantity), quantity(sold.returned)]
    return [sold.day.isoformat(), sold.location, sold.sku, *figures, ", ".join(values), quantity(sold.unpriced)]
