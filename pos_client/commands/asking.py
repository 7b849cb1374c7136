"""Asking HQ on the command line: who asks, instants and dates, and answers in several pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
import msgspec
from msgspec import UNSET

from pos_client.commands import console
from pos_client.commands.options import InstantParam, server_option, terminal_option, token_option
from pos_client.protocol.address import Address
from pos_client.protocol.messages import HelloParams
from pos_client.transport.connection import Connection

PROGRAM = "stock-query"
DEFAULT_TERMINAL = "stock-query"
"""The terminal to ask as by default; a development server enrols it."""
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
F = TypeVar("F", bound=Callable[..., Any])


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


@contextmanager
def connected(server: Address, terminal: str | None, token: str | None) -> Iterator[Connection]:
    """A connection to HQ that has said hello, and says goodbye at the end."""
    connection = Connection.open(server)
    try:
        connection.hello(HelloParams(terminal=terminal or DEFAULT_TERMINAL, token=token or UNSET, app=PROGRAM))
        yield connection
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
        own = {*self.commands, "--version", *ctx.help_option_names}
        return super().parse_args(ctx, args if args and args[0] in own else [default, *args])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of the first command, then the commands."""
        default = next(iter(self.commands.values()))
        default.format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def say_unknown(named: list[str]) -> None:
    """Say on stderr what HQ does not know."""
    for each in named:
        console.say(f"{PROGRAM}: HQ does not know {each}.", err=True)
