"""What the commands that record a posting share: lines, options, waiting for HQ's answer, showing it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click
from msgspec import UNSET, structs

from pos_client.commands import console
from pos_client.commands.complete import outbox_barcodes, outbox_skus
from pos_client.commands.near import near_unlisted
from pos_client.commands.open_till import open_till
from pos_client.commands.options import (
    InstantParam,
    json_option,
    location_option,
    outbox_option,
    till_option,
)
from pos_client.commands.server_options import server_option
from pos_client.commands.tokens import token_option
from pos_client.protocol import gtin
from pos_client.protocol.errors import ConnectionLost, HqRefused, RequestError
from pos_client.protocol.messages import Line, StockParams, StockResult
from pos_client.protocol.units import Quantity
from pos_client.till.basket_lines import exact_quantity
from pos_client.till.client import PosClient
from pos_client.till.posting import Posting
from pos_client.till.posting_details import Details

F = TypeVar("F", bound=Callable[..., Any])
Record = Callable[[PosClient, Details], Posting]
"""Records a posting; the details are what the options say of it."""


_NUMBER_AT_END = re.compile(r"=\s*([+-]?[0-9.,]*)\s*\Z")


def _two_numbers(code: str, number: str, what: str) -> str | None:
    """What is wrong with a code that has a number already, as in `TEA=2=3`; None if it has none."""
    found = _NUMBER_AT_END.search(code)
    if found is None:
        return None
    return (
        f"expected one {what} after one =, got {found[1]!r} and {number!r}; leave one out, or name a product whose SKU "
        "ends so by its barcode"
    )


class LineParam(click.ParamType[Line]):
    """SKU or SKU=QUANTITY, or the same of a barcode; the text after the last `=` is the quantity."""

    def __init__(self, field: str = "sku") -> None:
        self.name = f"{field}[=quantity]"
        self._field = field

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Line:
        """The line in `value`."""
        code, equals, quantity = str(value).rpartition("=")
        if wrong := _two_numbers(code, quantity, "quantity"):
            return self.fail(f"{value!r}: {wrong}", param, ctx)
        try:
            line = Line(quantity=exact_quantity(quantity) if equals else 1)
        except ValueError as error:
            return self.fail(f"{value!r}: {error}", param, ctx)
        code = code if equals else quantity
        return structs.replace(line, **{self._field: gtin.scanned(code) if self._field == "gtin" else code})


class PriceParam(click.ParamType[tuple[str, Quantity]]):
    """SKU=PRICE or BARCODE=PRICE; the text after the last `=` is the price of one unit."""

    name = "sku=price"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Quantity]:
        """The code and the price in `value`."""
        code, equals, price = str(value).rpartition("=")
        if not (code and equals):
            return self.fail(f"expected SKU=PRICE or BARCODE=PRICE, got {value!r}", param, ctx)
        if wrong := _two_numbers(code, price, "price"):
            return self.fail(f"{value!r}: {wrong}", param, ctx)
        try:
            return code, exact_quantity(price, "price")
        except ValueError as error:
            return self.fail(f"{value!r}: {error}", param, ctx)


def goods(command: F) -> F:
    """The lines of a posting: products by SKU or by barcode."""
    barcode = click.option(
        "--barcode",
        "barcodes",
        multiple=True,
        type=LineParam("gtin"),
        metavar="GTIN[=QUANTITY]",
        shell_complete=outbox_barcodes,
        help="A product by its barcode, 8 to 14 digits as scanned, or by a code of 4 to 7; repeatable.",
    )
    sku = click.argument("lines", nargs=-1, type=LineParam(), metavar="[SKU[=QUANTITY]]...", shell_complete=outbox_skus)
    return sku(barcode(command))


def prices(command: F) -> F:
    """What was paid for the lines."""
    for option in (
        click.option("--currency", help="The currency of the prices, such as EUR."),
        click.option(
            "--price",
            "prices",
            multiple=True,
            type=PriceParam(),
            metavar="SKU=PRICE",
            shell_complete=outbox_skus,
            help="The price of one unit of a SKU or barcode named here; repeatable.",
        ),
    ):
        command = option(command)
    return command


def recording(command: F) -> F:
    """The options of every command that records a posting: what is said of it, the till, waiting, JSON output."""
    for option in (
        json_option,
        outbox_option,
        location_option,
        token_option,
        till_option,
        server_option,
        click.option("--wait", "wait_seconds", type=click.FloatRange(0), help="Seconds to wait for HQ's answer."),
        click.option("--occurred-at", type=InstantParam(), help="When it happened; now, if not given."),
        click.option("--reference", help="The number of the receipt or document."),
    ):
        command = option(command)
    return command


def named_lines(lines: Sequence[Line], barcodes: Sequence[Line]) -> list[Line]:
    """All lines that the command line names; UsageError if there is none."""
    if not (lines or barcodes):
        raise click.UsageError("Expected SKU[=QUANTITY] or --barcode GTIN[=QUANTITY], got no product: name one.")
    return [*lines, *barcodes]


def priced(lines: list[Line], prices: Sequence[tuple[str, Quantity]], currency: str | None) -> list[Line]:
    """`lines` with their prices; UsageError for a price of something else, a second price, a currency of nothing."""
    paid = dict(prices)
    if len(paid) < len(prices):
        twice = next(code for at, (code, _) in enumerate(prices) if code in dict(prices[:at]))
        raise click.UsageError(f"Expected one --price for each product, got two for {twice!r}: leave one out.")
    if currency is not None and not paid:
        raise click.UsageError(f"Expected a --price with --currency, got {currency!r} alone.")
    codes = [str(line.gtin if line.sku is UNSET else line.sku) for line in lines]
    if stray := [code for code in paid if code not in codes]:
        raise click.UsageError(f"Expected a --price of {', '.join(codes)}, got one of {stray[0]!r}.")
    unit = UNSET if currency is None else currency
    return [
        structs.replace(line, unit_price=paid[code], currency=unit) if code in paid else line
        for code, line in zip(codes, lines, strict=True)
    ]


def record(
    store: Record, what: str, reference: str | None, occurred_at: datetime | None, wait_seconds: float | None,
    as_json: bool, **till: Any,
) -> int:  # fmt: skip
    """Record `what` (with its article) at the till and show what became of it; returns the exit code.

    0: it is stored and, with `wait_seconds`, HQ posted it. 1: HQ rejected it. 2: no answer in time, or the till is
    refused; then it stays pending.
    """
    with open_till(**till) as client:
        posting = store(client, {"reference": reference, "occurred_at": occurred_at})
        if wait_seconds is not None:
            _wait(client, posting, what, wait_seconds)
        _show(posting, as_json)
        if posting.result is not None and "unlisted_product" in posting.result.flags:
            _say_near(client, posting)
    if posting.state == "parked" and posting.result is not None:
        console.say(f"HQ rejected {what}: {posting.result.reason or posting.result.code}", err=True)
        return console.FOUND_PROBLEMS
    return console.CANNOT if wait_seconds is not None and posting.result is None else console.OK


def _show(posting: Posting, as_json: bool) -> None:
    if as_json:
        console.print_json({"id": posting.id, "state": posting.state, "result": posting.result})
    else:
        flags = ", ".join(posting.result.flags) if posting.result else ""
        console.say(f"{posting.id} {posting.result.status if posting.result else 'pending'} {flags}".rstrip())


def _say_near(client: PosClient, posting: Posting) -> None:
    """Say which product of the catalogue a misspelt one may be."""

    def ask(_method: str, params: StockParams) -> StockResult:
        told = {name: value for name, value in structs.asdict(params).items() if value is not UNSET}
        return client.stock(**told)

    try:
        body = client.posting(posting).body
        lines = [] if body is None or body.lines is UNSET else body.lines
        found = near_unlisted(ask, [line.sku for line in lines if line.sku is not UNSET])
    except (ConnectionLost, RequestError) as error:
        console.say(f"Which listed product may be meant, HQ does not say now: {error}", err=True)
        return
    for sku, near in found.items():
        if near is not None:
            console.say(
                f"{sku} is not in the catalogue; did you mean {near}? If so: pos-client void {posting.id}, and record"
                " it anew.",
                err=True,
            )


def _wait(client: PosClient, posting: Posting, what: str, seconds: float) -> None:
    try:
        posting.wait(seconds)
    except HqRefused as error:
        stored = what[:1].upper() + what[1:]
        console.say(f"{error} {stored} is stored and stays pending.", err=True)
    except TimeoutError as error:
        console.say(str(error), err=True)
        if (reason := client.status().last_error) is not None:
            console.say(reason, err=True)
