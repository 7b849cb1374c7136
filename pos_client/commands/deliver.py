"""`pos-client deliver`: sends what is pending in the outbox."""

from __future__ import annotations

import time
from typing import Any

import click

from pos_client.commands import console
from pos_client.commands.limits import PROGRESS_SECONDS
from pos_client.commands.open_till import open_outbox, open_till
from pos_client.commands.options import (
    json_option,
    location_option,
    outbox_option,
    till_option,
)
from pos_client.commands.server_options import server_option
from pos_client.commands.tokens import token_option


@click.command("deliver")
@click.option(
    "--wait", "wait_seconds", type=click.FloatRange(0), default=60, show_default=True, help="Seconds to keep trying."
)
@server_option
@till_option
@token_option
@location_option
@outbox_option
@json_option
def deliver(wait_seconds: float, as_json: bool, **till: Any) -> int:
    """Send the outbox's pending postings to HQ.

    Exit code 2 if some are still pending after --wait seconds or HQ refuses the till, 1 if some are parked because HQ
    rejected them.
    """
    open_outbox(till["outbox"]).close()
    until = time.monotonic() + wait_seconds
    with open_till(**till) as client:
        pending = client.pending
        with console.progress_bar("delivering, postings", pending, shown=not as_json) as progress:
            while (left := client.pending) and time.monotonic() < until and not client.status().refused:
                progress(pending - left)
                time.sleep(PROGRESS_SECONDS)
        status = client.status()
    figures = {"delivered": pending - status.pending, "pending": status.pending, "parked": status.parked}
    console.say_or_json(as_json, ", ".join(f"{figure:,} {name}" for name, figure in figures.items()) + ".", **figures)
    if status.pending and status.last_error:
        console.say(status.last_error, err=True)
    return console.CANNOT if status.pending else console.FOUND_PROBLEMS if status.parked else console.OK
