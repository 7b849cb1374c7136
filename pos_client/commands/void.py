"""`pos-client void`: undoes a whole posting that should never have been made."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click

from pos_client.commands.complete import outbox_postings
from pos_client.commands.recording import record, recording


@click.command("void")
@click.argument("posting_id", type=click.UUID, metavar="ID", shell_complete=outbox_postings())
@recording
def void(posting_id: UUID, **given: Any) -> int:
    """Undo the whole posting ID: all is as if it had not been; exit codes as for `sell`.

    Goods that a customer brought back are a `return`.
    """
    return record(lambda till, details: till.void(posting_id, **details), "the void", **given)
