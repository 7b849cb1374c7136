"""`inventory-server health`: whether the ledger's servers on this machine answer, for a monitor or a load balancer."""

from __future__ import annotations

import click

from inventory_server.commands.options import counted, db_option, json_option, office_of
from inventory_server.domain.answers import Client, Overview
from inventory_server.domain.requests import ListClients, ShowOverview
from inventory_server.store import shown
from pos_client.commands import console


@click.command("health")
@db_option
@json_option
def health(db: str, as_json: bool) -> int:
    """Check that every process that serves the ledger on this machine answers and reads the ledger.

    Exit code 0: they are ready. 2: none was found, or one does not answer; a server that is stopping does not, either.
    """
    with office_of(db) as office:
        read: list[Overview] = office.ask_servers(ShowOverview())
        clients: list[list[Client]] = office.ask_servers(ListClients())
    connections, postings = sum(map(len, clients)), max(each.position for each in read)
    who = f"{counted(len(read), 'process', 'es')} of {shown(db)}"
    sentence = f"Ready: {who}, {counted(connections, 'connection')}, {counted(postings, 'posting')}."
    console.say_or_json(
        as_json, sentence, db=shown(db), processes=len(read), connections=connections, postings=postings
    )
    return console.OK
