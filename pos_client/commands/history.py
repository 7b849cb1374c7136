"""`stock-query history`: every movement of a product."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import click

from pos_client.commands import console
from pos_client.commands.asking import PROGRAM, asking, connected, given, pages
from pos_client.commands.complete_hq import locations, skus
from pos_client.commands.near import near_sku
from pos_client.commands.options import InstantParam, json_option
from pos_client.commands.server_options import Hq
from pos_client.commands.stock_report import StockReport, quantity
from pos_client.protocol.messages import HistoryEntry, HistoryParams, HistoryResult

_COLUMNS = {
    "#": True,
    "happened": False,
    "recorded": False,
    "type": False,
    "location": False,
    "quantity": True,
    "on hand": True,
    "terminal": False,
    "reference": False,
    "flags": False,
}


@click.command("history")
@click.argument("sku", shell_complete=skus)
@click.option("--location", shell_complete=locations, help="Only this store or warehouse.")
@click.option("--from", "since", type=InstantParam(), help="Only what took effect from then on.")
@click.option("--to", "until", type=InstantParam(), help="Only what took effect before.")
@json_option
@asking
def history(
    sku: str, location: str | None, since: datetime | None, until: datetime | None, as_json: bool,
    server: Hq, terminal: str | None, token: str | None,
) -> int:  # fmt: skip
    """Show every movement of SKU in the order in which HQ recorded them, with the stock after each.

    A movement that took effect before a count, but was recorded after it, leaves the stock as it was. Where HQ
    corrected a till's clock, `happened` is the corrected instant.
    """
    question = HistoryParams(sku, given(location), given(since), given(until))
    with connected(server, terminal, token) as (connection, _):
        entries = list(itertools.chain.from_iterable(page.entries for page in pages(connection, "history", question)))
        near = None if entries else near_sku(connection.request, sku)
    if as_json:
        console.print_json(HistoryResult(entries))
        return console.OK if entries else console.FOUND_PROBLEMS
    if not entries:
        hint = "" if near in (None, sku) else f" Did you mean {near}?"
        place = "" if location is None else f" at {location}"
        console.say(
            f"{PROGRAM}: HQ has no movement of {sku}{place}; check the spelling and the period.{hint}", err=True
        )
        return console.FOUND_PROBLEMS
    report = StockReport(datetime.now(UTC), None)
    console.print_table(_COLUMNS, [_row(entry, report) for entry in entries])
    return console.OK


def _row(entry: HistoryEntry, report: StockReport) -> list[str]:
    happened = entry.effective_at if isinstance(entry.effective_at, datetime) else entry.occurred_at
    return [
        f"{entry.position}",
        report.instant(happened),
        report.instant(entry.recorded_at),
        entry.type,
        entry.location,
        quantity(entry.quantity),
        quantity(entry.on_hand_after),
        entry.terminal,
        entry.reference or "",
        " ".join(entry.flags),
    ]
