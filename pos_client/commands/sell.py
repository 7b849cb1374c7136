"""`pos-client sell`: records a sale in the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from pos_client.commands import console
from pos_client.commands.open_till import open_till
from pos_client.commands.options import (
    json_option,
    location_option,
    outbox_option,
    server_option,
    till_option,
    token_option,
)
from pos_client.protocol.errors import HqRefused
from pos_client.protocol.messages import Line
from pos_client.till.basket_lines import exact_quantity
from pos_client.till.client import PosClient
from pos_client.till.posting import Posting


class LineParam(click.ParamType[Line]):
    """SKU, or SKU=QUANTITY; the text after the last `=` is the quantity."""

    name = "sku[=quantity]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Line:
        """The line in `value`."""
        sku, equals, quantity = str(value).rpartition("=")
        try:
            return Line(quantity=exact_quantity(quantity), sku=sku) if equals else Line(quantity=1, sku=quantity)
        except ValueError as error:
            return self.fail(f"{value!r}: {error}", param, ctx)


@click.command("sell")
@click.argument("lines", nargs=-1, required=True, type=LineParam(), metavar="SKU[=QUANTITY]...")
@click.option("--reference", help="The receipt number.")
@click.option("--wait", "wait_seconds", type=click.FloatRange(0), help="Seconds to wait for HQ's answer.")
@server_option
@till_option
@token_option
@location_option
@outbox_option
@json_option
def sell(lines: Sequence[Line], reference: str | None, wait_seconds: float | None, as_json: bool, **till: Any) -> int:
    """Record a sale. It is stored in the outbox before anything is sent; HQ may be unreachable for weeks.

    With --wait, the exit code is 0 if HQ posted the sale, 1 if HQ rejected it, 2 if HQ did not answer in time or
    refused the till (the sale stays pending). A negative QUANTITY is a return. Use `--` before a SKU that starts with
    `-`.
    """
    with open_till(**till) as client:
        posting = client.sell(lines, reference=reference)
        if wait_seconds is not None:
            _wait(client, posting, wait_seconds)
    answer = {"id": posting.id, "state": posting.state, "result": posting.result}
    if as_json:
        console.print_json(answer)
    else:
        flags = ", ".join(posting.result.flags) if posting.result else ""
        console.say(f"{posting.id} {posting.result.status if posting.result else 'pending'} {flags}".rstrip())
    if posting.state == "parked" and posting.result is not None:
        console.say(f"HQ rejected the sale: {posting.result.reason or posting.result.code}", err=True)
        return console.FOUND_PROBLEMS
    return console.CANNOT if wait_seconds is not None and posting.result is None else console.OK


def _wait(client: PosClient, posting: Posting, seconds: float) -> None:
    try:
        posting.wait(seconds)
    except HqRefused as error:
        console.say(f"{error} The sale is stored and stays pending.", err=True)
    except TimeoutError as error:
        console.say(str(error), err=True)
        if (reason := client.status().last_error) is not None:
            console.say(reason, err=True)
