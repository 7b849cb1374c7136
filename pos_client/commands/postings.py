"""`stock-query postings`: finds postings by reference, terminal, type, flag and time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import click

from pos_client.commands.asking import given, list_all, listing, shown
from pos_client.commands.complete_hq import references, terminals
from pos_client.commands.limits import LINES_SHOWN_MAX
from pos_client.commands.options import NearChoice
from pos_client.commands.stock_report import StockReport, quantity
from pos_client.protocol.fields import Flag, PostingType
from pos_client.protocol.lists import ListedLine, ListedPosting, PostingsParams, PostingsResult

_COLUMNS = {
    "#": True,
    "happened": False,
    "recorded": False,
    "type": False,
    "location": False,
    "terminal": False,
    "reference": False,
    "lines": False,
    "flags": False,
    "id": False,
}


@click.command("postings")
@click.option("--reference", shell_complete=references, help="Only those with this receipt or document number.")
@click.option(
    "--of-terminal",
    "of_terminal",
    metavar="NAME",
    shell_complete=terminals,
    help="Only those that this terminal posted.",
)
@click.option("--type", "kind", type=click.Choice(get_args(PostingType)), help="Only those of this type.")
@click.option("--flag", type=NearChoice(get_args(Flag)), help="Only those that were answered with this flag.")
@listing
def postings(
    reference: str | None, of_terminal: str | None, kind: PostingType | None, flag: Flag | None, **options: Any
) -> int:
    """List postings, the latest first: sales, deliveries, counts and all others, with their lines.

    A voided posting is marked with the position of its void. A till sees the sales of all locations by --reference.
    """
    question = PostingsParams(
        reference=given(reference), terminal=given(of_terminal), type=given(kind), flag=given(flag)
    )
    answer: PostingsResult = list_all("postings", question, "postings", options)
    report = StockReport(datetime.now(UTC), None)
    rows = [_row(each, report) for each in answer.postings]
    return shown(answer, options["as_json"], _COLUMNS, rows, "There is no such posting.")


def _row(posting: ListedPosting, report: StockReport) -> list[str]:
    happened = posting.effective_at if isinstance(posting.effective_at, datetime) else posting.occurred_at
    voided = "" if posting.voided_position is None else f" (voided at {posting.voided_position})"
    return [
        f"{posting.position}",
        report.instant(happened),
        report.instant(posting.recorded_at),
        posting.type + voided,
        posting.location,
        posting.terminal,
        posting.reference or "",
        _lines(posting.lines),
        " ".join(posting.flags),
        str(posting.id),
    ]


def _lines(lines: list[ListedLine]) -> str:
    told = [f"{quantity(line.quantity)} {_product(line)}" for line in lines[:LINES_SHOWN_MAX]]
    more = [f"{len(lines) - LINES_SHOWN_MAX} more"] if len(lines) > LINES_SHOWN_MAX else []
    return ", ".join(told + more)


def _product(line: ListedLine) -> str:
    return line.sku if isinstance(line.sku, str) else f"barcode {line.gtin}"
