"""`inventory-server exceptions`: what waits for a person, by cause, and settling it."""

from __future__ import annotations

from datetime import datetime

import click
from click.core import ParameterSource
from msgspec import UNSET

from inventory_server.commands.complete import locations
from inventory_server.commands.options import checked, counted, db_option, json_option, office_of, when
from inventory_server.domain.exceptions import ACTIONS
from inventory_server.domain.limits import EXCEPTIONS_DEFAULT, EXCEPTIONS_MAX
from inventory_server.domain.requests import ListExceptions, SettleException, ShowOverview
from pos_client.commands import console
from pos_client.commands.options import NearChoice
from pos_client.protocol.fields import Flag, Location, Sku
from pos_client.protocol.lists import ExceptionsParams, ExceptionsResult, ListedException
from pos_client.protocol.units import micros

_COLUMNS = {
    "flag": False,
    "of": False,
    "location": False,
    "count": True,
    "first": False,
    "last": False,
    "position": True,
    "settled before": False,
    "what to do": False,
}
_location_option = click.option(
    "--location", metavar="LOCATION", shell_complete=locations, help="Only this location's."
)


@click.group("exceptions", invoke_without_command=True)
@click.option("--flag", type=NearChoice(list(ACTIONS)), help="Only this flag's.")
@_location_option
@click.option(
    "--limit",
    type=click.IntRange(1, EXCEPTIONS_MAX),
    default=EXCEPTIONS_DEFAULT,
    show_default=True,
    help="Show at most this many.",
)
@db_option
@json_option
@click.pass_context
def exceptions(
    context: click.Context, flag: Flag | None, location: str | None, limit: int, db: str, as_json: bool
) -> int:
    """List what waits for a person: one line for each cause of a flag; exit code 1 if there is any."""
    if context.invoked_subcommand is not None:
        if any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in context.params):
            raise click.UsageError(f"Write options behind the command: exceptions {context.invoked_subcommand} …")
        return console.OK
    with office_of(db) as office:
        asked = ExceptionsParams(flag=flag or UNSET, location=location or UNSET, limit=limit)
        found: ExceptionsResult = office.ask(ListExceptions(asked))
    if as_json:
        console.print_json(found)
    elif not found.causes:
        console.say("Nothing waits for a person.")
    else:
        console.print_table(_COLUMNS, [_row(cause) for cause in found.causes])
        if found.total > len(found.causes):
            console.say(f"… and {counted(found.total - len(found.causes), 'earlier cause')}.")
    return console.FOUND_PROBLEMS if found.total else console.OK


def _row(cause: ListedException) -> list[str]:
    times = [_when(cause.first_at), _when(cause.last_at), str(cause.position), _when(cause.settled_at)]
    return [cause.flag, cause.subject, cause.location, f"{cause.count:,}", *times, cause.action]


def _when(moment: datetime | None) -> str:
    return when(None if moment is None else micros(moment))


@exceptions.command("settle")
@click.argument("flag", type=click.Choice(list(ACTIONS)))
@click.argument("subject", required=False)
@_location_option
@click.option(
    "--up-to", "position", type=click.IntRange(1), metavar="POSITION",
    help="Settle only what was posted up to there, such as the position in the list; otherwise up to now.",
)  # fmt: skip
@db_option
@json_option
def settle(flag: Flag, subject: str | None, location: str | None, position: int | None, db: str, as_json: bool) -> int:
    """Settle a cause: FLAG of SUBJECT (a SKU or a terminal), or of all subjects if none is given.

    What is posted later with the same flag is listed again.
    """
    if subject is not None:
        checked(subject, Sku, "a SKU or a terminal of 1 to 64 characters without control characters")
    if location is not None:
        checked(location, Location, "a location of 1 to 64 characters without control characters")
    with office_of(db) as office:
        upto = office.ask(ShowOverview()).position if position is None else position
        settled: int = office.change(SettleException(flag, upto, subject, location))
    sentence = f"Settled {counted(settled, 'cause')} of {flag} up to position {upto}."
    console.say_or_json(as_json, sentence, flag=flag, settled=settled, position=upto)
    return console.OK
