"""`pos-client status`: what the outbox holds, and whether HQ answers."""

from __future__ import annotations

from pathlib import Path

import click

from pos_client.commands import console
from pos_client.commands.limits import PING_SECONDS
from pos_client.commands.open_till import open_outbox
from pos_client.commands.options import json_option, outbox_option
from pos_client.commands.server_options import Hq, server_option
from pos_client.protocol.errors import ConnectionLost
from pos_client.protocol.messages import PingParams, PingResult
from pos_client.protocol.units import instant
from pos_client.till.enrolled_files import EnrolledFiles


@click.command("status")
@server_option
@outbox_option
@json_option
def status(server: Hq, outbox: Path, as_json: bool) -> int:
    """Show what the outbox holds and whether HQ answers; exit code 1 if postings are parked or HQ refuses the till."""
    box = open_outbox(outbox)
    try:
        counts, totals, held, terminal, refusal = box.counts(), box.totals(), box.held(), box.terminal, box.refusal
    finally:
        box.close()
    shown = {
        "outbox": str(outbox),
        "lineage": totals.lineage,
        "last_seq": totals.last_seq,
        "pending": counts.pending,
        "oldest_pending_at": None if counts.oldest_pending_at is None else instant(counts.oldest_pending_at),
        "parked": counts.parked,
        "held": held,
        "hq": _hq(server, outbox),
        "refused": None if refusal is None else str(refusal),
    }
    if as_json:
        console.print_json(shown)
    else:
        rows = [
            [name.replace("_", " "), "" if value is None else str(value)]
            for name, value in shown.items()
            if name not in ("held", "refused")
        ]
        console.print_table({"till": False, "": False}, rows)
        if refusal is not None:
            console.say(str(refusal))
        for each in held:
            console.say(f"{each.advice(str(terminal))}.")
    return console.FOUND_PROBLEMS if counts.parked or refusal is not None else console.OK


def _hq(server: Hq, outbox: Path) -> str:
    """Whether HQ answers, in words."""
    try:
        connection = server.connect(PING_SECONDS, EnrolledFiles(outbox).find_authority())
        try:
            answer: PingResult = connection.request("ping", PingParams(), PING_SECONDS)
        finally:
            connection.close()
    except ConnectionLost as error:
        return str(error)
    return f"answers at {server}; its clock shows {answer.server_time:%Y-%m-%d %H:%M:%S%z}"
