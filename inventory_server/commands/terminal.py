"""`inventory-server terminal`: the terminals that may use this server."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from inventory_server.commands.complete import locations, terminals
from inventory_server.commands.enrolment_code import code_option, offered_code, say_code
from inventory_server.commands.options import checked, counted, db_option, json_option, office_of, offset, told, when
from inventory_server.commands.token_file import issued, write_new
from inventory_server.config import TOKEN_BYTES
from inventory_server.domain.answers import TerminalRow
from inventory_server.domain.requests import (
    AdoptTerminal,
    Enrol,
    ListTerminals,
    MoveTerminal,
    RevokeTerminal,
    RotateToken,
)
from inventory_server.imports.terminals_file import read_terminals
from pos_client.commands import console
from pos_client.files.problems import Problem
from pos_client.protocol.fields import Location, Role, TerminalName

_COLUMNS = {
    "terminal": False,
    "role": False,
    "location": False,
    "formerly": False,
    "enrolled": False,
    "last contact": False,
    "pending": True,
    "parked": True,
    "clock": True,
    "revoked": False,
}
token_file_option = click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the token to this file instead of NAME.token in the current folder.",
)


@click.group("terminal")
def terminal() -> None:
    """Enrol, list, move and revoke the terminals that may use this server."""


@terminal.command("add")
@click.argument("name")
@click.option("--location", required=True, shell_complete=locations, help="The terminal's store or warehouse.")
@click.option(
    "--role",
    type=click.Choice(["till", "reader", "operator"]),
    default="till",
    show_default=True,
    help="A till posts for its location, an operator for any; a reader only asks.",
)
@token_file_option
@code_option
@db_option
@json_option
def add(name: str, location: str, role: Role, token_file: Path | None, with_code: bool, db: str, as_json: bool) -> int:
    """Enrol terminal NAME and write its token to a file that only you may read: HQ keeps only its hash."""
    checked(name, TerminalName, "a terminal name of 1 to 64 letters, digits, dots, dashes or underscores")
    checked(location, Location, "a location of 1 to 64 characters without control characters")
    if with_code:
        code = offered_code(token_file)
        with office_of(db) as office:
            office.change(Enrol(name, role, location, code=code.offered))
        enrolled = f"Enrolled the {role} {name} at {location}"
        say_code(as_json, enrolled, code.text, terminal=name, role=role, location=location)
        return console.OK
    token, path = secrets.token_urlsafe(TOKEN_BYTES), token_file or Path(f"{name}.token")
    with office_of(db) as office, issued(path, token):
        office.change(Enrol(name, role, location, token))
    enrolled = f"Enrolled the {role} {name} at {location}. Its token is in {path}."
    console.say_or_json(as_json, enrolled, terminal=name, role=role, location=location, token_file=str(path))
    return console.OK


@terminal.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--tokens",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the terminals and their tokens to this new file, which only you may read.",
)
@db_option
@json_option
def import_terminals(file: Path, tokens: Path, db: str, as_json: bool) -> int:
    """Enrol the terminals in FILE (CSV or .xlsx): columns terminal and location, and role if they are no tills.

    Terminals that are enrolled already stay as they are. If a row is wrong, none is enrolled, and the exit code is 1.
    """
    problems: list[Problem] = []
    listed = read_terminals(file, problems.append)
    for problem in problems:
        console.say(str(problem), err=True)
    if problems:
        correct = f"None was enrolled: correct the {counted(len(problems), 'problem')} and import the file again."
        console.say_or_json(as_json, correct, enrolled=0, problems=len(problems))
        return console.FOUND_PROBLEMS
    with office_of(db) as office:
        known = {row.terminal for row in office.ask(ListTerminals())}
        new = [(each, secrets.token_urlsafe(TOKEN_BYTES)) for each in listed if each.terminal not in known]
        # Written first: a token that is enrolled and not written is lost.
        write_new(tokens, [f"{each.terminal} {token}" for each, token in new])
        for each, token in new:
            office.change(Enrol(each.terminal, each.role, each.location, token))
    kept = len(listed) - len(new)
    stayed = f"{counted(kept, 'terminal')} stayed as enrolled before"
    sentence = f"Enrolled {counted(len(new), 'terminal')}; {stayed}. Tokens: {tokens}"
    console.say_or_json(as_json, sentence, enrolled=len(new), kept=kept, tokens=str(tokens))
    return console.OK


@terminal.command("rotate")
@click.argument("name", shell_complete=terminals)
@token_file_option
@code_option
@db_option
@json_option
def rotate(name: str, token_file: Path | None, with_code: bool, db: str, as_json: bool) -> int:
    """Give terminal NAME a new token, written to its file. The old one is invalid at once; a revocation is lifted."""
    checked(name, TerminalName, "a terminal name of 1 to 64 letters, digits, dots, dashes or underscores")
    if with_code:
        code = offered_code(token_file)
        with office_of(db) as office:
            office.change(RotateToken(name, code=code.offered))
        say_code(as_json, f"The token of terminal {name} is invalid", code.text, terminal=name)
        return console.OK
    token, path = secrets.token_urlsafe(TOKEN_BYTES), token_file or Path(f"{name}.token")
    with office_of(db) as office, issued(path, token, replaces=True):
        office.change(RotateToken(name, token))
    renewed = f"Terminal {name} has a new token, in {path}; the old one is invalid."
    console.say_or_json(as_json, renewed, terminal=name, token_file=str(path))
    return console.OK


@terminal.command("revoke")
@click.argument("name", shell_complete=terminals)
@db_option
@json_option
def revoke(name: str, db: str, as_json: bool) -> int:
    """Refuse terminal NAME from now on, on its open connections too. Its postings stay."""
    with office_of(db) as office:
        office.change(RevokeTerminal(name))
    console.say_or_json(as_json, f"Terminal {name} is revoked; its postings stay.", terminal=name, revoked=True)
    return console.OK


@terminal.command("move")
@click.argument("name", shell_complete=terminals)
@click.argument("location", shell_complete=locations)
@db_option
@json_option
def move(name: str, location: str, db: str, as_json: bool) -> int:
    """Have terminal NAME be at LOCATION from now on.

    It keeps its name, its token and its history, and may still deliver what it sold at its former locations. Move a
    till between two days: what it sells before it has heard of the move is booked at its former location.
    """
    checked(location, Location, "a location of 1 to 64 characters without control characters")
    with office_of(db) as office:
        office.change(MoveTerminal(name, location))
    moved = f"Terminal {name} is at {location} now; it learns so at its next hello."
    console.say_or_json(as_json, moved, terminal=name, location=location)
    return console.OK


@terminal.command("adopt")
@click.argument("old", shell_complete=terminals)
@click.option(
    "--by", "new", required=True, shell_complete=terminals, help="The terminal that now uses the outbox of OLD."
)
@db_option
@json_option
def adopt(old: str, new: str, db: str, as_json: bool) -> int:
    """Allow another terminal to deliver what terminal OLD sold and did not deliver.

    Its postings stay at OLD's locations; OLD may be revoked.
    """
    with office_of(db) as office:
        office.change(AdoptTerminal(old, new))
    allowed = f"Terminal {new} may deliver the postings of {old}, at the locations of {old}."
    console.say_or_json(as_json, allowed, terminal=old, by=new)
    return console.OK


@terminal.command("list")
@db_option
@json_option
def listing(db: str, as_json: bool) -> int:
    """Show all terminals, revoked ones included."""
    with office_of(db) as office:
        rows: list[TerminalRow] = office.ask(ListTerminals())
    if as_json:
        console.print_json([told(row) for row in rows])
        return console.OK
    console.print_table(
        _COLUMNS,
        [
            [
                row.terminal,
                row.role,
                row.location,
                _formerly(row),
                when(row.enrolled_at),
                when(row.contact_at),
                str(row.pending),
                str(row.parked),
                offset(row.clock_offset_ms),
                when(row.revoked_at),
            ]
            for row in rows
        ],
    )
    return console.OK


def _formerly(row: TerminalRow) -> str:
    """Where a terminal was before, and until when."""
    return ", ".join(f"{each.location} until {when(each.until_at)}" for each in row.former_locations)
