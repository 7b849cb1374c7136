"""`stock-query exceptions`: what waits for a person, by cause, and what settles it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import click

from pos_client.commands import console
from pos_client.commands.asking import PROGRAM, asking, connected, given, locations_option, note_till
from pos_client.commands.options import NearChoice, json_option
from pos_client.commands.stock_report import StockReport
from pos_client.protocol.fields import Flag
from pos_client.protocol.lists import ExceptionsParams, ExceptionsResult, ListedException

_COLUMNS = {
    "flag": False,
    "of": False,
    "location": False,
    "count": True,
    "first": False,
    "last": False,
    "#": True,
    "settled before": False,
    "what to do": False,
}


@click.command("exceptions")
@click.option("--flag", type=NearChoice(get_args(Flag)), help="Only this flag's.")
@locations_option
@json_option
@asking
def exceptions(flag: Flag | None, locations: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """List what waits for a person: one line for each cause of a flag; exit code 1 if there is any.

    An operator settles a cause with `inventory-server exceptions settle`.
    """
    question = ExceptionsParams(flag=given(flag), locations=given(list(locations) or None))
    with connected(**options) as (connection, hello):
        note_till(hello)
        found: ExceptionsResult = connection.request("exceptions", question)
    if as_json:
        console.print_json(found)
    elif not found.causes:
        console.say("Nothing waits for a person.")
    else:
        report = StockReport(datetime.now(UTC), None)
        console.print_table(_COLUMNS, [_row(cause, report) for cause in found.causes])
    if found.total > len(found.causes):
        console.say(f"{PROGRAM}: {found.total - len(found.causes):,} earlier causes are not shown.", err=True)
    return console.FOUND_PROBLEMS if found.total else console.OK


def _row(cause: ListedException, report: StockReport) -> list[str]:
    times = [report.instant(cause.first_at), report.instant(cause.last_at), f"{cause.position}"]
    where = [cause.flag, cause.subject, cause.location, f"{cause.count:,}"]
    return [*where, *times, report.instant(cause.settled_at), cause.action]
