"""`pos-client sell` and `pos-client return`: record what customers buy and bring back in the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import click

from pos_client.commands.complete import outbox_postings
from pos_client.commands.recording import goods, named_lines, priced, prices, record, recording
from pos_client.protocol.messages import Line
from pos_client.protocol.units import Quantity

Prices = Sequence[tuple[str, Quantity]]


@click.command("sell")
@goods
@prices
@recording
def sell(lines: Sequence[Line], barcodes: Sequence[Line], prices: Prices, currency: str | None, **given: Any) -> int:
    """Record a sale. It is stored in the outbox before anything is sent; HQ may be unreachable for weeks.

    With --wait, the exit code is 0 if HQ posted the sale, 1 if HQ rejected it, 2 if HQ did not answer in time or
    refused the till (the sale stays pending). A negative QUANTITY is a return. Use `--` before a SKU that starts with
    `-`.
    """
    basket = priced(named_lines(lines, barcodes), prices, currency)
    return record(lambda till, details: till.sell(basket, **details), "the sale", **given)


@click.command("return")
@goods
@prices
@click.option(
    "--returns",
    type=click.UUID,
    shell_complete=outbox_postings("sale"),
    help="The id of the sale that the goods are from, if it is known.",
)
@recording
def return_(
    lines: Sequence[Line], barcodes: Sequence[Line], prices: Prices, currency: str | None, returns: UUID | None,
    **given: Any,
) -> int:  # fmt: skip
    """Record goods that a customer brought back; exit codes as for `sell`. To undo a sale never made, see `void`."""
    basket = priced(named_lines(lines, barcodes), prices, currency)
    return record(lambda till, details: till.return_(basket, returns=returns, **details), "the return", **given)
