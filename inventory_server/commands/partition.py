"""`inventory-server db partition`: the ledger's partitions on PostgreSQL."""

from __future__ import annotations

import click

from inventory_server.commands.options import counted, db_option, json_option, office_of, told, when
from inventory_server.config import PARTITION_POSITIONS, PARTITION_POSITIONS_MIN, PARTITIONS_AHEAD, PARTITIONS_MAX
from inventory_server.domain.answers import Part
from inventory_server.domain.requests import ListPartitions, MakePartitions
from pos_client.commands import console


@click.command("partition")
@db_option
@click.option(
    "--ahead",
    type=click.IntRange(0, PARTITIONS_MAX),
    default=PARTITIONS_AHEAD,
    show_default=True,
    help="Empty partitions to keep ahead of the ledger.",
)
@click.option(
    "--positions",
    type=click.IntRange(PARTITION_POSITIONS_MIN),
    default=PARTITION_POSITIONS,
    show_default=True,
    help=f"Postings per new partition, a multiple of {PARTITION_POSITIONS_MIN:,}.",
)
@json_option
def partition_command(db: str, ahead: int, positions: int, as_json: bool) -> int:
    """Create empty partitions ahead of a ledger on PostgreSQL where they are missing, and list all partitions.

    Servers keep running; while partitions are created, tills wait for a moment.
    """
    if positions % PARTITION_POSITIONS_MIN:
        raise console.CommandError(
            f"--positions: expected a multiple of {PARTITION_POSITIONS_MIN:,}, got {positions:,}."
        )
    with office_of(db) as office:
        before: list[Part] = office.ask(ListPartitions())
        if before[-1].postings and not as_json:
            count = f"{before[-1].postings:,}"
            console.say(f"The open-ended partition holds {count} postings; tills wait until all are read.", err=True)
        made: int = office.change(MakePartitions(ahead, positions))
        found: list[Part] = office.ask(ListPartitions())
    if as_json:
        console.print_json([told(each) for each in found])
        return console.OK
    columns = {
        "first": True,
        "last": True,
        "postings": True,
        "movements": True,
        "MB": True,
        "recorded": False,
        "to": False,
    }
    console.print_table(columns, [_row(each) for each in found])
    empty = sum(not each.postings for each in found[:-1])
    console.say(f"Created {counted(made, 'partition')}; {empty} {'is' if empty == 1 else 'are'} empty.")
    return console.OK


def _row(part: Part) -> list[str]:
    last = "" if part.last is None else f"{part.last:,}"
    size = f"{part.bytes / 1e6:,.1f}"
    recorded = [when(part.first_recorded_at), when(part.last_recorded_at)]
    return [f"{part.first:,}", last, f"{part.postings:,}", f"about {part.movements:,}", size, *recorded]
