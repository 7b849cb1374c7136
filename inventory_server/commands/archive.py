"""`inventory-server db archive`: old partitions out of the ledger, and back."""

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
@click.option("--before", type=InstantParam(), help="Archive the partitions that were filled before this instant.")
@click.option("--return", "returns", is_flag=True, help="Take back the partition that was archived last.")
@json_option
def archive_command(db: str, before: datetime | None, returns: bool, as_json: bool) -> int:
    """Take old partitions of a ledger on PostgreSQL out of it, or take the last one back.

    Stock stays as it is and every id stays taken. Nothing is deleted. Running servers go on.
    """
    if (before is None) is not returns:
        raise console.CommandError("Say either --before DATE or --return.")
    with office_of(db) as office:
        if before is None:
            back: ArchivedPart | None = office.change(ReturnPartition())
            done = [] if back is None else [back]
        else:
            with console.progress_bar("keeping what is still needed, postings", 1) as progress:
                done = office.change(ArchivePartitions(micros(before)), progress)
    if as_json:
        click.echo(console.to_json([_told(part) for part in done]))
    elif not done:
        click.echo("Nothing is archived." if returns else "Nothing to archive: no partition was filled before.")
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
        click.echo("All is as it was before these were archived.")
        return
    tables = ", ".join(name for part in done for name in part.tables)
    click.echo("Their tables are no longer part of the ledger. To keep them elsewhere, and then free their room:")
    click.echo(f"  pg_dump --schema {ARCHIVE_SCHEMA} --format custom --file tillwire-archive.dump DATABASE")
    click.echo(f"  psql --command 'DROP TABLE {tables}' DATABASE")
