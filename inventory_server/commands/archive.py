"""`inventory-server db archive`: detach old partitions from the ledger, or reattach one."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import click

from inventory_server.commands.options import db_option, json_option, office_of, when
from inventory_server.config import ARCHIVE_SCHEMA
from inventory_server.domain.answers import ArchivedPart
from inventory_server.domain.requests import ArchivePartitions, ReturnPartition
from pos_client.commands import console
from pos_client.commands.options import InstantParam
from pos_client.protocol.units import instant, micros


@click.command("archive")
@db_option
@click.option("--before", type=InstantParam(), help="Archive the partitions filled before this instant.")
@click.option("--return", "returns", is_flag=True, help="Reattach the partition that was archived last.")
@json_option
def archive_command(db: str, before: datetime | None, returns: bool, as_json: bool) -> int:
    """Detach old partitions from a ledger on PostgreSQL, or reattach the last one.

    Stock figures do not change, and archived ids are still recognised as duplicates. Nothing is deleted. Servers keep
    running.
    """
    if (before is None) is not returns:
        raise console.CommandError(f"Expected --before DATE or --return, got {'both' if returns else 'neither'}.")
    with office_of(db) as office:
        if before is None:
            back: ArchivedPart | None = office.change(ReturnPartition())
            done = [] if back is None else [back]
        else:
            with console.progress_bar("copying what the ledger keeps, postings", 1) as progress:
                done = office.change(ArchivePartitions(micros(before)), progress)
    if as_json:
        console.print_json([_told(part) for part in done])
    elif not done:
        console.say(
            "Nothing is archived." if returns else "Nothing to archive: no partition was filled before that date."
        )
    else:
        _show(done, returns)
    return console.OK


def _told(part: ArchivedPart) -> dict[str, object]:
    return {**asdict(part), "closed_at": instant(part.closed_at)}


def _show(done: list[ArchivedPart], returns: bool) -> None:
    columns = {"first": True, "last": True, "recorded until": False, "tables": False}
    rows = [[f"{part.first:,}", f"{part.last:,}", when(part.closed_at), ", ".join(part.tables)] for part in done]
    console.print_table(columns, rows)
    if returns:
        console.say("Reattached: these postings are part of the ledger again.")
        return
    tables = ", ".join(name for part in done for name in part.tables)
    console.say("Their tables are no longer part of the ledger. To move them elsewhere and free their space:")
    console.say(f"  pg_dump --schema {ARCHIVE_SCHEMA} --format custom --file tillwire-archive.dump DATABASE")
    console.say(f"  psql --command 'DROP TABLE {tables}' DATABASE")
