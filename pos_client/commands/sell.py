"""`pos-client sell`, `deliver` and `status`: a till on the command line."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pos_client.commands import console
from pos_client.commands.options import server_option, token_option
from pos_client.commands.outbox import json_option, open_outbox, outbox_option
from pos_client.protocol.address import Address
from pos_client.protocol.errors import ConnectionLost
from pos_client.protocol.messages import Line, PingParams, PingResult
from pos_client.protocol.units import instant
from pos_client.till.basket_lines import exact_quantity
from pos_client.till.client import PosClient
from pos_client.till.posting import Posting
from pos_client.transport.connection import Connection

_POLL_SECONDS = 0.05
_PING_SECONDS = 5.0

terminal_option = click.option(
    "--terminal", envvar="TILLWIRE_TERMINAL", required=True, help="The till's name, as HQ knows it."
)
location_option = click.option("--location", help="Where an unknown till is enrolled by a server in development mode.")


class Goods(click.ParamType[Line]):
    """SKU, or SKU=QUANTITY; what stands behind the last `=` is the quantity."""

    name = "sku[=quantity]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Line:
        """The line in `value`."""
        sku, equals, quantity = str(value).rpartition("=")
        try:
            return Line(quantity=exact_quantity(quantity), sku=sku) if equals else Line(quantity=1, sku=quantity)
        except ValueError as error:
            return self.fail(f"{value!r}: {error}", param, ctx)


@click.command("sell")
@click.argument("goods", nargs=-1, required=True, type=Goods(), metavar="SKU[=QUANTITY]...")
@click.option("--reference", help="The receipt's number.")
@click.option("--wait", "wait_seconds", type=click.FloatRange(0), help="Wait so many seconds for HQ's answer.")
@server_option
@terminal_option
@token_option
@location_option
@outbox_option
@json_option
def sell(goods: Sequence[Line], reference: str | None, wait_seconds: float | None, as_json: bool, **till: Any) -> int:
    """Sell GOODS. The sale is on disk in the outbox before anything is sent; HQ may be away for weeks.

    With --wait the exit code tells HQ's answer: 0 posted, 1 refused for good, 2 not answered in time (it stays
    pending). Put -- in front of a negative or odd sku.
    """
    details: Any = {} if reference is None else {"reference": reference}
    with _open_till(**till) as client:
        posting = client.sell(goods, **details)
        if wait_seconds is not None:
            _wait(client, posting, wait_seconds)
    answer = {"id": posting.id, "state": posting.state, "result": posting.result}
    if as_json:
        click.echo(console.to_json(answer))
    else:
        flags = ", ".join(posting.result.flags) if posting.result else ""
        click.echo(f"{posting.id} {posting.result.status if posting.result else 'pending'} {flags}".rstrip())
    if posting.state == "parked" and posting.result is not None:
        click.echo(f"HQ refused it for good: {posting.result.reason or posting.result.code}", err=True)
        return console.FOUND_PROBLEMS
    return console.CANNOT if wait_seconds is not None and posting.result is None else console.OK


def _wait(client: PosClient, posting: Posting, seconds: float) -> None:
    try:
        posting.wait(seconds)
    except TimeoutError as error:
        click.echo(str(error), err=True)
        if (trouble := client.status().last_error) is not None:
            click.echo(trouble, err=True)


@click.command("deliver")
@click.option("--wait", "wait_seconds", type=click.FloatRange(0), default=60, show_default=True, help="Seconds.")
@server_option
@terminal_option
@token_option
@location_option
@outbox_option
def deliver(wait_seconds: float, **till: Any) -> int:
    """Send what is pending in the outbox; exit code 2 where something still is after --wait, 1 where HQ refused."""
    open_outbox(till["outbox"]).close()
    until = time.monotonic() + wait_seconds
    with _open_till(**till) as client:
        pending = client.pending
        with console.progress_bar("delivering, sales", pending) as progress:
            while (left := client.pending) and time.monotonic() < until:
                progress(pending - left)
                time.sleep(_POLL_SECONDS)
        status = client.status()
    click.echo(f"{pending - status.pending:,} delivered, {status.pending:,} pending, {status.parked:,} parked.")
    if status.pending and status.last_error:
        click.echo(status.last_error, err=True)
    return console.CANNOT if status.pending else console.FOUND_PROBLEMS if status.parked else console.OK


@click.command("status")
@server_option
@outbox_option
@json_option
def status(server: Address, outbox: Path, as_json: bool) -> int:
    """Show what the outbox holds and whether HQ answers; exit code 1 where postings are parked."""
    box = open_outbox(outbox)
    try:
        counts, totals = box.counts(), box.totals()
    finally:
        box.close()
    shown = {
        "outbox": str(outbox),
        "lineage": totals.lineage,
        "last_seq": totals.last_seq,
        "pending": counts.pending,
        "oldest_pending_at": None if counts.oldest_pending_at is None else instant(counts.oldest_pending_at),
        "parked": counts.parked,
        "hq": _hq(server),
    }
    if as_json:
        click.echo(console.to_json(shown))
    else:
        rows = [[name.replace("_", " "), "" if value is None else str(value)] for name, value in shown.items()]
        console.print_table({"till": False, "": False}, rows)
    return console.FOUND_PROBLEMS if counts.parked else console.OK


def _hq(server: Address) -> str:
    """Whether HQ answers, in words."""
    try:
        connection = Connection.open(server, _PING_SECONDS)
        try:
            answer: PingResult = connection.request("ping", PingParams(), _PING_SECONDS)
        finally:
            connection.close()
    except ConnectionLost as error:
        return str(error)
    return f"answers at {server}, its clock says {answer.server_time:%Y-%m-%d %H:%M:%S%z}"


def _open_till(server: Address, terminal: str, token: str | None, location: str | None, outbox: Path) -> PosClient:
    try:
        return PosClient(str(server), terminal=terminal, token=token, location=location, outbox=outbox)
    except ValueError as error:
        raise console.CommandError(f"{error}.") from error
