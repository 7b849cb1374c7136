"""The command `stock-query`: asks HQ for stock levels over the protocol, and whatever else a buyer wants to know."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
from msgspec import UNSET, Raw, UnsetType

from pos_client.commands import console, stock_report
from pos_client.commands.asking import (
    PROGRAM,
    DayParam,
    KnownAt,
    QuestionGroup,
    asking,
    connected,
    given,
    locations_option,
    pages,
    say_unknown,
    skus_argument,
)
from pos_client.commands.changes import changes
from pos_client.commands.counts import counts
from pos_client.commands.documents import reservations, transfers
from pos_client.commands.exceptions import exceptions
from pos_client.commands.history import history
from pos_client.commands.near import unknown_and_near
from pos_client.commands.options import json_option
from pos_client.commands.postings import postings
from pos_client.commands.sales import sales
from pos_client.commands.server_options import Hq
from pos_client.commands.watching import LiveLevels, print_changes, show_live, watched
from pos_client.files.numbers import read_quantity
from pos_client.protocol import gtin
from pos_client.protocol.fields import ASKING_TERMINAL
from pos_client.protocol.messages import StockParams, StockResult
from pos_client.protocol.nearest import nearest
from pos_client.transport.connection import Connection
from pos_client.transport.watch import Watch

_SPREADSHEETS = ("csv", "xlsx")


class Below(click.ParamType[Raw]):
    """`reorder_point`, `reorder` for short, or a quantity."""

    name = "reorder_point|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Raw:
        """The JSON text of `below`."""
        if value in ("reorder_point", "reorder"):
            return Raw(b'"reorder_point"')
        try:
            return Raw(msgspec.json.encode(read_quantity(str(value))))
        except ValueError as error:
            hint = "; is it reorder_point?" if nearest(str(value), ("reorder_point", "reorder")) else ""
            return self.fail(f"expected reorder_point or {error}, got {value!r}{hint}", param, ctx)


@click.group(
    PROGRAM,
    cls=QuestionGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    subcommand_metavar="[SKU]... | COMMAND [ARGS]...",
)
@click.version_option(package_name="tillwire", prog_name=PROGRAM)
def stock_query() -> None:
    """Show the stock of each SKU, or of all products: see `stock`. Or ask one of the other questions below.

    A SKU that is called like a command is written behind `--`.
    """


@stock_query.command("stock")
@skus_argument
@locations_option
@click.option("--barcode", help="Only the product with this barcode.")
@click.option(
    "--below", type=Below(), help="Only products whose available stock is below their reorder point, or below N."
)
@click.option(
    "--net-of-transit", is_flag=True, help="For --below, count what is in transit to a location as available there."
)
@click.option("--search", metavar="WORDS", help="Only listed products whose SKU or name has all these words.")
@click.option(
    "--names/--no-names",
    default=None,
    help="Show the name and unit of each product, or not; by default a table does, JSON and CSV do not.",
)
@click.option("--negative", is_flag=True, help="Only products with less than zero on hand.")
@click.option(
    "--as-of",
    type=DayParam(),
    help="Stock at a past instant, or at the end of a date: of each location's business day.",
)
@click.option("--known-at", type=KnownAt(), help="Stock as HQ knew it at an instant or ledger position.")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv", "xlsx"]), default="table", show_default=True
)
@click.option("--watch", is_flag=True, help="Keep showing the levels as they change; with --json a line per posting.")
@console.safe_option
@json_option
@asking
def stock(
    skus: Sequence[str], locations: Sequence[str], form: str, safe: bool, as_json: bool, server: Hq,
    terminal: str | None, token: str | None, **filters: Any,
) -> int:  # fmt: skip
    """Show the stock of each SKU, or of all products, and how complete the figures are.

    Unknown SKUs, barcodes and locations are listed on stderr; the exit code is 1 if HQ knows none of those named.
    Use a terminal with the role reader or operator: connecting as a till would disconnect that till.
    """
    if as_json and form in _SPREADSHEETS:
        raise click.UsageError(f"Expected --json or --format {form}, got both.")
    if safe and form != "csv":
        raise click.UsageError("--safe is for --format csv; a workbook is safe as it is.")
    form = "json" if as_json else form
    named = form == "table" if filters["names"] is None else filters["names"]
    question = StockParams(
        skus=list(skus) or UNSET,
        locations=list(locations) or UNSET,
        gtin=gtin.scanned(filters["barcode"]) if filters["barcode"] else UNSET,
        below=given(filters["below"]),
        negative=True if filters["negative"] else UNSET,
        as_of=given(filters["as_of"]),
        known_at=given(filters["known_at"]),
        search=given(filters["search"]),
        names=True if named else UNSET,
        net_of_transit=True if filters["net_of_transit"] else UNSET,
    )
    if filters["watch"] and form in _SPREADSHEETS:
        raise click.UsageError(f"Expected --watch or --format {form}, got both.")
    with connected(server, terminal, token) as (connection, _):
        answer = whole_answer(connection, question)
        say_unknown(unknown_and_near(connection, answer.unknown))
    if skus and any(item.sku == skus[0] for item in answer.unknown):
        _say_question(skus[0])
    if filters["watch"]:
        return _watch(server, terminal, token, question, answer, form == "json")
    show(answer, form, named, safe)
    return console.FOUND_PROBLEMS if _nothing_known(question, answer) else console.OK


def _watch(
    server: Hq, terminal: str | None, token: str | None, question: StockParams, answer: StockResult, as_json: bool
) -> int:
    """Show `answer` and what changes from it on, until Ctrl-C."""
    locations, skus = watched(question)
    if not as_json and not sys.stdout.isatty():
        raise click.UsageError("--watch shows a table in a terminal: give --json, which prints a line per posting.")

    def ask() -> StockResult:
        with connected(server, terminal, token) as (connection, _):
            return whole_answer(connection, question)

    feed = Watch(
        str(server.address),
        terminal=terminal or ASKING_TERMINAL,
        token=token,
        since=answer.position,
        locations=locations,
        skus=skus,
        tls=server.tls or False,
        app=PROGRAM,
    )
    with feed, suppress(KeyboardInterrupt):
        if as_json:
            print_changes(feed)
        else:
            show_live(feed, ask, LiveLevels(answer))
    return console.OK


def _say_question(word: str) -> None:
    """Say which question a first word may mean that is no product."""
    if (other := nearest(word, stock_query.commands)) is not None:
        console.say(f"{PROGRAM}: is {word} the question {other}? See {PROGRAM} {other} --help", err=True)


def whole_answer(connection: Connection, question: StockParams) -> StockResult:
    """All pages of the answer in one; `position` is that of the first page."""
    parts = list(pages(connection, "stock", question))
    whole: StockResult = msgspec.structs.replace(
        parts[0],
        items=list(itertools.chain.from_iterable(page.items for page in parts)),
        completeness={place: told for page in parts for place, told in page.completeness.items()},
        cursor=None,
    )
    return whole


def show(answer: StockResult, form: str, named: bool, safe: bool = False) -> None:
    """Print `answer` as a table, JSON or for a spreadsheet; then the completeness goes to stderr."""
    if form == "json":
        console.print_json(answer)
        return
    report = stock_report.StockReport(datetime.now(UTC), None)
    told = [report.completeness(place, answer.completeness[place]) for place in sorted(answer.completeness)]
    if form in _SPREADSHEETS:
        names = stock_report.NAMED_FIELDS if named else stock_report.FIELDS
        console.print_export(form, safe, names, [stock_report.fields(item, names) for item in answer.items])
    elif answer.unknown and not answer.items:
        pass  # what HQ does not know has been said: there is nothing to show in a table
    elif named and any(item.name or item.unit for item in answer.items):
        console.print_table(stock_report.NAMED_COLUMNS, [report.named_row(item) for item in answer.items])
    else:
        console.print_table(stock_report.COLUMNS, [report.row(item) for item in answer.items])
    for sentence in told:
        console.say(sentence, err=form in _SPREADSHEETS)


def _nothing_known(question: StockParams, answer: StockResult) -> bool:
    """True if all products, or all locations, that were named are unknown."""
    skus = [] if isinstance(question.skus, UnsetType) else question.skus
    locations = [] if isinstance(question.locations, UnsetType) else question.locations
    barcodes = [] if isinstance(question.gtin, UnsetType) else [question.gtin]
    searched = not isinstance(question.search, UnsetType)
    named = len(set(skus)) + len(barcodes) + searched
    unknown_goods = sum(item.location is None for item in answer.unknown)
    unknown_places = sum(item.location is not None for item in answer.unknown)
    return 0 < named == unknown_goods or 0 < len(set(locations)) == unknown_places


for _command in (history, postings, counts, transfers, reservations, sales, changes, exceptions):
    stock_query.add_command(_command)


def main() -> int:
    """Run the command line and return its exit code."""
    return console.run(stock_query, PROGRAM)
