"""`inventory-server db close`: balances from which looks back start."""

from __future__ import annotations

from dataclasses import asdict

import click

from inventory_server.admin.close_books import close
from inventory_server.clock import now_microseconds
from inventory_server.commands.options import db_option, json_option
from inventory_server.config import Settings
from pos_client.commands import console


@click.command("close")
@db_option
@json_option
def close_command(db: str, as_json: bool) -> int:
    """Write the balances of all that was recorded, so that looking back starts from there.

    Changes no answer, only how soon it is there. A running server goes on posting meanwhile; run it every month.
    """
    closed = close(db, Settings(), now_microseconds)
    if as_json:
        click.echo(console.to_json(None if closed is None else asdict(closed)))
    elif closed is None:
        click.echo("Nothing to close.")
    else:
        click.echo(
            f"Closed up to position {closed.position:,} in {closed.cuts:,} parts: "
            f"{closed.balances:,} balances changed, {closed.stragglers:,} movements occurred before or after."
        )
    return console.OK
