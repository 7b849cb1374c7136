"""`inventory-server clients`: who is connected to the running server."""

from __future__ import annotations

import click

from inventory_server.commands.options import counted, db_option, json_option, office_of, offset, told, when
from inventory_server.config import FENCES_ALARMING
from inventory_server.domain.answers import Client, TerminalRow
from inventory_server.domain.requests import ListClients, ListTerminals
from pos_client.commands import console

_COLUMNS = dict.fromkeys(("terminal", "role", "location", "address", "connected", "app"), False)
_COLUMNS |= {"clock offset": True, "pid": True, "last refusal": False}


@click.command("clients")
@db_option
@json_option
def clients_command(db: str, as_json: bool) -> int:
    """Show who is connected to the ledger's servers on this machine: since when, from where, and its last refusal."""
    with office_of(db) as office:
        answers: list[list[Client]] = office.ask_servers(ListClients())
        listed: list[TerminalRow] = office.ask(ListTerminals())
    clients = [each for answer in answers for each in answer]
    offsets = {each.terminal: each.clock_offset_ms for each in listed}
    if as_json:
        console.print_json([{**told(each), "clock_offset_ms": offsets.get(each.terminal or "")} for each in clients])
        return console.OK
    console.print_table(_COLUMNS, [_row(each, offsets.get(each.terminal or "")) for each in clients])
    of_several = f" of {len(answers)} servers and workers on this machine" if len(answers) > 1 else ""
    for name in sorted({each.terminal or "" for each in clients if each.fenced >= FENCES_ALARMING}):
        console.say(
            f"{name} is used by several devices, which fence each other: give each a name of its own.", err=True
        )
    console.say(f"{counted(len(clients), 'connection')}{of_several}.")
    return console.OK


def _row(client: Client, clock_offset_ms: int | None) -> list[str]:
    refusal = "" if client.refusal is None else f"{when(client.refused_at)} {client.refusal}"
    who = [client.terminal or "(before hello)", client.role or "", client.location or ""]
    return [
        *who,
        client.address,
        when(client.connected_at),
        client.app or "",
        offset(clock_offset_ms),
        str(client.pid),
        refusal,
    ]
