"""Asking HQ on the command line: who asks, instants and dates, and answers in several pages."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import msgspec
from click.shell_completion import CompletionItem
from msgspec import UNSET

from pos_client.commands import console
from pos_client.commands.complete_hq import PROGRAM as PROGRAM
from pos_client.commands.complete_hq import locations as locations_at_hq
from pos_client.commands.complete_hq import skus as skus_at_hq
from pos_client.commands.near import unknown_and_near
from pos_client.commands.options import InstantParam, json_option, terminal_option
from pos_client.commands.server_options import Hq, server_option
from pos_client.commands.stock_report import StockReport
from pos_client.commands.tokens import token_option
from pos_client.protocol.fields import ASKING_TERMINAL
from pos_client.protocol.lists import ChangesResult, ListParams, SalesResult
from pos_client.protocol.messages import HelloParams, HelloResult
from pos_client.transport.connection import Connection

_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
F = TypeVar("F", bound=Callable[..., Any])
locations_option = click.option(
    "--location",
    "locations",
    multiple=True,
    shell_complete=locations_at_hq,
    help="Only this store or warehouse; repeatable.",
)
skus_argument = click.argument("skus", nargs=-1, metavar="[SKU]...", shell_complete=skus_at_hq)


class DayParam(InstantParam):
    """A date, or an instant, as the text that the protocol takes."""

    name = "date|instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text of a date, or of an instant with its UTC offset."""
        text = str(value)
        return text if _DATE.fullmatch(text) else super().convert(value, param, ctx).isoformat()


class KnownAt(InstantParam):
    """An instant, or a ledger position."""

    name = "instant|position"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The position or instant in `value`."""
        text = str(value)
        return int(text) if text.isascii() and text.isdigit() else super().convert(value, param, ctx)


def asking(command: F) -> F:
    """The options of every question: the server, the terminal to ask as and its token."""
    for option in (token_option, terminal_option, server_option):
        command = option(command)
    return command


def listing(command: F) -> F:
    """The options of every list: locations, time, JSON output, and those of every question."""
    command = asking(command)
    for option in (
        json_option,
        click.option("--to", "until", type=DayParam(), help="Only what took effect before; of a date, up to its end."),
        click.option("--from", "since", type=DayParam(), help="Only what took effect from then on."),
        locations_option,
    ):
        command = option(command)
    return command


def list_all(method: str, question: ListParams, items: str, options: Mapping[str, Any]) -> Any:
    """The whole answer of a list of a period, as `ask_all`. `options` are those of `listing`."""
    question = msgspec.structs.replace(
        question,
        locations=given(list(options["locations"]) or None),
        from_=given(options["since"]),
        to=given(options["until"]),
    )
    return ask_all(method, question, items, options)


def ask_all(method: str, question: Any, items: str, options: Mapping[str, Any]) -> Any:
    """The whole answer of a list: its first page, with the `items` of all pages. `options` are those of `asking`.

    What HQ does not know is said on stderr, and where only a part is shown because the terminal is a till.
    """
    with connected(options["server"], options["terminal"], options["token"]) as (connection, hello):
        note_till(hello)
        parts = list(pages(connection, method, question))
        say_unknown(unknown_and_near(connection, parts[0].unknown))
    whole = itertools.chain.from_iterable(getattr(part, items) for part in parts)
    return msgspec.structs.replace(parts[0], cursor=None, **{items: list(whole)})


def note_till(hello: HelloResult) -> None:
    """Say on stderr that a list shows only a part of all, if a till asks."""
    if hello.role == "till":
        only = f"it sees what concerns {hello.location}, a terminal with the role reader sees all"
        console.say(f"{PROGRAM}: {hello.terminal} is a till: {only}.", err=True)


def shown(answer: Any, as_json: bool, columns: Mapping[str, bool], rows: Sequence[Sequence[str]], nothing: str) -> int:
    """Print a list as JSON or as a table; without rows, say that there is `nothing`. Returns the exit code.

    An answer that says how complete its figures are says so below the table.
    """
    if as_json:
        console.print_json(answer)
    elif rows:
        console.print_table(columns, rows)
    else:
        console.say(nothing)
    if not as_json and isinstance(answer, SalesResult | ChangesResult):
        report = StockReport(datetime.now(UTC), None)
        for location in sorted(answer.completeness):
            console.say(report.completeness(location, answer.completeness[location]))
    return console.FOUND_PROBLEMS if answer.unknown and not rows else console.OK


@contextmanager
def connected(server: Hq, terminal: str | None, token: str | None) -> Iterator[tuple[Connection, HelloResult]]:
    """A connection to HQ that has said hello, with its answer; says goodbye at the end."""
    connection = server.connect()
    try:
        params = HelloParams(terminal=terminal or ASKING_TERMINAL, token=token or UNSET, app=PROGRAM)
        yield connection, connection.hello(params)
        connection.request("bye")
    finally:
        connection.close()


def pages(connection: Connection, method: str, question: Any) -> Iterator[Any]:
    """All pages of the answer to `question`; together they are one snapshot."""
    while True:
        page = connection.request(method, question)
        yield page
        if page.cursor is None:
            return
        question = msgspec.structs.replace(question, cursor=page.cursor)


def given(value: Any) -> Any:
    """`value`, or UNSET for an option that was not given."""
    return UNSET if value is None or value == () else value


class QuestionGroup(click.Group):
    """Commands, of which the first is meant where the first word is not the name of one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of the first command in front, unless a command, help or the version is asked for."""
        default = next(iter(self.commands))
        if ctx.resilient_parsing and not args:  # a shell completes the first word: see shell_complete
            return super().parse_args(ctx, args)
        own = {*self.commands, "--version", *ctx.help_option_names}
        return super().parse_args(ctx, args if args and args[0] in own else [default, *args])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands, and what may be written without the name of the first one."""
        default = next(iter(self.commands.values()))
        with default.make_context(default.name, [], parent=ctx, resilient_parsing=True) as inner:
            arguments = [each for each in default.params if isinstance(each, click.Argument)]
            items = [*super().shell_complete(ctx, incomplete), *default.shell_complete(inner, incomplete)]
            items += [item for each in arguments for item in each.shell_complete(inner, incomplete)]
        return list({item.value: item for item in items}.values())  # both have --help

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of the first command, then the commands."""
        default = next(iter(self.commands.values()))
        default.format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def say_unknown(named: list[str]) -> None:
    """Say on stderr what HQ does not know."""
    for each in named:
        console.say(f"{PROGRAM}: HQ does not know {each}{'' if each.endswith('?') else '.'}", err=True)
