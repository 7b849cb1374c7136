"""`pos-client transfer`: records goods sent to another location, received from there, or lost on the road."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args
from uuid import UUID

import click

from pos_client.commands.complete import outbox_locations, outbox_postings
from pos_client.commands.recording import goods, named_lines, record, recording
from pos_client.protocol.fields import CloseReason
from pos_client.protocol.messages import Line


@click.group("transfer")
def transfer() -> None:
    """Send goods to another location, receive them there, or end a transfer that will not arrive."""


@transfer.command("out")
@goods
@click.option("--to", required=True, metavar="LOCATION", shell_complete=outbox_locations, help="Where the goods go.")
@recording
def out(lines: Sequence[Line], barcodes: Sequence[Line], to: str, **given: Any) -> int:
    """Record goods sent to another location; exit codes as for `sell`.

    The id that it prints is the id of the transfer: put it on the delivery note.
    """
    sent = named_lines(lines, barcodes)
    return record(lambda till, details: till.transfer_out(sent, to=to, **details), "the transfer", **given)


@transfer.command("in")
@goods
@click.option(
    "--from",
    "source",
    metavar="LOCATION",
    shell_complete=outbox_locations,
    help="Where the goods come from: of the oldest open transfer.",
)
@click.option("--transfer", "transfer_id", type=click.UUID, help="The id of the transfer, from the delivery note.")
@recording
def in_(
    lines: Sequence[Line], barcodes: Sequence[Line], source: str | None, transfer_id: UUID | None, **given: Any
) -> int:
    """Record goods received from another location; exit codes as for `sell`. Give --transfer, --from or both."""
    if source is None and transfer_id is None:
        raise click.UsageError("Expected --transfer ID or --from LOCATION, got neither.")
    received = named_lines(lines, barcodes)
    return record(
        lambda till, details: till.transfer_in(received, from_=source, transfer=transfer_id, **details),
        "the transfer",
        **given,
    )


@transfer.command("close")
@click.argument("transfer_id", type=click.UUID, metavar="TRANSFER", shell_complete=outbox_postings("transfer_out"))
@click.argument("reason", type=click.Choice(get_args(CloseReason)))
@goods
@recording
def close(transfer_id: UUID, reason: CloseReason, lines: Sequence[Line], barcodes: Sequence[Line], **given: Any) -> int:
    """Record that goods of a transfer will not arrive: those named, or all that is left; exit codes as for `sell`."""
    missing = [*lines, *barcodes] or None
    return record(
        lambda till, details: till.close_transfer(transfer_id, reason, missing, **details),
        "the end of the transfer",
        **given,
    )
