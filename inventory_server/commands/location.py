"""`inventory-server location`: the names, time zones and business days of locations."""

from __future__ import annotations

from typing import Annotated

import click
from msgspec import Meta

from inventory_server.commands.complete import locations
from inventory_server.commands.options import checked, db_option, json_option, office_of, told
from inventory_server.domain.answers import LocationRow
from inventory_server.domain.requests import ListLocations, RenameLocation, SetLocation
from pos_client.commands import console
from pos_client.protocol.fields import Location, Text

_LOCATION_EXPECTED = "a location of 1 to 64 characters without control characters"
_COLUMNS = {"location": False, "name": False, "time zone": False, "day ends": False}


@click.group("location")
def location_group() -> None:
    """Name locations, and say when their business days end."""


@location_group.command("set")
@click.argument("location", shell_complete=locations)
@click.option("--name", help="What people call it.")
@click.option("--time-zone", metavar="ZONE", help="Its IANA time zone, like Europe/Paris. At first it is UTC.")
@click.option(
    "--day-ends",
    type=click.IntRange(0, 23),
    metavar="HOUR",
    help="The hour at which its business day ends: 0 is midnight (so it is at first), 4 is four in the morning after.",
)
@db_option
@json_option
def set_command(
    location: str, name: str | None, time_zone: str | None, day_ends: int | None, db: str, as_json: bool
) -> int:
    """Set what is given of LOCATION. HQ knows the location from then on."""
    checked(location, Location, _LOCATION_EXPECTED)
    if name is not None:
        checked(name, Text, "a name of at most 256 characters")
    with office_of(db) as office:
        office.change(SetLocation(location, name, time_zone, day_ends))
        [row] = [each for each in office.ask(ListLocations()) if each.location == location]
    ends = f"The business day at {row.location} ends at {row.day_ends_hour:02}:00 {row.time_zone}."
    console.say_or_json(as_json, ends, **told(row))
    return console.OK


@location_group.command("rename")
@click.argument("location", shell_complete=locations)
@click.argument("name")
@db_option
@json_option
def rename_command(location: str, name: str, db: str, as_json: bool) -> int:
    """Have people call LOCATION NAME from now on.

    Only the name changes. LOCATION itself, the code in every posting, stays; tills and questions go on using it.
    """
    checked(location, Location, _LOCATION_EXPECTED)
    checked(name.strip(), Annotated[Text, Meta(min_length=1)], "a name of 1 to 256 characters")
    with office_of(db) as office:
        office.change(RenameLocation(location, name.strip()))
    said = f"{location} is called {name.strip()} now; in postings and questions it is still {location}."
    console.say_or_json(as_json, said, location=location, name=name.strip())
    return console.OK


@location_group.command("list")
@db_option
@json_option
def listing(db: str, as_json: bool) -> int:
    """Show all locations that HQ knows."""
    with office_of(db) as office:
        rows: list[LocationRow] = office.ask(ListLocations())
    if as_json:
        console.print_json([told(row) for row in rows])
        return console.OK
    console.print_table(
        _COLUMNS, [[row.location, row.name or "", row.time_zone, f"{row.day_ends_hour:02}:00"] for row in rows]
    )
    return console.OK
