"""The command `stock-query`: asks HQ for stock levels over the protocol."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
from msgspec import UNSET, Raw, UnsetType

from pos_client.commands import console, stock_report
from pos_client.commands.options import InstantParam, server_option, terminal_option, token_option
from pos_client.files.cells import read_quantity
from pos_client.protocol.address import Address
from pos_client.protocol.messages import HelloParams, StockParams, StockResult
from pos_client.transport.connection import Connection

PROGRAM = "stock-query"
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
DEFAULT_TERMINAL = "stock-query"
"""The terminal to ask as by default; a development server enrols it."""


class AsOfParam(InstantParam):
    """A date, or an instant."""

    name = "date|instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text of `as_of`."""
        text = str(value)
        return text if _DATE.fullmatch(text) else super().convert(value, param, ctx).isoformat()


class KnownAt(InstantParam):
    """An instant, or a ledger position."""

    name = "instant|position"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The position or instant in `value`."""
        text = str(value)
        return int(text) if text.isascii() and text.isdigit() else super().convert(value, param, ctx)


class Below(click.ParamType[Raw]):
    """`reorder`, or a quantity."""

    name = "reorder|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Raw:
        """The JSON text of `below`."""
        if value == "reorder":
            return Raw(b'"reorder_point"')
        try:
            return Raw(msgspec.json.encode(read_quantity(str(value))))
        except ValueError as error:
            return self.fail(f"expected reorder or {error}, got {value!r}", param, ctx)


@click.command(PROGRAM, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("skus", nargs=-1, metavar="[SKU]...")
@click.option("--location", "locations", multiple=True, help="Only this store or warehouse; repeatable.")
@click.option("--barcode", help="Only the product with this barcode.")
@click.option(
    "--below", type=Below(), help="Only products whose available stock is below their reorder point, or below N."
)
@click.option("--negative", is_flag=True, help="Only products with less than zero on hand.")
@click.option(
    "--as-of",
    type=AsOfParam(),
    help="Stock at a past instant, or at the end of a date: of each location's business day.",
)
@click.option("--known-at", type=KnownAt(), help="Stock as HQ knew it at an instant or ledger position.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@server_option
@terminal_option
@token_option
@click.version_option(package_name="tillwire", prog_name=PROGRAM)
def stock_query(
    skus: Sequence[str], locations: Sequence[str], form: str, server: Address, terminal: str | None, token: str | None,
    **filters: Any,
) -> int:  # fmt: skip
    """Show the stock of each SKU, or of all products, and how complete the figures are.

    Unknown SKUs, barcodes and locations are listed on stderr; the exit code is 1 if HQ knows none of those named.
    Use a terminal with the role reader or operator: connecting as a till would disconnect that till.
    """
    question = StockParams(
        skus=list(skus) or UNSET,
        locations=list(locations) or UNSET,
        gtin=filters["barcode"] or UNSET,
        below=_given(filters["below"]),
        negative=True if filters["negative"] else UNSET,
        as_of=_given(filters["as_of"]),
        known_at=_given(filters["known_at"]),
    )
    connection = Connection.open(server)
    try:
        connection.hello(HelloParams(terminal=terminal or DEFAULT_TERMINAL, token=token or UNSET, app=PROGRAM))
        answer = whole_answer(connection, question)
        connection.request("bye")
    finally:
        connection.close()
    show(answer, form)
    return console.FOUND_PROBLEMS if _nothing_known(question, answer) else console.OK


def _given(value: Any) -> Any:
    return UNSET if value is None else value


def whole_answer(connection: Connection, question: StockParams) -> StockResult:
    """All pages of the answer in one; `position` is that of the first page."""
    pages = list(_pages(connection, question))
    return msgspec.structs.replace(
        pages[0],
        items=list(itertools.chain.from_iterable(page.items for page in pages)),
        completeness={place: told for page in pages for place, told in page.completeness.items()},
        cursor=None,
    )


def _pages(connection: Connection, question: StockParams) -> Iterator[StockResult]:
    while True:
        page: StockResult = connection.request("stock", question)
        yield page
        if page.cursor is None:
            return
        question = msgspec.structs.replace(question, cursor=page.cursor)


def show(answer: StockResult, form: str) -> None:
    """Print `answer` as a table, JSON or CSV; with CSV, the completeness goes to stderr."""
    for named in stock_report.unknown(answer.unknown):
        console.say(f"{PROGRAM}: HQ does not know {named}.", err=True)
    if form == "json":
        console.print_json(answer)
        return
    report = stock_report.StockReport(datetime.now(UTC), None)
    told = [report.completeness(place, answer.completeness[place]) for place in sorted(answer.completeness)]
    if form == "csv":
        console.print_csv(stock_report.FIELDS, [stock_report.fields(item) for item in answer.items])
    else:
        console.print_table(stock_report.COLUMNS, [report.row(item) for item in answer.items])
    for sentence in told:
        console.say(sentence, err=form == "csv")


def _nothing_known(question: StockParams, answer: StockResult) -> bool:
    """True if all products, or all locations, that were named are unknown."""
    skus = [] if isinstance(question.skus, UnsetType) else question.skus
    locations = [] if isinstance(question.locations, UnsetType) else question.locations
    barcodes = [] if isinstance(question.gtin, UnsetType) else [question.gtin]
    named = len(set(skus)) + len(barcodes)
    unknown_goods = sum(item.location is None for item in answer.unknown)
    unknown_places = sum(item.location is not None for item in answer.unknown)
    return 0 < named == unknown_goods or 0 < len(set(locations)) == unknown_places


def main() -> int:
    """Run the command line and return its exit code."""
    return console.run(stock_query, PROGRAM)
