"""`inventory-server db close`: balances from which historical queries start."""

from __future__ import annotations

import click

from inventory_server.commands.options import counted, db_option, json_option, office_of
from inventory_server.domain.answers import ClosedBooks
from inventory_server.domain.requests import CloseBooks
from pos_client.commands import console


@click.command("close")
@db_option
@json_option
def close_command(db: str, as_json: bool) -> int:
    """Close the books: store all balances, so that historical queries start from them.

    No answer changes; historical ones get faster. A running server keeps posting meanwhile. Run this every month.
    """
    with office_of(db) as office, console.progress_bar("closing, movements", 1) as progress:
        cuts: list[ClosedBooks] = list(iter(lambda: office.change(CloseBooks(), progress), None))
    balances, stragglers = sum(cut.balances for cut in cuts), sum(cut.stragglers for cut in cuts)
    if as_json:
        closed = (
            {"position": cuts[-1].position, "cuts": len(cuts), "balances": balances, "stragglers": stragglers}
            if cuts
            else None
        )
        console.print_json(closed)
    elif not cuts:
        console.say("Nothing to close.")
    else:
        console.say(
            f"Closed up to position {cuts[-1].position:,} in {counted(len(cuts), 'step')}: "
            f"stored {counted(balances, 'balance')} and {counted(stragglers, 'late movement')}."
        )
    return console.OK
